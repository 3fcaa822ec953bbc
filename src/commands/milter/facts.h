/* What filters are told of the session, from the environment (smtpin-delivery(7)), and as macros:
 * by the names that sendmail has given them. */
#ifndef SMTPIN_COMMANDS_MILTER_FACTS_H
#define SMTPIN_COMMANDS_MILTER_FACTS_H

#include "commands/milter/reply.h"

enum { FACTS_MACROS_MAX = 32 /* of the administrator's own */ };

/* NAME=VALUE; the name without braces. */
struct fact_macro {
    struct span name, value;
};

struct facts {
    const char *host; /* j */
    struct fact_macro own[FACTS_MACROS_MAX];
    size_t n;
    struct span sender, recipient; /* of now; the recipient at MILTER_RCPT */
};

/* Adds the packet of the macros for an event, unless there are none to send. `names`: those that
 * the filter wants, as sendmail's configuration has them: "i {auth_type}"; .p NULL: those that
 * Postfix sends by default, and the administrator's own with the connection. */
void facts_add_macros(struct text *out, const struct facts *f, enum milter_event event,
                      struct span names);
/* The stage (SMFIM_*) whose macros go with an event; MILTER_STAGES: none do. */
size_t facts_stage(enum milter_event event);
/* Adds the packet of MILTER_CONNECT. */
void facts_add_connection(struct text *out);

#endif
