/* Time for deadlines: milliseconds of a clock that nobody sets. */
#ifndef SMTPIN_IO_CLOCK_H
#define SMTPIN_IO_CLOCK_H

#include <stdint.h>

uint64_t clock_now(void);
/* The same clock in microseconds: for systemd. */
uint64_t clock_micros(void);
/* Microseconds since 1970, by a clock that people set. */
uint64_t clock_wall_micros(void);
/* The time left for poll(2), 0 to INT_MAX. */
int clock_left(uint64_t deadline);

#endif
