/* A whole session in memory, checked at each step: bytes in, replies and deliveries out. Shared by
 * the fuzzer and by the properties that are tried on generated sessions. */
#ifndef SMTPIN_TESTS_FUZZ_DRIVE_H
#define SMTPIN_TESTS_FUZZ_DRIVE_H

#include "smtp/session.h"

struct drive_input {
    struct span bytes;    /* what the client sends, to its end of file */
    unsigned options;     /* bits: see drive_options */
    unsigned verdicts;    /* which recipients and which deliveries succeed */
    unsigned long pieces; /* how the bytes come: 0 all at once, else a seed */
};

/* Sums of what came out; two that are equal said and delivered the same. */
struct drive_output {
    unsigned long replies, deliveries;
    size_t lines, messages; /* of replies; that were delivered */
};

enum { DRIVE_OPTIONS = 65536 };

/* Aborts where a promise is broken. */
struct drive_output drive(const struct drive_input *in);

#endif
