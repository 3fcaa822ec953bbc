/* What the monitor does with each kind of request, and what those functions have in common. Each
 * checks the request against what the monitor knows; none believes it. They return NULL, or what is
 * wrong with it: no honest session asks for such a thing, and this one is ended. */
#ifndef SMTPIN_SANDBOX_HANDLERS_H
#define SMTPIN_SANDBOX_HANDLERS_H

#include "sandbox/monitor.h"

#define MONITOR_HANDLER(kind, handler, pace, fields)                                               \
    const char *monitor_##handler(struct monitor *m, const struct request *r);
REQUEST_KINDS(MONITOR_HANDLER)
#undef MONITOR_HANDLER

/* monitor-worker.c: the process on the other end. */

/* Sends the worker one packet of an answer, which is in m->room. *deadline, 0 at first, is for all
 * packets of the answer; it is set once one has to wait. */
const char *monitor_send_answer(struct monitor *m, uint64_t *deadline);

/* monitor-envelope.c: the monitor's own transaction. */

struct smtp_transaction *monitor_transaction_of(const struct monitor *m);
/* May somebody be added now? */
bool monitor_has_open_transaction(const struct monitor *m);
void monitor_end_transaction(struct monitor *m);
/* Parses the address once more, as a path of its own. What *out points to is in m->arena. */
enum smtp_path_result monitor_read_address(struct monitor *m, struct span address, bool forward,
                                           struct smtp_mailbox *out);
/* The name of EHLO, once it has been checked: trace fields and variables of the command say it. */
const char *monitor_keep_greeting(struct monitor *m, const struct request *r);
/* Adds the recipients of a request to the transaction: each is decided here once more. */
const char *monitor_add_recipients(struct monitor *m, struct span added);

/* monitor-log.c: what the log and the service manager hear. */

/* The session's own words on the results of a message, as the worker will say them. */
void monitor_log_results(struct monitor *m, const struct smtp_data *data);

#endif
