#include "commands/replay/server.h"

size_t replay_settings(const struct transcript *t, const struct replay_options *o, const char **out,
                       size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < t->settings && n < room; i++)
        out[n++] = t->setting[i];
    for (size_t i = 0; i < o->overrides && n < room; i++)
        out[n++] = o->override[i];
    return n;
}

void replay_compare(const struct transcript *t, size_t i, const struct recorded *got,
                    struct arena *a, struct differences *d)
{
    const struct delivery *expected = t->delivery;

    if (!t->checks_deliveries)
        return;
    while (i > 0 && expected != NULL) {
        expected = expected->next;
        i--;
    }
    if (got != NULL)
        compare_delivery(expected, got, a, d);
    else if (expected != NULL)
        differ(d, expected->line, SPAN("(a run of the command)"), SPAN("(none)"));
}
