/* What a message's own header says of its delivery, before any command runs: that it goes in
 * circles, or ends with a line that is no field. Part of the hand-over (adapters/deliver.h).
 * Nothing is started here, and the message is not changed. */
#ifndef SMTPIN_ADAPTERS_JUDGE_H
#define SMTPIN_ADAPTERS_JUDGE_H

#include "adapters/delivery.h"

/* Gives a result to each recipient for whom there is to be no run, counts it in *report, and clears
 * the others' (reply code 0). Looks at the first 64 KiB of the finished spool. */
void judge_header(const struct deliver *d, struct deliver_report *report);

#endif
