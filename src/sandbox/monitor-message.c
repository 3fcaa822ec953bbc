#include "io/clock.h"
#include "sandbox/handlers.h"

#include <string.h>

static bool needs_utf8(const struct smtp_transaction *t)
{
    bool needs = t->reverse_path.utf8;

    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        needs = needs || r->mailbox.utf8 || !span_is_ascii(span_of(r->extras));
    return needs;
}

static const char *begin_message(struct monitor *m, const struct request *r)
{
    const struct smtp_options *o = &m->backend->config->smtp;
    struct smtp_transaction *t = monitor_transaction_of(m);
    const char *wrong = monitor_keep_greeting(m, r);

    if (wrong != NULL)
        return wrong;
    if (m->state != MONITOR_IDLE || m->over || m->begun)
        return "begins a message of no transaction";
    if (t->recipients == 0)
        return "begins a message for nobody";
    m->begun = true;
    m->stored = m->ends = 0;
    m->state = MONITOR_MESSAGE;
    wrong = monitor_check_steps(m, SMTP_ABOUT_CLIENT | SMTP_ABOUT_GREETING | SMTP_ABOUT_SENDER |
                                       SMTP_ABOUT_DATA);
    if (wrong == NULL)
        wrong = monitor_keep_envelope(m, r, r->address, &m->refused);
    if (wrong != NULL || m->refused)
        return wrong;
    if (!t->smtputf8 && needs_utf8(t))
        return "has addresses that need SMTPUTF8";
    t->prdr = r->prdr && o->prdr && !o->lmtp;
    t->requiretls = r->requiretls;
    if (t->requiretls && !(o->requiretls && m->backend->session->secure))
        return "requires TLS that it was not offered";
    if (o->single && !o->lmtp && !t->prdr && t->recipients > 1)
        return "has more than a single recipient";
    m->refused = !backend_begin_message(m->backend);
    return NULL;
}

static const char no_message[] = "has octets of no message";

/* What all requests about a message have in common, but for the one that gives it up: its
 * transaction may be over. */
static const char *begin_or_check_message(struct monitor *m, const struct request *r)
{
    const char *wrong = r->begins ? begin_message(m, r) : NULL;

    if (wrong != NULL)
        return wrong;
    if (m->state != MONITOR_MESSAGE)
        return no_message;
    return r->recipients == monitor_transaction_of(m)->recipients ? NULL : "has other recipients";
}

/* Is each line end that was stored two octets of the message (RFC 1870 5)? */
static bool shortens_line_ends(const struct monitor *m)
{
    return m->backend->config->line_ending == 0 &&
           monitor_transaction_of(m)->body != SMTP_BODY_BINARYMIME;
}

/* A message's octets come first in their packet: received there, they need not be copied. */
char *monitor_receiving_room(const struct monitor *m)
{
    char *at = m->state == MONITOR_MESSAGE && !m->refused
                   ? backend_message_piece(m->backend, m->room.cap)
                   : NULL;

    return at != NULL ? at : m->room.p;
}

static const char *store_octets(struct monitor *m, struct span left)
{
    m->stored += left.n;
    if (m->stored > m->backend->config->smtp.max_message_size)
        return "has a message that is too large";
    while (left.n > 0 && !m->refused) {
        size_t room;
        char *at = backend_message_room(m->backend, &room);

        m->refused = at == NULL;
        if (m->refused)
            break;
        if (room > left.n)
            room = left.n;
        if (left.p != at)
            memcpy(at, left.p, room);
        if (shortens_line_ends(m))
            m->ends += span_count((struct span){.p = at, .n = room}, '\n');
        backend_add_octets(m->backend, room);
        left = span_from(left, room);
    }
    return NULL;
}

const char *monitor_take_octets(struct monitor *m, const struct request *r)
{
    const uint64_t before = clock_now();
    const char *wrong = begin_or_check_message(m, r);

    if (wrong == NULL)
        wrong = store_octets(m, r->octets);
    m->delivering += clock_now() - before;
    return wrong;
}

const char *monitor_finish_message(struct monitor *m, const struct request *r)
{
    struct smtp_data data = {.fault = r->fault, .ended = r->ended, .size = r->size};
    const char *wrong = r->begins ? begin_message(m, r) : NULL;

    if (wrong != NULL)
        return wrong;
    if (m->state != MONITOR_MESSAGE)
        return no_message;
    if (r->fault == SMTP_DATA_FINE && r->ended)
        return "gives a good message up";
    m->state = MONITOR_IDLE;
    backend_finish_message(m->backend, &data);
    return NULL;
}

/* Results, in packets; none for a message that could not be stored. And of the recording, whether
 * it goes on, and whether there was a run of the command. */
static const char *send_results(struct monitor *m, bool goes_on, bool ran, bool quick)
{
    const char *wrong = NULL;
    const struct smtp_recipient *r = m->refused ? NULL : monitor_transaction_of(m)->first;
    uint64_t deadline = 0;

    do {
        m->room.n = 0;
        packet_put_number(&m->room, goes_on);
        packet_put_number(&m->room, ran);
        packet_put_number(&m->room, quick);
        for (; r != NULL && m->room.n < REQUEST_ANSWER_FULL; r = r->next)
            request_write_reply(&m->room, &r->result);
        wrong = monitor_send_answer(m, &deadline);
    } while (r != NULL && wrong == NULL);
    return wrong;
}

const char *monitor_deliver_message(struct monitor *m, const struct request *r)
{
    struct backend *b = m->backend;
    struct smtp_data data = {.ended = true, .size = r->size};
    const char *wrong = begin_or_check_message(m, r);
    const uint64_t before = clock_now();
    bool ran = false, quick = true;

    if (wrong == NULL)
        wrong = store_octets(m, r->octets);
    if (wrong != NULL)
        return wrong;
    if (!m->refused && r->size != m->stored + m->ends)
        return "has a message of another size";
    m->state = MONITOR_IDLE;
    data.fault = m->refused ? SMTP_DATA_NO_SPOOL : SMTP_DATA_FINE;
    backend_finish_message(b, &data);
    m->refused = data.fault != SMTP_DATA_FINE;
    recorder_continue(&b->recorder, r->boundary);
    if (!m->refused) {
        struct arena room = arena_behind(m->arena, m->arena_max);

        backend_deliver(b, &room);
        ran = b->record.delivery.runs > 0;
        if (b->record.delivery.accepted > 0)
            m->errors = m->refused_recipients = m->refused_questions = 0;
        quick = backend_was_quick(b);
    }
    m->delivering += clock_now() - before;
    /* Before the worker goes on to a message that waits behind this one. */
    if (!quick)
        monitor_check_stop(m);
    wrong = send_results(m, recorder_leave(&b->recorder), ran, quick);
    monitor_log_results(m, &data);
    return wrong;
}
