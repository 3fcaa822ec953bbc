#include "sandbox/handlers.h"

#include <string.h>

struct smtp_transaction *monitor_transaction_of(const struct monitor *m)
{
    return &m->backend->session->transaction;
}

enum smtp_path_result monitor_read_address(struct monitor *m, struct span address, bool forward,
                                           struct smtp_mailbox *out)
{
    char room[SMTP_ADDRESS_MAX + 2];
    struct text path = TEXT(room);
    const struct smtp_tolerance *t = &m->backend->config->smtp.tolerate;
    enum smtp_path_result result;
    struct span in;

    text_addc(&path, '<');
    text_add(&path, address);
    text_addc(&path, '>');
    in = text_span(&path);
    result = forward ? smtp_forward_path(&in, m->arena, out, t)
                     : smtp_reverse_path(&in, m->arena, out, t);
    if (result == SMTP_PATH_OK && (in.n > 0 || !span_eq(out->address, address)))
        return SMTP_PATH_SYNTAX;
    return result;
}

void monitor_end_transaction(struct monitor *m)
{
    smtp_forget_transaction(m->backend->session);
    m->over = true;
}

const char *monitor_keep_greeting(struct monitor *m, const struct request *r)
{
    struct smtp_session *s = m->backend->session;

    if (r->helo.n > sizeof s->helo_room ||
        (r->helo.n > 0 && !smtp_is_helo_name(r->helo, m->backend->config->smtp.tolerate.kinds)))
        return "has a name that is none";
    if (r->helo.n > 0)
        memcpy(s->helo_room, r->helo.p, r->helo.n);
    s->helo = (struct span){.p = s->helo_room, .n = r->helo.n};
    s->esmtp = r->esmtp;
    s->commands = r->commands;
    return NULL;
}

/* partial = single: others only where PRDR may give each its reply. */
static uint64_t most_recipients(const struct smtp_options *o)
{
    return o->single && !o->lmtp && !o->prdr ? 1 : o->max_recipients;
}

bool monitor_has_open_transaction(const struct monitor *m)
{
    return m->state == MONITOR_IDLE && !m->over && m->transaction > 0 &&
           m->transaction <= m->backend->config->smtp.max_transactions;
}

/* Decided here as in the worker; kept here: nobody else gets the message. */
static const char *add_recipient(struct monitor *m, struct span address)
{
    struct smtp_transaction *t = monitor_transaction_of(m);
    struct smtp_recipient *recipient;

    if (!monitor_has_open_transaction(m))
        return "has a recipient of no transaction";
    if (t->recipients >= most_recipients(&m->backend->config->smtp))
        return "has too many recipients";
    recipient = arena_get(m->arena, sizeof *recipient);
    if (recipient == NULL)
        return "has more recipients than room for them";
    *recipient = (struct smtp_recipient){.next = NULL};
    if (monitor_read_address(m, address, true, &recipient->mailbox) != SMTP_PATH_OK)
        return "has a recipient that is no mailbox";
    if (backend_decide(m->backend, &recipient->mailbox).opinion != SMTP_ACCEPT)
        return "has a recipient that is refused";
    backend_add_recipient(m->backend, &recipient->mailbox, m->arena);
    smtp_add_recipient(t, recipient);
    return NULL;
}

const char *monitor_add_recipients(struct monitor *m, struct span added)
{
    struct packet p = {.left = added};
    const char *wrong = NULL;

    while (p.left.n > 0 && wrong == NULL) {
        const struct span address = packet_text(&p, SMTP_ADDRESS_MAX);

        wrong = p.wrong ? "sends what is no request" : add_recipient(m, address);
    }
    return wrong;
}

/* They are what every request may have (monitor_handle): nothing is left to be done. */
const char *monitor_take_recipients(struct monitor *m, const struct request *r)
{
    (void)m;
    (void)r;
    return NULL;
}

/* A question that the worker can't answer itself. Nobody is added by it. */
const char *monitor_decide(struct monitor *m, const struct request *r)
{
    const size_t mark = m->arena->used;
    struct smtp_mailbox mailbox;
    struct smtp_verdict verdict = {.opinion = SMTP_DEFER};
    uint64_t deadline = 0;

    if (!monitor_has_open_transaction(m))
        return "asks of a recipient of no transaction";
    switch (monitor_read_address(m, r->address, true, &mailbox)) {
    case SMTP_PATH_OK:
        verdict = backend_decide(m->backend, &mailbox);
        break;
    case SMTP_PATH_FULL:
        break;
    default:
        return "asks of a recipient that is no mailbox";
    }
    m->arena->used = mark;
    m->room.n = 0;
    packet_put_number(&m->room, verdict.opinion);
    request_write_reply(&m->room, &verdict.reply);
    return monitor_send_answer(m, &deadline);
}
