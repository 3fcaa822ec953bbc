#include "outside/head.h"

#include "smtp/trace.h"

void head_write(struct text *out, const struct config *c, const struct smtp_session *s,
                const struct peer *peer, struct span id, uint64_t time)
{
    const struct smtp_transaction *t = &s->transaction;
    const struct smtp_trace trace = {
        .hostname = c->smtp.hostname,
        .helo = s->helo,
        .client_name = peer->name,
        .client_address = peer->address,
        .protocol = smtp_session_protocol(s),
        .id = id,
        .recipient = t->recipients == 1 ? t->first->mailbox.address : SPAN(""),
        .sender = t->reverse_path.address,
        .time = time,
        .crlf = c->line_ending,
    };

    if (c->trace_headers & CONFIG_TRACE_RETURN_PATH)
        smtp_trace_return_path(out, &trace);
    if (c->trace_headers & CONFIG_TRACE_DELIVERED_TO)
        smtp_trace_delivered_to(out, &trace);
    if (c->trace_headers & CONFIG_TRACE_RECEIVED)
        smtp_trace_received(out, &trace);
}

void head_complete(const struct config *c, struct arena *a, struct smtp_mailbox *mailbox)
{
    const struct span domain = config_own_domain(c);
    char room[SMTP_LOCAL_MAX + SMTP_DOMAIN_MAX + 1];
    struct text address = TEXT(room);
    struct span whole, own;

    if (mailbox->domain.n > 0)
        return;
    text_add(&address, mailbox->local);
    text_addc(&address, '@');
    text_add(&address, domain);
    whole = arena_copy(a, text_span(&address));
    own = arena_copy(a, domain);
    if (whole.p == NULL || own.p == NULL)
        return;
    mailbox->address = whole;
    mailbox->domain = own;
}
