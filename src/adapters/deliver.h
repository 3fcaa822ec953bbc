/* The hand-over: an accepted message to the administrator's command, in one run for all recipients
 * or one for each, until every recipient has a result. How a run is started, and what its end
 * means, is not written here: run.h, outcome.h. */
#ifndef SMTPIN_ADAPTERS_DELIVER_H
#define SMTPIN_ADAPTERS_DELIVER_H

#include "adapters/delivery.h"

/* Runs the command, once or for each recipient. Every recipient has a result afterwards; from a
 * success on, its mail is safe: the command has said so. */
void deliver_all(const struct deliver *d, struct deliver_report *report);
/* The octets before the message: which fields stand in the spool for all runs (enum config_trace),
 * and which are each run's own. */
uint64_t deliver_common_fields(const struct config *c);

#endif
