#include "commands/replay/transcript.h"

bool step_accepts_only(const struct step *s, enum accepted_kind kind)
{
    for (const struct accepted *x = s->accepted; x != NULL; x = x->next)
        if (x->kind != kind)
            return false;
    return s->kind == STEP_EXPECT;
}

const struct delivery *transcript_delivery(const struct transcript *t, size_t i)
{
    const struct delivery *d = t->delivery;

    while (d != NULL && i-- > 0)
        d = d->next == NULL && d->end == DELIVERY_MISSING ? d : d->next;
    return d;
}

bool transcript_has(const struct transcript *t, enum delivery_end end)
{
    for (const struct delivery *d = t->delivery; d != NULL; d = d->next)
        if (d->end == end)
            return true;
    return false;
}
