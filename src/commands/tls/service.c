#include "commands/tls/service.h"

#include "base/text.h"
#include "commands/tls/context.h"
#include "commands/tls/load.h"
#include "commands/tls/report.h"

#include <poll.h>

enum {
    TRIES = 40, /* until files are whole that somebody is replacing */
    PAUSE = 50, /* milliseconds between them */
};

void service_open(struct tls_service *s, const struct tls_options *o)
{
    struct text wrong = TEXT(s->unavailable);

    s->options = o;
    s->ctx = NULL;
    s->certificates = load_certificates(o);
    if (s->certificates == NULL)
        text_add(&wrong, SPAN("no memory"));
    else if (s->certificates->n > 0 || (o->mode == TLS_CLIENT && s->certificates->problems == 0))
        s->ctx = context_new(o, s->certificates, &wrong);
    else
        text_adds(&wrong, s->certificates->problem[0]);
    text_string(&wrong);
}

void service_open_patiently(struct tls_service *s, const struct tls_options *o)
{
    service_open(s, o);
    for (int i = 0; i < TRIES && s->certificates != NULL && s->certificates->problems > 0 &&
                    certificates_fresh(s->certificates);
         i++) {
        service_close(s);
        poll(NULL, 0, PAUSE);
        service_open(s, o);
    }
}

void service_report(const struct tls_service *s)
{
    const struct certificates *c = s->certificates;
    const int priority = s->ctx == NULL ? LOG_ERR : LOG_WARNING;

    for (size_t i = 0; c != NULL && i < c->problems; i++)
        report(priority, "%s", c->problem[i]);
    if (s->ctx == NULL &&
        (c == NULL || c->problems == 0 || strcmp(c->problem[0], s->unavailable) != 0))
        report(LOG_ERR, "%s", s->unavailable);
}

void service_close(struct tls_service *s)
{
    SSL_CTX_free(s->ctx);
    certificates_forget(s->certificates);
    s->ctx = NULL;
    s->certificates = NULL;
}
