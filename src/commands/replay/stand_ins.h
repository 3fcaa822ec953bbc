/* All that stand in for smtpin's neighbours while a transcript is played: which of them it needs,
 * and what smtpin is told of them. */
#ifndef SMTPIN_REPLAY_STAND_INS_H
#define SMTPIN_REPLAY_STAND_INS_H

#include "commands/replay/server.h"
#include "commands/replay/stand_in_tls.h"

#include <sys/types.h>

enum { STAND_INS_FIRST = 8, STAND_INS_SETTINGS = 6 };

struct stand_ins {
    const char *directory;
    pid_t policy, auth; /* 0: there is none */
    /* KEY=VALUE: before those of the transcript, which may say otherwise; behind all. */
    const char *first[STAND_INS_FIRST], *setting[STAND_INS_SETTINGS];
    size_t firsts, settings;
    struct stand_in_tls tls;
};

/* What the transcript tells of is put into the directory, and what answers is started. The delivery
 * command has a stand-in where smtpin is a process of its own; check commands, policy servers and
 * whoever checks logins have one where the transcript tells of them. False and errno; nothing is
 * left to be closed then.
 */
bool stand_ins_open(struct stand_ins *s, const struct transcript *t, const struct replay_options *o,
                    const char *directory, struct arena *a);
/* Ends them, and compares what they were asked with what the transcript tells of it: but for the
 * deliveries of --in-process. */
void stand_ins_close(struct stand_ins *s, const struct transcript *t,
                     const struct replay_options *o, struct arena *a, struct differences *d);

#endif
