/* SMTPIN_DIGEST: the same for a message that a client sends again, so that a command can tell. It
 * proves nothing of who has sent it. */
#ifndef SMTPIN_ADAPTERS_DIGEST_H
#define SMTPIN_ADAPTERS_DIGEST_H

#include "base/sha256.h"
#include "config/config.h"

struct digest {
    bool wanted;
    struct sha256 hash;
    char hex[64];
};

/* Is one made for this transaction? `digest = auto` makes it where it can be of use: where the
 * recipients' results may differ and the client hears one reply for all. */
void digest_open(struct digest *d, const struct config *c, const struct smtp_transaction *t);
/* Message bytes, as the command gets them. */
void digest_add(struct digest *d, struct span bytes);
/* Adds the sender and the recipients in the order of their bytes, not of the client's commands.
 * 64 hexadecimal digits in d, or the empty span; also where `a` is full. */
struct span digest_close(struct digest *d, const struct smtp_transaction *t, struct arena *a);

#endif
