/* The two servers that a transcript is played against. */
#ifndef SMTPIN_REPLAY_SERVER_H
#define SMTPIN_REPLAY_SERVER_H

#include "commands/replay/play.h"
#include "config/load.h"

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

/* The settings of a transcript, then those of the command line. Returns how many. */
size_t replay_settings(const struct transcript *t, const struct replay_options *o, const char **out,
                       size_t room);
/* Each plays the transcript and adds what differs. */
void replay_program(const struct transcript *t, const struct replay_options *o, struct arena *a,
                    struct differences *d);
void replay_core(const struct transcript *t, const struct replay_options *o, struct arena *a,
                 struct differences *d);
/* Compares run number i (from 0) of the transcript with what was recorded, NULL for no run. */
void replay_compare(const struct transcript *t, size_t i, const struct recorded *got,
                    struct arena *a, struct differences *d);

/* Stands in for the command: `smtpin-replay --as-command DIRECTORY RUN(0/1) WORDS...`. Writes what
 * it was given below the directory, answers as the transcript says, or runs the words. */
int replay_as_command(int argc, char **argv);

#endif
