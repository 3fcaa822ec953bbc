/* The check: and policy: lines of a transcript, and its tables. */
#ifndef SMTPIN_REPLAY_READ_ASKED_H
#define SMTPIN_REPLAY_READ_ASKED_H

#include "commands/replay/reader.h"

/* What is behind "check:" and "policy:". */
void read_check(struct reader *r, struct span rest);
void read_policy(struct reader *r, struct span rest);
/* In front of a line of another kind, and of the end: what is asked must have been answered. */
void read_asked_end(struct reader *r, const struct told *still_open);
/* The lines behind "T<< NAME". */
void read_table(struct reader *r, struct span name);

#endif
