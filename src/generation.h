/* A generation of a listening process's configuration: what the file said at one time, for each of
 * its listeners, in a mapping of its own. Its mistakes are logged here; which generation is in
 * force is never decided here, and nothing of an older one is changed. */
#ifndef SMTPIN_GENERATION_H
#define SMTPIN_GENERATION_H

#include "adapters/log.h"
#include "adapters/setup.h"
#include "config/load.h"

struct generation {
    struct config config[MANAGER_SOCKETS_MAX];
    char room[MANAGER_SOCKETS_MAX][CONFIG_ARENA_MAX];
};

/* All but source->socket is taken from there; that is each listener's own. NULL: no memory. *good:
 * without a mistake; else the log has it. */
struct generation *generation_load(const struct setup *s, const struct config_source *source,
                                   struct log *log, bool *good);
/* setup_check, for each listener. */
bool generation_check(const struct generation *g, const struct setup *s, struct log *log);
/* `user =`: root is dropped once, and then for good. *dropped: that has happened, for the user of
 * `now`, the generation in force; set when it happens here. `now` of the first one is itself. */
bool generation_take_user(const struct generation *g, const struct generation *now, bool *dropped,
                          struct log *log);
/* NULL is none. */
void generation_forget(struct generation *g);

#endif
