/* Delivery commands whose ways are known, for `smtpin --check`: settings that lose or double mail
 * with one of them are named before a client meets them. They are known by their names; none is
 * run. */
#ifndef SMTPIN_ADAPTERS_KNOWN_H
#define SMTPIN_ADAPTERS_KNOWN_H

#include "config/config.h"

struct known_clash {
    struct span key;  /* the setting that is to be changed */
    struct span with; /* the one that names the command */
    const char *what; /* NULL: there is no clash */
    bool harmless;    /* it costs something, and loses nothing */
};

/* What does not go together with the command of c->deliver. A command behind a wrapper (env, nice,
 * timeout ...) or deliver_through is found; one within a script or a shell's line is not. */
struct known_clash known_clash(const struct config *c);

#endif
