/* The hand-over: an accepted message to the administrator's command, its answers to each
 * recipient's result. */
#ifndef SMTPIN_ADAPTERS_DELIVER_H
#define SMTPIN_ADAPTERS_DELIVER_H

#include "adapters/delivery.h"

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

/* The program of a command: a path is taken as it is, a name is looked for in COMMAND_PATH. NULL
 * and errno when there is none that can be executed. `room` holds the path. */
const char *deliver_program(struct span name, struct text *room);

#endif
