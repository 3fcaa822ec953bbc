#include "sandbox/monitor.h"

#include "io/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

enum { PATIENCE = 10 * 1000 }; /* milliseconds for the worker to take all of an answer */

void monitor_check_stop(struct monitor *m)
{
    struct pollfd p = {.fd = m->stop, .events = POLLIN};
    const struct config *c = m->backend->config;
    uint64_t drained;

    if (m->stop < 0 || poll(&p, 1, 0) != 1)
        return;
    m->stop = -1;
    kill(m->worker, SIGTERM);
    drained = clock_now() + c->drain_timeout + m->slack;
    if (drained < m->deadline + m->delivering)
        m->deadline = drained - m->delivering;
}

/* One packet of an answer; *deadline, for all of them, is set once one has to wait. */
static const char *send_answer(struct monitor *m, uint64_t *deadline)
{
    struct pollfd p = {.fd = m->fd, .events = POLLOUT};

    while (send(m->fd, m->room.p, m->room.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return NULL; /* it is gone: the next look at it says so */
        m->pressed = true;
        if (*deadline == 0)
            *deadline = clock_now() + PATIENCE;
        if (clock_left(*deadline) == 0)
            return "takes no answer";
        poll(&p, 1, clock_left(*deadline));
    }
    return NULL;
}

static struct smtp_transaction *transaction_of(const struct monitor *m)
{
    return &m->backend->session->transaction;
}

/* Another transaction than the last one: nothing of that is left. */
static const char *turn_to_transaction(struct monitor *m, uint64_t transaction)
{
    if (transaction == m->transaction)
        return NULL;
    if (transaction < m->transaction || m->state != MONITOR_IDLE)
        return "goes back to another transaction";
    /* The MAIL that is one too many has been counted when it is refused. */
    if (transaction - 1 > m->backend->config->smtp.max_transactions)
        return "has too many transactions";
    if (m->unfiltered)
        return "goes on without its filter";
    smtp_forget_transaction(m->backend->session);
    m->transaction = transaction;
    m->over = m->begun = false;
    return NULL;
}

/* The address anew, as a path of its own. */
static enum smtp_path_result read_address(struct monitor *m, struct span address, bool forward,
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

static void end_transaction(struct monitor *m)
{
    smtp_forget_transaction(m->backend->session);
    m->over = true;
}

/* partial = single: others only where PRDR may give each its reply. */
static uint64_t most_recipients(const struct smtp_options *o)
{
    return o->single && !o->lmtp && !o->prdr ? 1 : o->max_recipients;
}

/* May somebody be added now? */
static bool has_open_transaction(const struct monitor *m)
{
    return m->state == MONITOR_IDLE && !m->over && m->transaction > 0 &&
           m->transaction <= m->backend->config->smtp.max_transactions;
}

/* Decided here as in the worker; kept here: nobody else gets the message. */
static const char *add_recipient(struct monitor *m, struct span address)
{
    struct smtp_transaction *t = transaction_of(m);
    struct smtp_recipient *recipient;

    if (!has_open_transaction(m))
        return "has a recipient of no transaction";
    if (t->recipients >= most_recipients(&m->backend->config->smtp))
        return "has too many recipients";
    recipient = arena_get(m->arena, sizeof *recipient);
    if (recipient == NULL)
        return "has more recipients than room for them";
    *recipient = (struct smtp_recipient){.next = NULL};
    if (read_address(m, address, true, &recipient->mailbox) != SMTP_PATH_OK)
        return "has a recipient that is no mailbox";
    if (backend_decide(m->backend, &recipient->mailbox).opinion != SMTP_ACCEPT)
        return "has a recipient that is refused";
    backend_add_recipient(m->backend, &recipient->mailbox, m->arena);
    smtp_add_recipient(t, recipient);
    return NULL;
}

static const char *add_recipients(struct monitor *m, struct span added)
{
    struct packet p = {.left = added};
    const char *wrong = NULL;

    while (p.left.n > 0 && wrong == NULL) {
        const struct span address = packet_text(&p, SMTP_ADDRESS_MAX);

        wrong = p.wrong ? "sends what is no request" : add_recipient(m, address);
    }
    return wrong;
}

/* A question that the worker can't answer itself. Nobody is added by it. */
static const char *decide(struct monitor *m, const struct request *r)
{
    const size_t mark = m->arena->used;
    struct smtp_mailbox mailbox;
    struct smtp_verdict verdict = {.opinion = SMTP_DEFER};
    uint64_t deadline = 0;

    if (!has_open_transaction(m))
        return "asks of a recipient of no transaction";
    switch (read_address(m, r->address, true, &mailbox)) {
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
    return send_answer(m, &deadline);
}

/* What the trace fields and the variables of the command will say. */
static const char *keep_helo(struct monitor *m, const struct request *r)
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

static bool needs_utf8(const struct smtp_transaction *t)
{
    bool needs = t->reverse_path.utf8;

    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        needs = needs || r->mailbox.utf8;
    return needs;
}

static const char *begin_message(struct monitor *m, const struct request *r)
{
    const struct smtp_options *o = &m->backend->config->smtp;
    struct smtp_transaction *t = transaction_of(m);
    const char *wrong = keep_helo(m, r);

    if (wrong != NULL)
        return wrong;
    if (m->state != MONITOR_IDLE || m->over || m->begun)
        return "begins a message of no transaction";
    if (t->recipients == 0)
        return "begins a message for nobody";
    m->begun = true;
    m->stored = m->ends = 0;
    m->state = MONITOR_MESSAGE;
    switch (read_address(m, r->address, false, &t->reverse_path)) {
    case SMTP_PATH_OK:
        break;
    case SMTP_PATH_FULL:
        m->refused = true;
        return NULL;
    default:
        return "has a reverse-path that is none";
    }
    if (!r->smtputf8 && needs_utf8(t))
        return "has addresses that need SMTPUTF8";
    t->smtputf8 = r->smtputf8;
    t->body = r->eight_bit ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
    t->prdr = r->prdr && o->prdr && !o->lmtp;
    if (o->single && !o->lmtp && !t->prdr && t->recipients > 1)
        return "has more than a single recipient";
    t->declared_size = r->declared_size;
    m->refused = !backend_begin_message(m->backend);
    return NULL;
}

/* What all requests about a message have in common. */
static const char *begin_or_check_message(struct monitor *m, const struct request *r)
{
    const char *wrong = r->begins ? begin_message(m, r) : NULL;

    if (wrong != NULL)
        return wrong;
    if (m->state != MONITOR_MESSAGE)
        return "has octets of no message";
    return r->recipients == transaction_of(m)->recipients ? NULL : "has other recipients";
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
        memcpy(at, left.p, room);
        m->ends += span_count((struct span){.p = at, .n = room}, '\n');
        backend_add_octets(m->backend, room);
        left = span_from(left, room);
    }
    return NULL;
}

static const char *handle_octets(struct monitor *m, const struct request *r)
{
    const uint64_t before = clock_now();
    const char *wrong = begin_or_check_message(m, r);

    if (wrong == NULL)
        wrong = store_octets(m, r->octets);
    m->delivering += clock_now() - before;
    return wrong;
}

static const char *finish_message(struct monitor *m, const struct request *r)
{
    struct smtp_data data = {.fault = r->fault, .ended = r->ended, .size = r->size};
    const char *wrong = begin_or_check_message(m, r);

    if (wrong != NULL)
        return wrong;
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
    const struct smtp_recipient *r = m->refused ? NULL : transaction_of(m)->first;
    uint64_t deadline = 0;

    do {
        m->room.n = 0;
        packet_put_number(&m->room, goes_on);
        packet_put_number(&m->room, ran);
        packet_put_number(&m->room, quick);
        for (; r != NULL && m->room.n < REQUEST_ANSWER_FULL; r = r->next)
            request_write_reply(&m->room, &r->result);
        wrong = send_answer(m, &deadline);
    } while (r != NULL && wrong == NULL);
    return wrong;
}

/* Why the session ends is in the worker's last request (REQUEST_END), not in a step, which may
 * point to what does not live that long. */
static void log_step(struct monitor *m, enum smtp_want want)
{
    backend_after_step(m->backend, want);
    m->backend->record.end = NULL;
}

/* The session's own words on the results, as the worker will say them: for the log. */
static void log_results(struct monitor *m, const struct smtp_data *data)
{
    struct smtp_session *s = m->backend->session;
    struct text said = {.p = m->room.p, .cap = m->room.cap};
    enum smtp_want want;

    s->out = &said;
    s->phase = SMTP_RCPT;
    backend_before_step(m->backend);
    want =
        data->fault == SMTP_DATA_FINE ? smtp_session_delivered(s) : smtp_session_collected(s, data);
    log_step(m, want);
    while (want == SMTP_NEXT_MORE) {
        said.n = 0;
        backend_before_step(m->backend);
        want = smtp_session_more(s);
        log_step(m, want);
    }
    s->out = NULL;
    m->over = true;
}

static const char *deliver_message(struct monitor *m, const struct request *r)
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
    /* As the decoder counts: each line end is two octets (RFC 1870 5). */
    if (!m->refused && r->size != m->stored + (b->config->line_ending == 0 ? m->ends : 0))
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
            m->errors = 0;
        quick = backend_was_quick(b);
    }
    m->delivering += clock_now() - before;
    /* Before the worker goes on to a message that waits behind this one. */
    if (!quick)
        monitor_check_stop(m);
    wrong = send_results(m, recorder_leave(&b->recorder), ran, quick);
    log_results(m, &data);
    return wrong;
}

/* Refusals since the last message that somebody has. */
static uint64_t most_errors(const struct smtp_options *o)
{
    return o->max_refused_recipients < UINT64_MAX - o->max_errors
               ? o->max_errors + o->max_refused_recipients
               : UINT64_MAX;
}

/* What the log says of replies, names and phases is what the worker says of them; the client's
 * address, the session, the recipients and what became of them are known here. */
static const char *log_of_worker(struct monitor *m, const struct request *r)
{
    struct smtp_session *s = m->backend->session;
    struct smtp_transaction *t = &s->transaction;
    const char *wrong = keep_helo(m, r);
    char rule[REQUEST_WORD_MAX + 1];
    struct text word = TEXT(rule);
    /* Before its message, this is all that is heard of the sender. */
    const bool unknown = t->reverse_path.address.p == NULL;

    if (wrong != NULL || r->before == 0 || r->phase == 0)
        return wrong != NULL ? wrong : "has no phase";
    if (m->state != MONITOR_IDLE)
        return "ends within a message";
    if (r->before >= SMTP_MAIL && (m->over || m->transaction == 0))
        return "ends no transaction";
    if ((r->before == SMTP_RCPT) != (t->recipients > 0))
        return "is in another phase";
    if (r->reply.code >= 500 && !s->options->lmtp && ++m->errors > most_errors(s->options))
        return "has too many errors";
    text_add(&word, r->rule);
    if (unknown) {
        t->reverse_path.address = r->address;
        t->smtputf8 = r->smtputf8;
    }
    s->phase = r->before;
    backend_before_step(m->backend);
    s->phase = r->phase;
    s->said = (struct smtp_said){.reply = r->reply, .argument = r->argument};
    s->said.reply.rule = r->rule.n > 0 ? text_string(&word) : NULL;
    s->judged = r->judged;
    log_step(m, r->close ? SMTP_NEXT_CLOSE : SMTP_NEXT_LINE);
    s->said = (struct smtp_said){.argument = {.p = NULL}};
    s->judged = SPAN("");
    if (unknown)
        t->reverse_path = (struct smtp_mailbox){.utf8 = false};
    if (r->before >= SMTP_MAIL && (r->phase < SMTP_MAIL || r->close))
        end_transaction(m);
    return NULL;
}

static const char *end_session(struct monitor *m, const struct request *r)
{
    struct text word = TEXT(m->end);
    const char *wrong = keep_helo(m, r);

    if (wrong != NULL)
        return wrong;
    m->backend->session->transactions = r->transaction;
    text_add(&word, r->word);
    backend_end(m->backend, text_string(&word));
    m->closed = true;
    return NULL;
}

static const char *send_status(struct monitor *m, const struct request *r)
{
    char doing[REQUEST_WORD_MAX + 1];
    struct text word = TEXT(doing);

    if (r->phase == 0)
        return "has no phase";
    text_add(&word, r->word);
    m->backend->session->phase = r->phase;
    m->backend->session->commands = r->commands;
    backend_send_status(m->backend, r->word.n > 0 ? text_string(&word) : NULL);
    return NULL;
}

/* With `sandbox = yes` the client hears 421, and that is all. */
static const char *log_no_filter(struct monitor *m, const struct request *r)
{
    const bool wanted = m->backend->config->sandbox == CONFIG_SANDBOX_YES;

    (void)r;
    if (m->requests > 1)
        return "has lost its filter";
    m->unfiltered = wanted;
    record_mistake(m->backend->record.log, "setup", 0, SPAN("sandbox"),
                   wanted ? "no seccomp filter can be had here"
                          : "no seccomp filter can be had here: the session runs without");
    return NULL;
}

const char *monitor_handle(struct monitor *m, struct span packet)
{
    static const char *(*const handlers[])(struct monitor *, const struct request *) = {
        [REQUEST_DECIDE] = decide,           [REQUEST_RECIPIENTS] = NULL, /* nothing but `added` */
        [REQUEST_OCTETS] = handle_octets,    [REQUEST_FINISH] = finish_message,
        [REQUEST_DELIVER] = deliver_message, [REQUEST_LOG] = log_of_worker,
        [REQUEST_END] = end_session,         [REQUEST_STATUS] = send_status,
        [REQUEST_NO_FILTER] = log_no_filter,
    };
    struct request r;
    const char *wrong;

    if (m->closed)
        return "goes on after its end";
    if (!request_read(packet, &r))
        return "sends what is no request";
    /* The others are bounded by the size of a message. */
    if ((r.kind != REQUEST_OCTETS || r.octets.n < REQUEST_OCTETS_FEW) && ++m->requests > m->most)
        return "has too many requests";
    wrong = turn_to_transaction(m, r.transaction);
    if (wrong == NULL)
        wrong = add_recipients(m, r.added);
    return wrong != NULL || handlers[r.kind] == NULL ? wrong : handlers[r.kind](m, &r);
}
