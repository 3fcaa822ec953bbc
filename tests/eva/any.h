/* What the entries feed: numbers, bits and octets of which nothing is known.
 *
 * The input ends where its object ends, so that one byte too far is seen. It lies on a "weak" heap
 * block (-eva-alloc-builtin fresh_weak): a test of a byte does not split the state, so what
 * remains to be kept apart is lengths and places. */
#ifndef SMTPIN_TESTS_EVA_ANY_H
#define SMTPIN_TESTS_EVA_ANY_H

#include "base/span.h"

#include "__fc_builtin.h"
#include <stdint.h>
#include <stdlib.h>

#ifndef BYTES
#define BYTES 7
#endif

static inline uint64_t any_number(void)
{
    return Frama_C_unsigned_long_long_interval(0, UINT64_MAX);
}

static inline bool any_bool(void)
{
    return Frama_C_interval(0, 1);
}

/* 0 to `most` unknown bytes, the last one of which is the last one of its object. */
static inline struct span any_bytes(size_t least, size_t most)
{
    char *room = calloc(most, 1);
    size_t n = (size_t)Frama_C_interval((int)least, (int)most);

    //@ split n;
    Frama_C_make_unknown(room, most);
    return (struct span){.p = room + most - n, .n = n};
}

#endif
