/* The state file: totals, and where in the journal the run before has come to. Text:
 *
 *     smtpin-report state 1
 *     cursor s=...
 *     NAME VALUE            a line for each total (totals_next)
 *     sum SHA-256           of all lines before it
 *
 * A file that is not whole, or was changed, is refused: counters must never go back. */
#ifndef SMTPIN_COMMANDS_REPORT_STATE_H
#define SMTPIN_COMMANDS_REPORT_STATE_H

#include "commands/report/journal.h"
#include "commands/report/totals.h"

#include <stdio.h>

enum { STATE_MAX = 32768 }; /* octets */

/* An empty one is a state of all zeros. NULL, or what is wrong with it. A total that this program
 * does not know is left out. */
const char *state_parse(struct span all, struct totals *t, char cursor[JOURNAL_CURSOR_MAX]);
/* False: there is no room. */
bool state_write(struct text *out, struct totals *t, const char *cursor);

#endif
