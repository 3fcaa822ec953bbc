/* Runs of commands and questions to policy servers: what a transcript tells of one, and what it
 * was. How it is run, and who writes it down, is not known here. */
#ifndef SMTPIN_REPLAY_RUNS_H
#define SMTPIN_REPLAY_RUNS_H

#include "commands/replay/differences.h"
#include "commands/replay/transcript.h"

/* A run as it was, or a question. `message` is as the command read it. */
struct recorded {
    struct span argv;        /* words with a NUL behind each; of a question: none */
    struct span environment; /* the same; of a question: its attributes */
    struct span message;
};

/* Compares run number i (from 0) of the transcript with what was recorded, NULL for no run. */
void runs_compare(const struct transcript *t, enum told_kind kind, size_t i,
                  const struct recorded *got, struct arena *a, struct differences *d);

#endif
