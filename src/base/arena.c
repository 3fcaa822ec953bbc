#include "base/arena.h"

#include <stdalign.h>
#include <string.h>

/* Takes n of `room` octets and what is needed for the next piece to be aligned. */
static size_t aligned(size_t n, size_t room)
{
    const size_t unit = alignof(max_align_t);

    n = (n + unit - 1) / unit * unit;
    return n < room ? n : room;
}

void *arena_get(struct arena *a, size_t n)
{
    const size_t room = a->cap - a->used;
    char *at = a->base + a->used;

    if (n > room)
        return NULL;
    a->used += aligned(n, room);
    return at;
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *at = s.n == (size_t)-1 ? NULL : arena_get(a, s.n + 1);

    if (at == NULL)
        return (struct span){0};
    if (s.n > 0)
        memcpy(at, s.p, s.n);
    at[s.n] = '\0';
    return (struct span){.p = at, .n = s.n};
}

void arena_shrink(struct arena *a, const void *last, size_t n)
{
    const size_t before = (size_t)((const char *)last - a->base);

    a->used = before + aligned(n, a->cap - before);
}

struct arena arena_behind(const struct arena *a, size_t size)
{
    const size_t used = aligned(a->used, size);

    return (struct arena){.base = a->base + used, .cap = size - used};
}

void arena_reset(struct arena *a)
{
    a->used = 0;
}
