#include "commands/tls/renew.h"

#include "commands/tls/rehearse.h"
#include "commands/tls/report.h"
#include "commands/tls/self_signed.h"
#include "io/clock.h"

#include <time.h>

#define DAY UINT64_C(86400000) /* milliseconds */

int renewal_days(const X509 *x, char when[16])
{
    const ASN1_TIME *end = X509_get0_notAfter(x);
    int days = 0, seconds = 0;
    struct tm t;

    when[0] = '\0';
    if (ASN1_TIME_to_tm(end, &t) != 1 || ASN1_TIME_diff(&days, &seconds, NULL, end) != 1)
        return 0;
    strftime(when, 16, "%Y-%m-%d", &t);
    return seconds < 0 ? days - 1 : days;
}

static void look_at_ends(struct renewal *r, const struct tls_service *s)
{
    const uint64_t now = clock_now();
    const struct certificates *c = s->certificates;

    if (now < r->expiry_due)
        return;
    r->expiry_due = now + DAY;
    for (size_t i = 0; c != NULL && i < c->n; i++) {
        char when[16];
        const int days = renewal_days(c->pair[i].leaf, when);

        if (strcmp(c->pair[i].chain_path, "self-signed") == 0 || days >= EXPIRY_DAYS)
            continue;
        if (days < 0)
            report(LOG_ERR, "%s: the certificate has expired (%s)", c->pair[i].chain_path, when);
        else
            report(LOG_WARNING, "%s: the certificate expires on %s, in %d days",
                   c->pair[i].chain_path, when, days);
    }
}

void renewal_open(struct renewal *r, const struct tls_service *s)
{
    r->expiry_due = 0;
    r->self_signed_due = clock_now() + SELF_SIGNED_DAYS * DAY / 2;
    look_at_ends(r, s);
}

/* A pair that is half written has a problem, and is missing; another's old problem stops nothing.
 */
static bool is_better(const struct tls_service *next, const struct tls_service *s)
{
    return s->ctx == NULL || (next->ctx != NULL && (next->certificates->problems == 0 ||
                                                    next->certificates->n >= s->certificates->n));
}

static bool is_due(const struct renewal *r, const struct tls_service *s)
{
    const struct certificates *c = s->certificates;

    return c == NULL || certificates_changed(c) || clock_now() >= r->self_signed_due;
}

void renewal_look(struct renewal *r, struct tls_service *s)
{
    struct tls_service next;

    if (is_due(r, s)) {
        service_open(&next, s->options);
        r->self_signed_due = clock_now() + SELF_SIGNED_DAYS * DAY / 2;
        if (is_better(&next, s)) {
            service_close(s);
            *s = next;
            service_report(s);
            rehearse(s->ctx, s->certificates);
            if (s->ctx != NULL)
                report(LOG_NOTICE, "the certificates have changed: new sessions have the new ones");
            r->expiry_due = 0;
        } else {
            service_report(&next);
            report(LOG_WARNING, "the old certificates stay in use");
            /* What was looked at now counts from here on: one report for each change. */
            if (next.certificates != NULL)
                certificates_take_watched(s->certificates, next.certificates);
            service_close(&next);
        }
    }
    look_at_ends(r, s);
}
