/* What is added to an accepted message and its envelope before the hand-over. */
#ifndef SMTPIN_OUTSIDE_HEAD_H
#define SMTPIN_OUTSIDE_HEAD_H

#include "config.h"
#include "outside/peer.h"

enum { HEAD_MAX = 4096 };

/* The trace fields that `trace_headers` asks for, to stand before the message. `out` has HEAD_MAX
 * bytes. */
void head_write(struct text *out, const struct config *c, const struct smtp_session *s,
                const struct peer *peer, struct span id, uint64_t time);
/* Gives <postmaster> without a domain one of ours: a command and a Maildir want a domain. Where the
 * arena is full it stays as it is. */
void head_complete(const struct config *c, struct arena *a, struct smtp_mailbox *mailbox);

#endif
