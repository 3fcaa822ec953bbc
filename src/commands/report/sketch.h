/* How long things took, in memory that does not grow: counters for ranges of milliseconds, each
 * range no wider than 1/64 of where it begins. A quantile is at most 1/64 too high, and never too
 * low. Times below 128 ms are exact. */
#ifndef SMTPIN_COMMANDS_REPORT_SKETCH_H
#define SMTPIN_COMMANDS_REPORT_SKETCH_H

#include <stddef.h>
#include <stdint.h>

enum {
    SKETCH_BITS = 6,
    SKETCH_STEPS = 1 << SKETCH_BITS, /* ranges for each doubling */
    SKETCH_DOUBLINGS = 27,           /* up to 2^32 ms, 49 days: what is longer counts as that */
    SKETCH_RANGES = SKETCH_STEPS * SKETCH_DOUBLINGS,
};

struct sketch {
    uint64_t n, sum, most; /* times, their sum, the longest */
    uint64_t range[SKETCH_RANGES];
};

void sketch_add(struct sketch *s, uint64_t milliseconds);
/* The time that this many thousandths of all did not exceed; 0 where there was none. */
uint64_t sketch_quantile(const struct sketch *s, unsigned thousandths);
/* How many took at most so long; as exact as a quantile. */
uint64_t sketch_up_to(const struct sketch *s, uint64_t milliseconds);

#endif
