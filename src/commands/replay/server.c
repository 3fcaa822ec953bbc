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
