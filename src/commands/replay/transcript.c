#include "commands/replay/transcript.h"

bool step_accepts_only(const struct step *s, enum accepted_kind kind)
{
    for (const struct accepted *x = s->accepted; x != NULL; x = x->next)
        if (x->kind != kind)
            return false;
    return s->kind == STEP_EXPECT;
}

const struct told *transcript_told(const struct transcript *t, enum told_kind kind, size_t i)
{
    const struct told *x = t->told[kind].first;

    while (x != NULL && i-- > 0)
        x = x->next == NULL && x->end == TOLD_MISSING ? x : x->next;
    return x;
}

bool transcript_has(const struct transcript *t, enum told_kind kind, enum told_end end)
{
    for (const struct told *x = t->told[kind].first; x != NULL; x = x->next)
        if (x->end == end)
            return true;
    return false;
}
