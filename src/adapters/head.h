/* What is added to an accepted message and its envelope before the hand-over. What the client has
 * sent is not changed. */
#ifndef SMTPIN_ADAPTERS_HEAD_H
#define SMTPIN_ADAPTERS_HEAD_H

#include "adapters/peer.h"
#include "config/config.h"
#include "syntax/idn.h"

enum {
    HEAD_PREPENDED_MAX = 4096,
    HEAD_MAX = 4096 + 2 * HEAD_PREPENDED_MAX, /* their line ends may be two octets */
};

/* The trace fields in `which` (enum config_trace), to stand before the message. `recipient` is the
 * only one who gets this copy; NULL where there are several. `out` has HEAD_MAX bytes. */
struct head_facts {
    const struct config *config;
    const struct smtp_session *session;
    const struct peer *peer;
    struct span id;
    uint64_t time;
    struct span prepended; /* fields that a policy server wants above Received: (rules.h) */
};
void head_write(struct text *out, const struct head_facts *f, uint64_t which,
                const struct smtp_recipient *recipient);
/* The line end of what is ours in the session's message: as the command wants it, but CRLF in one
 * whose octets stay as they are (RFC 3030 3: its header has no other). */
struct span head_line_end(const struct config *c, const struct smtp_session *s);
/* Such fields alone. */
void head_write_prepended(struct text *out, struct span line_end, struct span prepended);
/* Who gets the message of a transaction, if that is only one; else NULL. */
const struct smtp_recipient *head_only_recipient(const struct smtp_session *s);
/* Gives <postmaster> without a domain one of ours: a command and a Maildir want a domain. Where the
 * arena is full it stays as it is. */
void head_complete(const struct config *c, struct arena *a, struct smtp_mailbox *mailbox);
/* All that an accepted recipient gets, and those who are in its place: this and the next one. */
void head_complete_recipient(const struct config *c, struct arena *a,
                             struct smtp_recipient *recipient);
/* Gives a mailbox whose domain has octets outside ASCII its `ascii`, where that can be had. Not for
 * the worker of a sandbox: syntax/idn.h. */
void head_find_ascii(struct idn *idn, struct arena *a, struct smtp_mailbox *mailbox);

#endif
