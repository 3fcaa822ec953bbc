/* What each macro and variable of a delivery command stands for. */
#ifndef SMTPIN_ADAPTERS_COMMAND_FACTS_H
#define SMTPIN_ADAPTERS_COMMAND_FACTS_H

#include "adapters/peer.h"
#include "smtp/session.h"
#include "syntax/macro.h"

/* A run of a command: the facts, and the recipients that it is for. */
struct command_run {
    const struct smtp_session *session;
    const struct peer *peer;
    struct span id;
    struct span delimiter; /* between user and extension: any of its bytes */
    uint64_t size;
    struct span digest;  /* empty: none was made */
    struct span replies; /* command_replies */
    bool hold;           /* a policy server wants the message held */
    struct span check;   /* what a check command is asked about; empty: it is no check */
    const struct smtp_recipient *const *recipient;
    size_t recipients; /* 0, and `recipient` may be NULL: a check that is about none */
};

/* Appends the fact. `r` is the recipient that a fact of each recipient is about; else it is not
 * looked at. */
typedef void command_fact(struct text *out, const struct command_run *run,
                          const struct smtp_recipient *r);

/* One for each row of syntax/macro.h, which has the names. */
extern command_fact *const command_facts[MACROS];

#endif
