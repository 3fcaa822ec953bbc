/* The settings at the top of a transcript. */
#ifndef SMTPIN_REPLAY_SETTINGS_H
#define SMTPIN_REPLAY_SETTINGS_H

#include "base/text.h"
#include "commands/replay/server.h"
#include "config/config.h"

/* The settings of a transcript, then those of the command line. Returns how many. */
size_t settings_all(const struct transcript *t, const struct replay_options *o, const char **out,
                    size_t room);
/* The configuration that the transcript is played against, in the arena. False: it has a mistake.
 */
bool settings_load(const struct transcript *t, const struct replay_options *o, struct config *c,
                   struct arena *a);
/* The tables that stand in the transcript become files in the directory, and settings that name
 * them. False and errno. */
bool settings_put_tables(struct transcript *t, const char *directory, struct arena *a);
/* Logins are the transcript's to tell of: then a setting names a socket in the directory. False and
 * errno. */
bool settings_put_auth(struct transcript *t, const char *directory, struct arena *a);
/* Is each known, and its value right, alone and with the configuration? False: a line
 * "FILE:LINE: KEY: what is wrong" for each that is not has been added to `out`. What is wrong in
 * the configuration without them is no mistake of theirs. */
bool settings_check(const struct transcript *t, const struct replay_options *o, struct arena *a,
                    struct text *out);

#endif
