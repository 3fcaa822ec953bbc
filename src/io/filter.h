/* What a process that reads a client's bytes may still do: a seccomp(2) filter, and limits. Nobody
 * leaves it again. */
#ifndef SMTPIN_IO_FILTER_H
#define SMTPIN_IO_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel's struct sock_filter (linux/filter.h, which musl has not). */
struct filter_step {
    uint16_t code;
    uint8_t if_true, if_false; /* steps to skip */
    uint32_t operand;
};

/* The program itself, for its test; NULL where there is none for this machine. */
const struct filter_step *filter_program(size_t *n);
/* For good, and for this process and all that it could start. `trace_size`: octets that a file may
 * grow to; 0: there is none open. False, with errno: something of it could not be had. */
bool filter_enter(unsigned long trace_size);
/* Can a process of this machine enter it? Tried with one that ends at once. */
bool filter_works(void);

#endif
