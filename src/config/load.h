/* Reads the configuration: `key = value` lines, those in sections for sockets of a name, and -o
 * key=value over them. It opens the one file, and nothing that a setting names. */
#ifndef SMTPIN_CONFIG_LOAD_H
#define SMTPIN_CONFIG_LOAD_H

#include "config/report.h"

struct config_source {
    const char *file;   /* NULL: the default one, which need not exist */
    struct span socket; /* as the super-server calls it; empty: as "socket=" in override does */
    const char *const *override; /* each "key=value" */
    size_t overrides;
};

/* Reads the file, then the overrides. All memory comes from `a`. Every mistake is reported, also
 * those in sections of other sockets; false if there was one. */
bool config_load(struct config *c, struct arena *a, const struct config_source *from,
                 const struct config_report *report);

#endif
