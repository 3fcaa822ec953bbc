/* The auth: lines of a transcript. */
#ifndef SMTPIN_REPLAY_READ_AUTH_H
#define SMTPIN_REPLAY_READ_AUTH_H

#include "commands/replay/reader.h"

/* What is behind "auth:". */
void read_auth(struct reader *r, struct span rest);

#endif
