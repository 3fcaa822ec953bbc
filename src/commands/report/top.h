/* Who is there most, in memory that does not grow: space-saving counters (Metwally, Agrawal and El
 * Abbadi, 2005). Whoever is there more often than once in TOP_COUNTERS is among them. A count is
 * never too low, and at most `error` too high. */
#ifndef SMTPIN_COMMANDS_REPORT_TOP_H
#define SMTPIN_COMMANDS_REPORT_TOP_H

#include "base/span.h"

#include <stdint.h>

enum { TOP_COUNTERS = 1000, TOP_KEY_MAX = 254, TOP_SLOTS = 2048 };

struct top_counter {
    uint64_t count, error;
    uint32_t hash;
    uint16_t at; /* in heap[] */
    unsigned char n;
    char key[TOP_KEY_MAX + 1]; /* terminated, and may hold a NUL all the same */
};

struct top {
    uint64_t seed;
    uint64_t total;
    size_t n;
    struct top_counter counter[TOP_COUNTERS];
    uint16_t heap[TOP_COUNTERS]; /* counters, the lowest count first */
    uint16_t slot[TOP_SLOTS];    /* a counter and 1; 0: free */
};

/* `seed`: a number that strangers do not know, so that they can't choose keys which are slow. */
void top_open(struct top *t, uint64_t seed);
/* A longer key than TOP_KEY_MAX is counted as its beginning. */
void top_add(struct top *t, struct span key, uint64_t count);
/* The highest counts first, at most `most`; how many. */
size_t top_list(const struct top *t, const struct top_counter **out, size_t most);

#endif
