/* A capped arena: memory handed out front to back from one block that the caller owns, and given
 * back all at once. A full arena is an answer (NULL), never an exit. */
#ifndef SMTPIN_BASE_ARENA_H
#define SMTPIN_BASE_ARENA_H

#include "base/span.h"

struct arena {
    char *base;
    size_t used;
    size_t cap;
};

/* n bytes, aligned for any type; not cleared. NULL when the arena is full. */
void *arena_get(struct arena *a, size_t n);
/* A copy of s, terminated (the terminator is not counted in its length). On a full arena .p is
 * NULL. */
struct span arena_copy(struct arena *a, struct span s);
/* The piece that was handed out last, cut to its first n bytes. */
void arena_shrink(struct arena *a, const void *last, size_t n);
/* An arena of what `a` has not handed out of the `size` octets at its base, of which `a` itself may
 * use the first part only. It is for the time that `a` is left alone. */
struct arena arena_behind(const struct arena *a, size_t size);
void arena_reset(struct arena *a);

#endif
