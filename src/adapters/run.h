/* A run: one process of the delivery command or of a check command, started with what it is told
 * (command.h) and the descriptors that its format wants. It knows which recipients it is for, and
 * never what its end means for them: outcome.h and check.h say that. */
#ifndef SMTPIN_ADAPTERS_RUN_H
#define SMTPIN_ADAPTERS_RUN_H

#include "adapters/command.h"
#include "io/child.h"

enum {
    RUN_SAID_MAX = 4096, /* of its output that is kept, where a reply is one line */
    RUN_COMPLAINED_MAX = 1024,
    RUN_MEMORY = 160 * 1024, /* words and environment of a run with one recipient */
};

/* What is started, and how. */
struct run_how {
    const struct words *words;
    uint64_t timeout; /* milliseconds */
    bool qmail;       /* descriptors as qmail-queue(8) wants them */
    bool among_many;  /* as in io/child.h */
    int rules;        /* the same; -1: it can't be confined, and so not be started, for: */
    int error;        /* errno */
};

struct run {
    struct child_process process;
    struct command_run facts;
    struct arena arena; /* its words and environment */
    struct text said, complained;
    char complained_room[RUN_COMPLAINED_MAX];
    int message, envelope; /* descriptors of its own; -1: none */
};

/* The program of a command: a path is taken as it is, a name is looked for in COMMAND_PATH. NULL
 * and errno when there is none that can be executed. `room` holds the path. */
const char *run_program(struct span name, struct text *room);

/* Starts it with `input` as its descriptor 0, from where facts, arena and the two texts stand
 * ready. What can't be started has ended: CHILD_NOT_STARTED. */
void run_start(struct run *r, const struct run_how *how, int input);
/* It has ended without having been started, for that errno. */
void run_not_started(struct run *r, int error);
/* Closes the descriptors of its own. */
void run_close(struct run *r);

#endif
