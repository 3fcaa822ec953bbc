#include "commands/report/sketch.h"

static size_t range_of(uint64_t ms)
{
    unsigned shift = 0;

    if (ms > UINT32_MAX)
        ms = UINT32_MAX;
    while (ms >> shift >= 2 * SKETCH_STEPS)
        shift++;
    /* 0 to 127 stand for themselves; from there on, each doubling has its 64 ranges. */
    return (size_t)shift * SKETCH_STEPS + (size_t)(ms >> shift);
}

/* The highest that is in it. */
static uint64_t end_of(size_t range)
{
    const size_t shift = range < 2 * (size_t)SKETCH_STEPS ? 0 : range / SKETCH_STEPS - 1;
    const uint64_t first = range - shift * SKETCH_STEPS;

    return ((first + 1) << shift) - 1;
}

void sketch_add(struct sketch *s, uint64_t milliseconds)
{
    s->n++;
    s->sum += milliseconds;
    if (milliseconds > s->most)
        s->most = milliseconds;
    s->range[range_of(milliseconds)]++;
}

uint64_t sketch_quantile(const struct sketch *s, unsigned thousandths)
{
    const uint64_t wanted = (s->n * thousandths + 999) / 1000;
    uint64_t seen = 0;

    if (s->n == 0)
        return 0;
    for (size_t i = 0; i < SKETCH_RANGES; i++) {
        seen += s->range[i];
        if (seen >= wanted && seen > 0)
            return end_of(i) < s->most ? end_of(i) : s->most;
    }
    return s->most;
}

uint64_t sketch_up_to(const struct sketch *s, uint64_t milliseconds)
{
    const size_t last = range_of(milliseconds);
    uint64_t seen = 0;

    for (size_t i = 0; i <= last; i++)
        seen += s->range[i];
    return seen;
}
