/* The hand-over: an accepted message to the administrator's command, its answer to replies. */
#ifndef SMTPIN_OUTSIDE_DELIVER_H
#define SMTPIN_OUTSIDE_DELIVER_H

#include "config.h"
#include "io/child.h"
#include "io/spool.h"
#include "outside/macro.h"

struct deliver {
    const struct config *config;
    struct macro_run run; /* whom it is for */
    int message;          /* a descriptor at offset 0 of the finished message */
    struct arena *arena;  /* for this run; what it returns is there */
};

/* What the command did, for the log. Spans are in the arena. */
struct deliver_report {
    struct child_result child;
    struct span said;       /* the first line that it printed */
    struct span complained; /* the first line that it wrote to its descriptor 2 */
};

/* Runs the command. From a success on, the message is safe: the command has said so. */
struct smtp_reply deliver_message(const struct deliver *d, struct deliver_report *report);

/* The program of a command: a path is taken as it is, a name is looked for in MACRO_PATH. NULL
 * and errno when there is none that can be executed. `room` holds the path. */
const char *deliver_program(struct span name, struct text *room);

#endif
