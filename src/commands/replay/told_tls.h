/* The facts of a session's TLS: what a transcript states, and what has been. */
#ifndef SMTPIN_REPLAY_TOLD_TLS_H
#define SMTPIN_REPLAY_TOLD_TLS_H

#include "base/text.h"
#include "commands/replay/differences.h"
#include "commands/replay/transcript.h"

/* One difference for all that is not as stated. What the transcript does not state, and the
 * client's name, which only the server knows, are not compared. */
void told_tls_compare(const struct told_tls *stated, const struct tls_facts *is,
                      struct differences *d);
/* OpenSSL's name of a cipher for TLS 1.2 that has this IANA name: ECDHE-RSA-AES128-GCM-SHA256. That
 * of another one is the IANA name, as OpenSSL has it. */
void told_tls_cipher(struct text *out, struct span iana);
/* Is it a cipher of TLS 1.3, which says nothing of keys? */
bool told_tls_is_suite(struct span iana);
/* With ECDSA and RSA, which are the certificate's, taken for the same. */
bool told_tls_same_cipher(struct span iana, struct span other);

#endif
