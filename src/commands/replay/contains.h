/* Looking for a text in a text. */
#ifndef SMTPIN_REPLAY_CONTAINS_H
#define SMTPIN_REPLAY_CONTAINS_H

#include "base/span.h"

/* Stands `part` anywhere in s? */
static inline bool contains(struct span s, struct span part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (span_eq(span_first(span_from(s, i), part.n), part))
            return true;
    return false;
}

#endif
