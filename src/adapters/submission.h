/* What the header of a submitted message lacks, or has too much (RFC 6409 8): fields are added,
 * Bcc: is removed, and what has no author is refused. Only as the settings want it; the text below
 * the header is not looked at. */
#ifndef SMTPIN_ADAPTERS_SUBMISSION_H
#define SMTPIN_ADAPTERS_SUBMISSION_H

#include "adapters/head.h"
#include "io/spool.h"

enum { SUBMISSION_HEADER_MAX = 1024 * 1024 };

enum submission_result {
    SUBMISSION_FINE,
    SUBMISSION_REFUSED, /* it has no From: */
    SUBMISSION_BROKEN, /* Bcc: may stand behind a line that is no field: others may find it there */
    SUBMISSION_TOO_LONG, /* its header has more than SUBMISSION_HEADER_MAX octets */
    SUBMISSION_NO_ROOM,  /* it could not be changed, and must not go on as it is */
};

/* Looks at the header of the finished spool behind its first *head octets, which are ours. What is
 * added stands below them, and they become more; or below an mbox file's mark, and they do not.
 * `a`: for the time of the call. */
enum submission_result submission_fix(const struct head_facts *f, struct spool *spool, size_t *head,
                                      struct arena *a);

/* What the client hears of it, and the record's note; NULL: the message may go on. */
const struct smtp_reply *submission_reply(enum submission_result result, const char **note);

#endif
