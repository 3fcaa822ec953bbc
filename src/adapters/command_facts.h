/* What each macro and variable of a delivery command stands for. */
#ifndef SMTPIN_ADAPTERS_COMMAND_FACTS_H
#define SMTPIN_ADAPTERS_COMMAND_FACTS_H

#include "adapters/command.h"
#include "syntax/macro.h"

/* Appends the fact. `r` is the recipient that a fact of each recipient is about; else it is not
 * looked at. */
typedef void command_fact(struct text *out, const struct command_run *run,
                          const struct smtp_recipient *r);

/* One for each row of syntax/macro.h, which has the names. */
extern command_fact *const command_facts[MACROS];

#endif
