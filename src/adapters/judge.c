#include "adapters/judge.h"

#include "smtp/header.h"

enum { HEADER_MAX = 64 * 1024 };

/* The header, as far as its first HEADER_MAX octets tell. Spans in *h are in the arena or in the
 * spool's buffer. */
static void read_header(const struct deliver *d, struct smtp_header *h)
{
    const struct config *config = d->facts.config;
    char *room = arena_get(d->arena, HEADER_MAX);
    const struct span start =
        room == NULL ? SPAN("") : spool_start(d->spool, d->head, room, HEADER_MAX);

    /* Where we write no Received:, whose a Delivered-To: is can't be told. */
    smtp_header_read(
        h, start, config->trace_headers & CONFIG_TRACE_RECEIVED ? config->smtp.hostname : SPAN(""));
}

/* A recipient that has had the message before: it goes in circles. Where the client hears one reply
 * for all (or an alias has one for several), and others have not had it, this one's refusal would
 * make it 451, and the others would get it again and again: it has the message, and gets it no
 * second time. */
static void judge_loops(const struct deliver *d, const struct smtp_header *h,
                        struct deliver_report *report)
{
    const bool each = smtp_session_hears_each(d->facts.session);
    size_t had = 0;

    for (const struct smtp_recipient *r = smtp_first_target(d->transaction); r != NULL;
         r = smtp_next_target(r))
        had += smtp_header_has(h, r->mailbox.address);
    for (struct smtp_recipient *r = smtp_first_target(d->transaction); r != NULL && had > 0;
         r = smtp_next_target(r)) {
        if (!smtp_header_has(h, r->mailbox.address))
            continue;
        if ((each && (r->of == NULL || r->of->aliased->next == NULL)) ||
            had == d->transaction->targets) {
            r->result = *smtp_reply(SMTP_REPLY_DELIVERED_BEFORE);
            report->refused++;
        } else {
            r->result = *smtp_reply(SMTP_REPLY_OK);
            report->accepted++;
            report->note = "loop";
        }
    }
}

void judge_header(const struct deliver *d, struct deliver_report *report)
{
    const struct config *config = d->facts.config;
    const size_t mark = d->arena->used;
    struct smtp_header h;

    read_header(d, &h);
    if (h.none || h.broken)
        report->note = h.none ? "no_header" : "header_end";
    for (struct smtp_recipient *r = smtp_first_target(d->transaction); r != NULL;
         r = smtp_next_target(r)) {
        r->result = (struct smtp_reply){0};
        if (!h.broken || config->header_end == 0)
            continue;
        r->result = *smtp_reply(SMTP_REPLY_DATA_HEADER_END);
        report->refused++;
    }
    if (h.n > 0 && report->refused == 0 && config->trace_headers & CONFIG_TRACE_DELIVERED_TO)
        judge_loops(d, &h, report);
    d->arena->used = mark; /* the header has been read */
}
