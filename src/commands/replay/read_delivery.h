/* The D: lines of a transcript. */
#ifndef SMTPIN_REPLAY_READ_DELIVERY_H
#define SMTPIN_REPLAY_READ_DELIVERY_H

#include "commands/replay/reader.h"

/* What is behind "D:". */
void read_delivery(struct reader *r, struct span rest);
/* The lines behind "D<<". */
void read_delivered(struct reader *r);

#endif
