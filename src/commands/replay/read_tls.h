/* Where TLS begins in a transcript, and the line that tells of it: "tls = TLSv1.3 ...". */
#ifndef SMTPIN_REPLAY_READ_TLS_H
#define SMTPIN_REPLAY_READ_TLS_H

#include "commands/replay/reader.h"

/* Are these the facts of a session's TLS? Then *facts is the value. Otherwise it is a setting. */
bool read_tls_is_facts(struct span line, struct span *facts);
/* `at_top`: nothing of the session stands before the line. */
void read_tls_facts(struct reader *r, struct span facts, bool at_top);
/* A step has been read that sends something; these are its octets, as far as they are known. TLS
 * begins before it, where the reply to STARTTLS stands before it. */
void read_tls_sent(struct reader *r, struct span bytes);
/* A step has been read that expects something. */
void read_tls_expected(struct reader *r, struct step *s);

#endif
