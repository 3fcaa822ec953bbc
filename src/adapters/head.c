#include "adapters/head.h"

#include "smtp/trace.h"
#include "syntax/idn.h"

const struct smtp_recipient *head_only_recipient(const struct smtp_session *s)
{
    return s->transaction.targets == 1 ? smtp_first_target(&s->transaction) : NULL;
}

struct span head_line_end(const struct config *c, const struct smtp_session *s)
{
    const bool crlf = c->line_ending || s->transaction.body == SMTP_BODY_BINARYMIME;

    return crlf ? SPAN("\r\n") : SPAN("\n");
}

void head_write_prepended(struct text *out, struct span line_end, struct span prepended)
{
    struct span line;

    while (span_word(&prepended, "\n", &line)) {
        text_add(out, line);
        text_add(out, line_end);
    }
}

void head_write(struct text *out, const struct head_facts *f, uint64_t which,
                const struct smtp_recipient *recipient)
{
    static const struct tls_facts none = {.protocol = {0}};
    const struct span line_end = head_line_end(f->config, f->session);
    const struct tls_facts *tls = f->peer->tls == NULL ? &none : f->peer->tls;
    const struct smtp_trace trace = {
        .hostname = f->config->smtp.hostname,
        .helo = f->session->helo,
        .client_name = f->peer->name,
        .client_address = f->peer->address,
        .protocol = smtp_session_protocol(f->session, f->session->transaction.smtputf8),
        .id = f->id,
        .recipient = recipient == NULL ? SPAN("") : recipient->mailbox.address,
        .original =
            recipient == NULL || recipient->of == NULL ? SPAN("") : recipient->of->mailbox.address,
        .sender = f->session->transaction.reverse_path.address,
        .tls_version = tls->protocol,
        .tls_cipher = tls->cipher_iana,
        .tls_group = tls->group,
        .tls_sni = tls->sni,
        .tls_client = tls_facts_verified(tls) ? tls->name : SPAN(""),
        .time = f->time,
        .crlf = line_end.n == 2,
    };

    if (which & CONFIG_TRACE_RETURN_PATH)
        smtp_trace_return_path(out, &trace);
    if (which & CONFIG_TRACE_ORIGINAL_TO)
        smtp_trace_original_to(out, &trace);
    if (which & CONFIG_TRACE_DELIVERED_TO)
        smtp_trace_delivered_to(out, &trace);
    head_write_prepended(out, line_end, f->prepended);
    if (which & CONFIG_TRACE_RECEIVED)
        smtp_trace_received(out, &trace);
}

void head_complete(const struct config *c, struct arena *a, struct smtp_mailbox *mailbox)
{
    char room[SMTP_LOCAL_MAX + SMTP_DOMAIN_MAX + 1];
    struct text address = TEXT(room);
    struct span domain, whole, own;

    if (mailbox->domain.n > 0)
        return;
    domain = config_own_domain(c);
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

void head_find_ascii(struct idn *idn, struct arena *a, struct smtp_mailbox *mailbox)
{
    char room[SMTP_DOMAIN_MAX + 1];
    struct text ascii = TEXT(room);

    if (mailbox->ascii.n == 0 && !span_is_ascii(mailbox->domain) &&
        idn_to_ascii(idn, mailbox->domain, &ascii) == IDN_OK)
        mailbox->ascii = arena_copy(a, text_span(&ascii));
}

void head_complete_recipient(const struct config *c, struct arena *a,
                             struct smtp_recipient *recipient)
{
    head_find_ascii(c->idn, a, &recipient->mailbox);
    head_complete(c, a, &recipient->mailbox);
    for (struct smtp_recipient *r = recipient->aliased; r != NULL; r = r->next) {
        head_find_ascii(c->idn, a, &r->mailbox);
        head_complete(c, a, &r->mailbox); /* a check command may say "postmaster" */
    }
}
