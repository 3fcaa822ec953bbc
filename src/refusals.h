/* The connections that a listening process refuses: each client hears why, and the log gets one
 * record a second at the most of each kind, with their number. Who is refused is never decided
 * here (adapters/admission.h), and nothing that a client has sent is looked at. */
#ifndef SMTPIN_REFUSALS_H
#define SMTPIN_REFUSALS_H

#include "adapters/admission.h"
#include "adapters/log.h"
#include "config/config.h"

#include <netinet/in.h>

enum refusal { REFUSED_ALL, REFUSED_SOURCE, REFUSED_PENALTY, REFUSED_FORK, REFUSED_KINDS };

/* All zeros to begin with. */
struct refusals {
    struct refusals_kind {
        uint64_t held, next; /* not in the log yet; when they may be (clock_now) */
        struct log_record record;
        char address[INET6_ADDRSTRLEN];
    } kind[REFUSED_KINDS];
};

/* Tells the client of `fd`, and closes that. For REFUSED_FORK, errno says why. Spans of *c must
 * live until the record is in the log. */
void refusals_tell(struct refusals *r, enum refusal kind, int fd, const struct config *c,
                   const struct admission_guest *g, struct log *log);
/* When the next record is due; UINT64_MAX: there is none. */
uint64_t refusals_next(const struct refusals *r);
/* What is due goes into the log. */
void refusals_log_due(struct refusals *r, struct log *log);
/* All that is held does, due or not. */
void refusals_log_all(struct refusals *r, struct log *log);

#endif
