/* Certificates that change while a process serves: renewals, and their end. */
#ifndef SMTPIN_COMMANDS_TLS_RENEW_H
#define SMTPIN_COMMANDS_TLS_RENEW_H

#include "commands/tls/service.h"

#include <stdint.h>

struct renewal {
    uint64_t self_signed_due; /* on the clock of clock_now */
    uint64_t expiry_due;      /* when the ends are looked at again */
};

enum { EXPIRY_DAYS = 14 };

/* After service_open. */
void renewal_open(struct renewal *r, const struct tls_service *s);
/* Loads again what has changed. A certificate that can't be used keeps the old one, and is reported
 * once. One that ends within EXPIRY_DAYS is reported once a day. */
void renewal_look(struct renewal *r, struct tls_service *s);
/* Days until the certificate ends, below 0 after that; and `when`, as 2026-12-31. */
int renewal_days(const X509 *x, char when[16]);

#endif
