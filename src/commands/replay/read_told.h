/* What the readers of runs and of questions share: read_delivery.c, read_asked.c. */
#ifndef SMTPIN_REPLAY_READ_TOLD_H
#define SMTPIN_REPLAY_READ_TOLD_H

#include "commands/replay/reader.h"

/* A further run or question, at the reader's line; NULL: r->wrong says why not. */
struct told *read_told(struct reader *r, enum told_kind kind);
/* It must look like that. The value may have escapes. */
void read_expectation(struct reader *r, struct told *t, struct span name, struct span value);
/* Its last end. */
void read_exit_status(struct reader *r, struct told *t, struct span value);
/* A word that stands alone. */
void read_nothing(struct reader *r, struct span behind);

#endif
