/* What a process needs to serve connections: certificates and OpenSSL's context with them. */
#ifndef SMTPIN_COMMANDS_TLS_SERVICE_H
#define SMTPIN_COMMANDS_TLS_SERVICE_H

#include "commands/tls/certificates.h"
#include "commands/tls/options.h"

struct tls_service {
    const struct tls_options *options;
    struct certificates *certificates;
    SSL_CTX *ctx;          /* NULL: there is none, and `unavailable` says why */
    char unavailable[500]; /* printable ASCII */
};

/* Loads the certificates and makes the context. What is wrong is in `unavailable`, and in the
 * certificates' problems. */
void service_open(struct tls_service *s, const struct tls_options *o);
/* The same, by a process that has had no certificates before: where something is wrong with files
 * that have just been changed, it waits until they are whole, for a moment. */
void service_open_patiently(struct tls_service *s, const struct tls_options *o);
/* Reports the certificates' problems, and why there is no context. */
void service_report(const struct tls_service *s);
void service_close(struct tls_service *s);

#endif
