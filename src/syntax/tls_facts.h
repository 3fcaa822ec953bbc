/* What is known of a session's TLS, as smtpin-tls says it (syntax/tls_talk.h), or a super-server in
 * the environment. Nothing of it is believed before its form has been checked: it goes into header
 * fields, the log, other programs' environment. */
#ifndef SMTPIN_SYNTAX_TLS_FACTS_H
#define SMTPIN_SYNTAX_TLS_FACTS_H

#include "base/span.h"

#include <stdint.h>

/* Empty spans: not known. */
struct tls_facts {
    struct span protocol, cipher, cipher_iana, bits, group, sni;
    struct span verify; /* NONE, SUCCESS, FAILED:reason */
    struct span subject, issuer, name, fingerprint,
        key_fingerprint;             /* of the client's certificate */
    struct span server_end;          /* 2026-12-31T23:59:59Z */
    struct span exporter, end_point; /* small hexadecimal digits */
};

/* Is there TLS? */
static inline bool tls_facts_known(const struct tls_facts *f)
{
    return f->protocol.n > 0;
}

/* Has a certificate authority of ours vouched for the client's name? */
static inline bool tls_facts_verified(const struct tls_facts *f)
{
    return f->name.n > 0 && span_eq(f->verify, SPAN("SUCCESS"));
}

/* One fact; a name that is none, or a value that has not its form, is passed over. `value` must
 * outlive *f. */
void tls_facts_set(struct tls_facts *f, struct span name, struct span value);
/* Takes NAME=VALUE from fields that each end with a NUL; what is behind the last NUL is no field.
 * False: there is none left. */
bool tls_next_field(struct span *fields, struct span *name, struct span *value);
/* From such fields, which must outlive *f. False: they do not say which version is spoken. */
bool tls_facts_read(struct span fields, struct tls_facts *f);
/* From the variables that `get` knows (io/environment.h). */
bool tls_facts_find(const char *(*get)(const char *name), struct tls_facts *f);
/* How many days are left at that time (seconds since 1970) of a certificate that ends then
 * (server_end); -1 once it has ended. False: its form is another. */
bool tls_days_left(struct span server_end, uint64_t now, int64_t *days);

#endif
