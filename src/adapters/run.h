/* A run: one process of the delivery command, started with what it is told (command.h) and the
 * descriptors that its format wants. It knows which recipients it is for, and never what its end
 * means for them: outcome.h says that. */
#ifndef SMTPIN_ADAPTERS_RUN_H
#define SMTPIN_ADAPTERS_RUN_H

#include "adapters/command.h"
#include "io/child.h"

enum { RUN_COMPLAINED_MAX = 1024 };

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

/* Starts it with the message on `message`, from where facts, arena and the two texts stand ready.
 * What can't be started has ended: CHILD_NOT_STARTED. */
void run_start(struct run *r, const struct config *config, int message);
/* It has ended without having been started, for that errno. */
void run_not_started(struct run *r, int error);
/* Closes the descriptors of its own. */
void run_close(struct run *r);

#endif
