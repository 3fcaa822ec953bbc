/* The S: and S| lines of a transcript. */
#ifndef SMTPIN_REPLAY_READ_REPLY_H
#define SMTPIN_REPLAY_READ_REPLY_H

#include "commands/replay/reader.h"

/* What is behind "S:": a step that expects it. */
void read_reply(struct reader *r, struct span raw);
/* What is behind "S|": the step before accepts it too. */
void read_other_reply(struct reader *r, struct span raw);

#endif
