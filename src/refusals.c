#include "refusals.h"

#include "io/clock.h"
#include "smtp/reply.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPORT_INTERVAL = 1000 }; /* milliseconds between two records of one kind */

static void log_kind(struct refusals_kind *k, struct log *log)
{
    if (k->held == 0)
        return;
    log_add_number(&k->record, "count", k->held);
    log_end(log, &k->record);
    k->held = 0;
    k->next = clock_now() + REPORT_INTERVAL;
}

void refusals_tell(struct refusals *r, enum refusal kind, int fd, const struct config *c,
                   const struct admission_guest *g, struct log *log)
{
    static const enum smtp_reply_id replies[] = {
        [REFUSED_ALL] = SMTP_REPLY_TOO_MANY_CONNECTIONS,
        [REFUSED_SOURCE] = SMTP_REPLY_TOO_MANY_OF_SOURCE,
        [REFUSED_PENALTY] = SMTP_REPLY_PENALTY,
        [REFUSED_FORK] = SMTP_REPLY_UNAVAILABLE,
    };
    const struct smtp_reply *reply = smtp_reply(replies[kind]);
    struct refusals_kind *k = &r->kind[kind];
    const int error = errno;
    char line[SMTP_REPLY_LINE_MAX];
    struct text t = TEXT(line);

    smtp_reply_line(&t, reply, true, false, c->smtp.hostname);
    /* Who waits for TLS from the first octet on must hear nothing else. */
    if (c->smtp.tls != SMTP_TLS_IMPLICIT)
        (void)!send(fd, t.p, t.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    close(fd);
    k->held++;
    log_begin(&k->record, LOG_REFUSAL, LOG_LEVEL_NOTICE);
    log_add(&k->record, "socket", c->socket);
    log_add(&k->record, "client_address", admission_address(g, k->address, sizeof k->address));
    log_add_reply(&k->record, reply, c->smtp.hostname);
    if (kind == REFUSED_FORK)
        log_add(&k->record, "error", span_of(strerror(error)));
    if (clock_left(k->next) == 0)
        log_kind(k, log);
}

uint64_t refusals_next(const struct refusals *r)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < REFUSED_KINDS; i++)
        if (r->kind[i].held > 0 && r->kind[i].next < next)
            next = r->kind[i].next;
    return next;
}

void refusals_log_due(struct refusals *r, struct log *log)
{
    for (size_t i = 0; i < REFUSED_KINDS; i++)
        if (r->kind[i].held > 0 && clock_left(r->kind[i].next) == 0)
            log_kind(&r->kind[i], log);
}

void refusals_log_all(struct refusals *r, struct log *log)
{
    for (size_t i = 0; i < REFUSED_KINDS; i++)
        log_kind(&r->kind[i], log);
}
