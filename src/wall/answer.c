#include "wall/answer.h"

#include "io/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

enum { PATIENCE = 10 * 1000 }; /* milliseconds for the other side to take all of an answer */

void answer_look_at_stop(struct answer *a)
{
    struct pollfd p = {.fd = a->stop, .events = POLLIN};
    const struct config *c = a->desk->config;
    uint64_t drained;

    if (a->stop < 0 || poll(&p, 1, 0) != 1)
        return;
    a->stop = -1;
    kill(a->child, SIGTERM);
    drained = clock_now() + c->drain_timeout + a->slack;
    if (drained < a->deadline + a->delivering)
        a->deadline = drained - a->delivering;
}

/* One packet of an answer; *deadline, for all of them, is set once one has to wait. */
static const char *send_answer(struct answer *a, uint64_t *deadline)
{
    struct pollfd p = {.fd = a->fd, .events = POLLOUT};

    while (send(a->fd, a->room.p, a->room.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return NULL; /* it is gone: the next look at it says so */
        a->pressed = true;
        if (*deadline == 0)
            *deadline = clock_now() + PATIENCE;
        if (clock_left(*deadline) == 0)
            return "takes no answer";
        poll(&p, 1, clock_left(*deadline));
    }
    return NULL;
}

static struct smtp_transaction *transaction_of(const struct answer *a)
{
    return &a->desk->session->transaction;
}

/* Another transaction than the last one: nothing of that is left. */
static const char *turn_to(struct answer *a, uint64_t transaction)
{
    if (transaction == a->transaction)
        return NULL;
    if (transaction < a->transaction || a->state != ANSWER_IDLE)
        return "goes back to another transaction";
    /* The MAIL that is one too many has been counted when it is refused. */
    if (transaction - 1 > a->desk->config->smtp.max_transactions)
        return "has too many transactions";
    if (a->unfiltered)
        return "goes on without its filter";
    smtp_forget_transaction(a->desk->session);
    a->transaction = transaction;
    a->over = a->begun = false;
    return NULL;
}

/* The address anew, as a path of its own. */
static enum smtp_path_result read_address(struct answer *a, struct span address, bool forward,
                                          struct smtp_mailbox *out)
{
    char room[SMTP_ADDRESS_MAX + 2];
    struct text path = TEXT(room);
    const struct smtp_tolerance *t = &a->desk->config->smtp.tolerate;
    enum smtp_path_result result;
    struct span in;

    text_addc(&path, '<');
    text_add(&path, address);
    text_addc(&path, '>');
    in = text_span(&path);
    result = forward ? smtp_forward_path(&in, a->arena, out, t)
                     : smtp_reverse_path(&in, a->arena, out, t);
    if (result == SMTP_PATH_OK && (in.n > 0 || !span_eq(out->address, address)))
        return SMTP_PATH_SYNTAX;
    return result;
}

static void end_transaction(struct answer *a)
{
    smtp_forget_transaction(a->desk->session);
    a->over = true;
}

/* partial = single: others only where PRDR may give each its reply. */
static uint64_t most_recipients(const struct smtp_options *o)
{
    return o->single && !o->lmtp && !o->prdr ? 1 : o->max_recipients;
}

/* May somebody be added now? */
static bool has_open_transaction(const struct answer *a)
{
    return a->state == ANSWER_IDLE && !a->over && a->transaction > 0 &&
           a->transaction <= a->desk->config->smtp.max_transactions;
}

/* Decided here as it was there; kept here: nobody else gets the message. */
static const char *add(struct answer *a, struct span address)
{
    struct smtp_transaction *t = transaction_of(a);
    struct smtp_recipient *recipient;

    if (!has_open_transaction(a))
        return "has a recipient of no transaction";
    if (t->recipients >= most_recipients(&a->desk->config->smtp))
        return "has too many recipients";
    recipient = arena_get(a->arena, sizeof *recipient);
    if (recipient == NULL)
        return "has more recipients than room for them";
    *recipient = (struct smtp_recipient){.next = NULL};
    if (read_address(a, address, true, &recipient->mailbox) != SMTP_PATH_OK)
        return "has a recipient that is no mailbox";
    if (desk_decide(a->desk, &recipient->mailbox).opinion != SMTP_ACCEPT)
        return "has a recipient that is refused";
    desk_accept(a->desk, &recipient->mailbox, a->arena);
    smtp_add_recipient(t, recipient);
    return NULL;
}

static const char *add_all(struct answer *a, struct span added)
{
    struct packet p = {.left = added};
    const char *wrong = NULL;

    while (p.left.n > 0 && wrong == NULL) {
        const struct span address = packet_text(&p, SMTP_ADDRESS_MAX);

        wrong = p.wrong ? "sends what is no request" : add(a, address);
    }
    return wrong;
}

/* A question that the inner process can't answer itself. Nobody is added by it. */
static const char *decide(struct answer *a, const struct request *r)
{
    const size_t mark = a->arena->used;
    struct smtp_mailbox mailbox;
    struct smtp_verdict verdict = {.opinion = SMTP_DEFER};
    uint64_t deadline = 0;

    if (!has_open_transaction(a))
        return "asks of a recipient of no transaction";
    switch (read_address(a, r->address, true, &mailbox)) {
    case SMTP_PATH_OK:
        verdict = desk_decide(a->desk, &mailbox);
        break;
    case SMTP_PATH_FULL:
        break;
    default:
        return "asks of a recipient that is no mailbox";
    }
    a->arena->used = mark;
    a->room.n = 0;
    packet_put_number(&a->room, verdict.opinion);
    request_write_reply(&a->room, &verdict.reply);
    return send_answer(a, &deadline);
}

/* What the trace fields and the variables of the command will say. */
static const char *take_helo(struct answer *a, const struct request *r)
{
    struct smtp_session *s = a->desk->session;

    if (r->helo.n > sizeof s->helo_room ||
        (r->helo.n > 0 && !smtp_is_helo_name(r->helo, a->desk->config->smtp.tolerate.kinds)))
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

static const char *begin(struct answer *a, const struct request *r)
{
    const struct smtp_options *o = &a->desk->config->smtp;
    struct smtp_transaction *t = transaction_of(a);
    const char *wrong = take_helo(a, r);

    if (wrong != NULL)
        return wrong;
    if (a->state != ANSWER_IDLE || a->over || a->begun)
        return "begins a message of no transaction";
    if (t->recipients == 0)
        return "begins a message for nobody";
    a->begun = true;
    a->stored = a->ends = 0;
    a->state = ANSWER_MESSAGE;
    switch (read_address(a, r->address, false, &t->reverse_path)) {
    case SMTP_PATH_OK:
        break;
    case SMTP_PATH_FULL:
        a->refused = true;
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
    a->refused = !desk_begin(a->desk);
    return NULL;
}

/* What all requests about a message have in common. */
static const char *take_message(struct answer *a, const struct request *r)
{
    const char *wrong = r->begins ? begin(a, r) : NULL;

    if (wrong != NULL)
        return wrong;
    if (a->state != ANSWER_MESSAGE)
        return "has octets of no message";
    return r->recipients == transaction_of(a)->recipients ? NULL : "has other recipients";
}

static const char *take_octets(struct answer *a, struct span left)
{
    a->stored += left.n;
    if (a->stored > a->desk->config->smtp.max_message_size)
        return "has a message that is too large";
    while (left.n > 0 && !a->refused) {
        size_t room;
        char *at = desk_room(a->desk, &room);

        a->refused = at == NULL;
        if (a->refused)
            break;
        if (room > left.n)
            room = left.n;
        memcpy(at, left.p, room);
        a->ends += span_count((struct span){.p = at, .n = room}, '\n');
        desk_add(a->desk, room);
        left = span_from(left, room);
    }
    return NULL;
}

static const char *octets(struct answer *a, const struct request *r)
{
    const uint64_t before = clock_now();
    const char *wrong = take_message(a, r);

    if (wrong == NULL)
        wrong = take_octets(a, r->octets);
    a->delivering += clock_now() - before;
    return wrong;
}

static const char *finish(struct answer *a, const struct request *r)
{
    struct smtp_data data = {.fault = r->fault, .ended = r->ended, .size = r->size};
    const char *wrong = take_message(a, r);

    if (wrong != NULL)
        return wrong;
    if (r->fault == SMTP_DATA_FINE && r->ended)
        return "gives a good message up";
    a->state = ANSWER_IDLE;
    desk_finish(a->desk, &data);
    return NULL;
}

/* Results, in packets; none for a message that could not be stored. And of the recording, whether
 * it goes on, and whether there was a run of the command. */
static const char *say_results(struct answer *a, bool goes_on, bool ran, bool quick)
{
    const char *wrong = NULL;
    const struct smtp_recipient *r = a->refused ? NULL : transaction_of(a)->first;
    uint64_t deadline = 0;

    do {
        a->room.n = 0;
        packet_put_number(&a->room, goes_on);
        packet_put_number(&a->room, ran);
        packet_put_number(&a->room, quick);
        for (; r != NULL && a->room.n < REQUEST_ANSWER_FULL; r = r->next)
            request_write_reply(&a->room, &r->result);
        wrong = send_answer(a, &deadline);
    } while (r != NULL && wrong == NULL);
    return wrong;
}

/* Why the session ends is the other side's last word (REQUEST_CLOSE), not that of a step, which may
 * point to what does not live that long. */
static void log_step(struct answer *a, enum smtp_want want)
{
    desk_after(a->desk, want);
    a->desk->record.end = NULL;
}

/* The session's own words on the results, as the other side will say them: for the log. */
static void log_results(struct answer *a, const struct smtp_data *data)
{
    struct smtp_session *s = a->desk->session;
    struct text said = {.p = a->room.p, .cap = a->room.cap};
    enum smtp_want want;

    s->out = &said;
    s->phase = SMTP_RCPT;
    desk_before(a->desk);
    want =
        data->fault == SMTP_DATA_FINE ? smtp_session_delivered(s) : smtp_session_collected(s, data);
    log_step(a, want);
    while (want == SMTP_NEXT_MORE) {
        said.n = 0;
        desk_before(a->desk);
        want = smtp_session_more(s);
        log_step(a, want);
    }
    s->out = NULL;
    a->over = true;
}

static const char *deliver(struct answer *a, const struct request *r)
{
    struct desk *d = a->desk;
    struct smtp_data data = {.ended = true, .size = r->size};
    const char *wrong = take_message(a, r);
    const uint64_t before = clock_now();
    bool ran = false, quick = true;

    if (wrong == NULL)
        wrong = take_octets(a, r->octets);
    if (wrong != NULL)
        return wrong;
    /* As the decoder counts: each line end is two octets (RFC 1870 5). */
    if (!a->refused && r->size != a->stored + (d->config->line_ending == 0 ? a->ends : 0))
        return "has a message of another size";
    a->state = ANSWER_IDLE;
    data.fault = a->refused ? SMTP_DATA_NO_SPOOL : SMTP_DATA_FINE;
    desk_finish(d, &data);
    a->refused = data.fault != SMTP_DATA_FINE;
    recorder_continue(&d->recorder, r->boundary);
    if (!a->refused) {
        struct arena room = arena_behind(a->arena, SERVE_ARENA_MAX + SERVE_DELIVERY_MAX);

        desk_deliver(d, &room);
        ran = d->record.delivery.runs > 0;
        if (d->record.delivery.accepted > 0)
            a->errors = 0;
        quick = desk_was_quick(d);
    }
    a->delivering += clock_now() - before;
    /* Before the other side goes on to a message that waits behind this one. */
    if (!quick)
        answer_look_at_stop(a);
    wrong = say_results(a, recorder_leave(&d->recorder), ran, quick);
    log_results(a, &data);
    return wrong;
}

/* Refusals since the last message that somebody has. */
static uint64_t most_errors(const struct smtp_options *o)
{
    return o->max_refused_recipients < UINT64_MAX - o->max_errors
               ? o->max_errors + o->max_refused_recipients
               : UINT64_MAX;
}

/* What the log says of replies, names and phases is what the other side says of them; the client's
 * address, the session, the recipients and what became of them are known here. */
static const char *after(struct answer *a, const struct request *r)
{
    struct smtp_session *s = a->desk->session;
    struct smtp_transaction *t = &s->transaction;
    const char *wrong = take_helo(a, r);
    char rule[REQUEST_WORD_MAX + 1];
    struct text word = TEXT(rule);
    /* Before its message, this is all that is heard of the sender. */
    const bool unknown = t->reverse_path.address.p == NULL;

    if (wrong != NULL || r->before == 0 || r->phase == 0)
        return wrong != NULL ? wrong : "has no phase";
    if (a->state != ANSWER_IDLE)
        return "ends within a message";
    if (r->before >= SMTP_MAIL && (a->over || a->transaction == 0))
        return "ends no transaction";
    if ((r->before == SMTP_RCPT) != (t->recipients > 0))
        return "is in another phase";
    if (r->reply.code >= 500 && !s->options->lmtp && ++a->errors > most_errors(s->options))
        return "has too many errors";
    text_add(&word, r->rule);
    if (unknown) {
        t->reverse_path.address = r->address;
        t->smtputf8 = r->smtputf8;
    }
    s->phase = r->before;
    desk_before(a->desk);
    s->phase = r->phase;
    s->said = (struct smtp_said){.reply = r->reply, .argument = r->argument};
    s->said.reply.rule = r->rule.n > 0 ? text_string(&word) : NULL;
    s->judged = r->judged;
    log_step(a, r->close ? SMTP_NEXT_CLOSE : SMTP_NEXT_LINE);
    s->said = (struct smtp_said){.argument = {.p = NULL}};
    s->judged = SPAN("");
    if (unknown)
        t->reverse_path = (struct smtp_mailbox){.utf8 = false};
    if (r->before >= SMTP_MAIL && (r->phase < SMTP_MAIL || r->close))
        end_transaction(a);
    return NULL;
}

static const char *close_session(struct answer *a, const struct request *r)
{
    struct text word = TEXT(a->end);
    const char *wrong = take_helo(a, r);

    if (wrong != NULL)
        return wrong;
    a->desk->session->transactions = r->transaction;
    text_add(&word, r->word);
    desk_end(a->desk, text_string(&word));
    a->closed = true;
    return NULL;
}

static const char *tell(struct answer *a, const struct request *r)
{
    char doing[REQUEST_WORD_MAX + 1];
    struct text word = TEXT(doing);

    if (r->phase == 0)
        return "has no phase";
    text_add(&word, r->word);
    a->desk->session->phase = r->phase;
    a->desk->session->commands = r->commands;
    desk_tell(a->desk, r->word.n > 0 ? text_string(&word) : NULL);
    return NULL;
}

/* With `sandbox = yes` the client hears 421, and that is all. */
static const char *no_filter(struct answer *a, const struct request *r)
{
    const bool wanted = a->desk->config->sandbox == CONFIG_SANDBOX_YES;

    (void)r;
    if (a->requests > 1)
        return "has lost its filter";
    a->unfiltered = wanted;
    record_mistake(a->desk->record.log, "setup", 0, SPAN("sandbox"),
                   wanted ? "no seccomp filter can be had here"
                          : "no seccomp filter can be had here: the session runs without");
    return NULL;
}

const char *answer_request(struct answer *a, struct span packet)
{
    static const char *(*const acts[])(struct answer *, const struct request *) = {
        [REQUEST_DECIDE] = decide,       [REQUEST_RECIPIENTS] = NULL, /* nothing but `added` */
        [REQUEST_OCTETS] = octets,       [REQUEST_FINISH] = finish,
        [REQUEST_DELIVER] = deliver,     [REQUEST_AFTER] = after,
        [REQUEST_CLOSE] = close_session, [REQUEST_TELL] = tell,
        [REQUEST_NO_FILTER] = no_filter,
    };
    struct request r;
    const char *wrong;

    if (a->closed)
        return "goes on after its end";
    if (!request_read(packet, &r))
        return "sends what is no request";
    /* The others are bounded by the size of a message. */
    if ((r.kind != REQUEST_OCTETS || r.octets.n < REQUEST_OCTETS_FEW) && ++a->requests > a->most)
        return "has too many requests";
    wrong = turn_to(a, r.transaction);
    if (wrong == NULL)
        wrong = add_all(a, r.added);
    return wrong != NULL || acts[r.kind] == NULL ? wrong : acts[r.kind](a, &r);
}
