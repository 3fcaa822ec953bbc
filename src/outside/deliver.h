/* The hand-over: an accepted message to the administrator's command, its answers to each
 * recipient's result. */
#ifndef SMTPIN_OUTSIDE_DELIVER_H
#define SMTPIN_OUTSIDE_DELIVER_H

#include "config.h"
#include "io/child.h"
#include "io/spool.h"
#include "outside/head.h"

struct deliver {
    struct head_facts facts;
    struct smtp_transaction *transaction; /* its recipients get their results */
    const struct spool *spool;            /* finished */
    size_t head;                          /* octets of ours at the front of the message */
    uint64_t size;                        /* octets of the message as it came */
    struct span digest;
    struct arena *arena;          /* for this hand-over; results point into it */
    void (*lasts)(void *context); /* called once it is no matter of milliseconds */
    void *context;
};

struct deliver_run {
    struct child_result result;
    struct span said; /* all that it printed, as far as it was kept */
};

/* What became of it, for the log. Spans are in the arena. */
struct deliver_report {
    const struct deliver_run *run; /* each run, in the order of its recipients */
    size_t runs;
    struct child_result child; /* of the run that went worst */
    struct span complained;    /* the first line that a run wrote to its descriptor 2 */
    const char
        *note; /* what is odd about the message: "no_header", "header_end", "loop"; or NULL */
    size_t accepted, deferred, refused;
    bool waited; /* a run was no matter of milliseconds */
};

/* Runs the command, once or for each recipient. Every recipient has a result afterwards; from a
 * success on, its mail is safe: the command has said so. */
void deliver_all(const struct deliver *d, struct deliver_report *report);
/* The one answer of a run that ended so, having printed `said`. Its text is in the arena. */
struct smtp_reply deliver_answer(const struct config *config, const struct child_result *result,
                                 struct span said, struct span id, struct arena *a);
/* deliver_replies = each: a line for each recipient, in order, no more and no fewer, becomes its
 * result; else nobody knows what belongs to whom, and all are told to come again. */
void deliver_take_lines(struct span said, struct span id, struct smtp_recipient *const *recipient,
                        size_t n, struct arena *a);
/* The octets before the message: which fields stand in the spool for all runs (enum config_trace),
 * and which are each run's own. */
uint64_t deliver_common_fields(const struct config *c);

/* The program of a command: a path is taken as it is, a name is looked for in MACRO_PATH. NULL
 * and errno when there is none that can be executed. `room` holds the path. */
const char *deliver_program(struct span name, struct text *room);

#endif
