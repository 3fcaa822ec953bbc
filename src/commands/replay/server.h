/* What the two servers are told that a transcript is played against (core.h, program.h). */
#ifndef SMTPIN_REPLAY_SERVER_H
#define SMTPIN_REPLAY_SERVER_H

#include "commands/replay/play.h"

struct replay_options {
    const char *file;    /* -f */
    const char *program; /* the smtpin that is run */
    const char *self;    /* this program, to stand in for the command */
    const char *override[TRANSCRIPT_SETTINGS_MAX];
    size_t overrides;
    bool in_process, deliver, trust, verbose;
    uint64_t timeout; /* milliseconds without a word from the server */
    struct play_options play;
};

#endif
