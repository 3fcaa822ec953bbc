#include "commands/milter/talk.h"

#include "commands/milter/answer.h"
#include "io/clock.h"
#include "io/connect.h"
#include "io/exchange.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What an event has led to. */
enum step {
    STEP_ON,
    STEP_SKIP, /* no more of these */
    STEP_OVER, /* the filter has heard enough */
    STEP_REFUSED,
    STEP_DISCARDED,
    STEP_FAILED,
};

static enum step fail(struct talk *t, const char *wrong)
{
    t->wrong = wrong;
    return STEP_FAILED;
}

static enum step flush(struct talk *t, uint64_t timeout)
{
    int error;

    if (t->out.cut)
        return fail(t, "asks for more macros than there is room for");
    error = exchange_send(t->fd, text_span(&t->out), clock_now() + timeout);
    t->out.n = 0;
    return error == 0 ? STEP_ON : fail(t, strerror(error));
}

/* Has it said something that nobody has asked for? Each reply would be taken for another's. */
static bool in_step(const struct talk *t)
{
    char octet;

    return t->start == t->end && recv(t->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

/* The next packet. False: t->wrong. */
static bool receive(struct talk *t, struct milter_packet *p, uint64_t deadline)
{
    const size_t cap = t->packet_max + MILTER_PACKET_HEAD;

    for (;;) {
        const struct span unread = {.p = t->in + t->start, .n = t->end - t->start};
        size_t used;
        const enum milter_taken taken = milter_packet_take(unread, t->packet_max, p, &used);
        ssize_t n;

        if (taken == MILTER_BAD) {
            t->wrong = "sent a packet of a length that it may not have (--limit packet)";
            return false;
        }
        if (taken == MILTER_TAKEN) {
            t->start += used;
            return true;
        }
        if (t->start > 0) {
            memmove(t->in, unread.p, unread.n);
            t->start = 0;
            t->end = unread.n;
        }
        if (!exchange_wait(t->fd, POLLIN, deadline)) {
            t->wrong = "does not answer in time";
            return false;
        }
        n = recv(t->fd, t->in + t->end, cap - t->end, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            t->wrong = n == 0 ? "has closed the connection" : strerror(errno);
            return false;
        }
        t->end += n > 0 ? (size_t)n : 0;
    }
}

static enum step take(struct talk *t, const struct milter_reply *reply)
{
    switch (reply->said) {
    case MILTER_ACCEPT:
        return STEP_OVER;
    case MILTER_DISCARD:
        return STEP_DISCARDED;
    case MILTER_SKIP:
        return STEP_SKIP;
    case MILTER_REFUSE:
        answer_line(t->line, sizeof t->line, reply->code, reply->text);
        return STEP_REFUSED;
    default:
        return STEP_ON;
    }
}

/* Waits for the reply to an event that has been sent. */
static enum step hear(struct talk *t, enum milter_event event)
{
    const uint64_t timeout = event >= MILTER_BODY ? t->filter->content_timeout : t->filter->timeout;
    uint64_t deadline = clock_now() + timeout;
    struct milter_reply reply;
    struct milter_packet p;

    /* A new body comes in as many pieces as it may have octets: they are counted by these. */
    for (size_t n = 0; n <= t->requests;) {
        const char *wrong;

        if (!receive(t, &p, deadline))
            return STEP_FAILED;
        wrong = milter_read_reply(&t->terms, event, &p, &reply);
        if (wrong == NULL && reply.said == MILTER_CHANGE)
            wrong = changes_add(t->changes, &reply.change);
        if (wrong != NULL)
            return fail(t, wrong);
        if (reply.said != MILTER_CHANGE && reply.said != MILTER_PROGRESS)
            return take(t, &reply);
        n += reply.said == MILTER_PROGRESS || reply.change.kind != MILTER_REPLACE_BODY ||
             reply.change.value.n == 0;
        deadline = clock_now() + timeout;
    }
    return fail(t, "asks for more than it may (--limit requests)");
}

/* An event's packet has been added: sends it where it is answered, and hears the answer. */
static enum step told(struct talk *t, enum milter_event event)
{
    const uint64_t timeout = event >= MILTER_BODY ? t->filter->content_timeout : t->filter->timeout;
    enum step step;

    if (!milter_answers(&t->terms, event))
        return t->out.n < t->out.cap / 2 ? STEP_ON : flush(t, timeout);
    if (!in_step(t))
        return fail(t, "says what nobody has asked for, or has closed the connection");
    step = flush(t, timeout);
    return step == STEP_ON ? hear(t, event) : step;
}

/* The macros of an event, before it. */
static void add_macros(struct talk *t, enum milter_event event)
{
    const size_t stage = facts_stage(event);

    /* Filters that speak less know no macros at these. */
    if (stage < MILTER_STAGES &&
        (t->terms.version >= MILTER_VERSION || (event != MILTER_DATA && event != MILTER_EOH)))
        facts_add_macros(&t->out, t->facts, event, t->terms.macros[stage]);
}

static enum step tell(struct talk *t, enum milter_event event, struct span text)
{
    size_t begun;

    if (!milter_wants(&t->terms, event))
        return STEP_ON;
    add_macros(t, event);
    begun = milter_packet_begin(&t->out, milter_event_letter(event));
    if (text.p != NULL)
        milter_add_string(&t->out, text);
    milter_packet_end(&t->out, begun);
    return told(t, event);
}

static enum step tell_connection(struct talk *t)
{
    if (!milter_wants(&t->terms, MILTER_CONNECT))
        return STEP_ON;
    add_macros(t, MILTER_CONNECT);
    facts_add_connection(&t->out);
    return told(t, MILTER_CONNECT);
}

/* MAIL or RCPT. */
static enum step tell_path(struct talk *t, enum milter_event event, struct span address)
{
    char room[1024];
    struct text path = TEXT(room);

    text_addc(&path, '<');
    text_add(&path, address);
    text_addc(&path, '>');
    return path.cut ? fail(t, "can't be told of an address of this length")
                    : tell(t, event, text_span(&path));
}

static enum step tell_recipients(struct talk *t)
{
    struct envelope *e = t->envelope;

    for (size_t i = 0; i < e->n; i++) {
        struct envelope_recipient *r = &e->recipient[i];
        enum step step;

        if (!envelope_gets(r))
            continue;
        t->facts->recipient = r->address;
        step = tell_path(t, MILTER_RCPT, r->address);
        t->facts->recipient = SPAN("");
        /* Of an address that a filter has added, nobody waits for the reply: it is not added. */
        if (step == STEP_REFUSED && r->of == ENVELOPE_ADDED)
            r->deleted = true;
        else if (step == STEP_REFUSED && !t->all_or_none)
            r->refusal = arena_copy(t->arena, span_of(t->line));
        else if (step != STEP_ON)
            return step;
        if (step == STEP_REFUSED && !r->deleted && r->refusal.p == NULL)
            return fail(t, strerror(ENOMEM));
    }
    return envelope_count(e) == 0 ? STEP_OVER : STEP_ON;
}

static enum step tell_field(struct talk *t, const struct message_field *f)
{
    struct span value = message_value(f);
    size_t begun;

    /* sendmail leaves one blank out, and no tab. */
    if (!milter_leading_blank(&t->terms) && value.n > 0 && value.p[0] == ' ')
        value = span_from(value, 1);
    /* libmilter takes no larger packet, and hangs up. */
    value = span_first(value, MILTER_CHUNK - message_name(f).n - 2);
    begun = milter_packet_begin(&t->out, milter_event_letter(MILTER_HEADER));
    milter_add_string(&t->out, message_name(f));
    milter_add_string(&t->out, value);
    milter_packet_end(&t->out, begun);
    return told(t, MILTER_HEADER);
}

static enum step tell_fields(struct talk *t)
{
    enum step step = STEP_ON;

    if (!milter_wants(&t->terms, MILTER_HEADER))
        return STEP_ON;
    for (const struct message_field *f = message_visible(t->message->first);
         f != NULL && step == STEP_ON; f = message_visible(f->next))
        step = tell_field(t, f);
    return step == STEP_SKIP ? STEP_ON : step;
}

static enum step tell_body(struct talk *t)
{
    enum step step = STEP_ON;
    uint64_t at = 0;

    if (!milter_wants(&t->terms, MILTER_BODY))
        return STEP_ON;
    while (step == STEP_ON) {
        const size_t begun = milter_packet_begin(&t->out, milter_event_letter(MILTER_BODY));
        const ptrdiff_t n = message_read_body(t->message, &at, t->out.p + t->out.n, MILTER_CHUNK);

        if (n < 0)
            return fail(t, "can't be told of the body, which can't be read");
        if (n == 0) {
            t->out.n = begun;
            break;
        }
        t->out.n += (size_t)n;
        milter_packet_end(&t->out, begun);
        step = told(t, MILTER_BODY);
    }
    return step == STEP_SKIP ? STEP_ON : step;
}

/* Connects, and agrees on terms. */
static enum step greet(struct talk *t)
{
    const uint64_t timeout = t->filter->timeout;
    struct milter_packet p;
    enum step step;

    t->fd = connect_server(t->filter->server, timeout, &t->wrong);
    if (t->fd < 0)
        return STEP_FAILED;
    /* A Unix socket has no such option, and needs none. */
    (void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    milter_add_offer(&t->out);
    step = flush(t, timeout);
    if (step != STEP_ON)
        return step;
    if (!receive(t, &p, clock_now() + timeout))
        return STEP_FAILED;
    t->wrong = milter_agree(&p, &t->terms);
    for (size_t i = 0; t->wrong == NULL && i < MILTER_STAGES; i++)
        if (t->terms.macros[i].p != NULL) {
            t->terms.macros[i] = arena_copy(t->arena, t->terms.macros[i]);
            if (t->terms.macros[i].p == NULL)
                t->wrong = strerror(ENOMEM);
        }
    t->changes->leading_blank = milter_leading_blank(&t->terms);
    return t->wrong == NULL ? STEP_ON : STEP_FAILED;
}

/* Everything, in the protocol's order, until the filter has heard enough. */
static enum step converse(struct talk *t)
{
    const char *helo = getenv("CLIENT_HELO");
    enum step step = greet(t);

    t->facts->sender = t->envelope->sender;
    if (step == STEP_ON)
        step = tell_connection(t);
    if (step == STEP_ON && helo != NULL && helo[0] != '\0')
        step = tell(t, MILTER_HELO, span_of(helo));
    if (step == STEP_ON)
        step = tell_path(t, MILTER_MAIL, t->envelope->sender);
    if (step == STEP_ON)
        step = tell_recipients(t);
    if (step == STEP_ON)
        step = tell(t, MILTER_DATA, (struct span){0});
    if (step == STEP_ON)
        step = tell_fields(t);
    if (step == STEP_ON)
        step = tell(t, MILTER_EOH, (struct span){0});
    if (step == STEP_ON)
        step = tell_body(t);
    if (step == STEP_ON)
        step = tell(t, MILTER_END, (struct span){0});
    return step;
}

/* Nobody waits for an answer, or minds that it can't be sent. */
static void leave(struct talk *t)
{
    size_t begun;

    if (t->fd < 0)
        return;
    t->out.n = 0;
    t->out.cut = false;
    begun = milter_packet_begin(&t->out, 'Q');
    milter_packet_end(&t->out, begun);
    (void)send(t->fd, t->out.p, t->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(t->fd);
    t->fd = -1;
}

enum talk_result talk_about(struct talk *t)
{
    static const enum talk_result results[] = {
        [STEP_ON] = TALK_DONE,
        [STEP_SKIP] = TALK_DONE,
        [STEP_OVER] = TALK_DONE,
        [STEP_REFUSED] = TALK_REFUSED,
        [STEP_DISCARDED] = TALK_DISCARDED,
        [STEP_FAILED] = TALK_FAILED,
    };
    struct envelope before;
    enum step step;

    t->fd = -1;
    t->start = t->end = t->out.n = 0;
    t->out.cut = false;
    t->line[0] = '\0';
    t->wrong = strerror(ENOMEM);
    step = envelope_keep(t->envelope, &before) && changes_begin(t->changes) ? converse(t)
                                                                            : STEP_FAILED;
    if (step == STEP_ON || step == STEP_OVER) {
        t->wrong = changes_apply(t->changes, t->message, t->envelope, &t->reason);
        if (t->wrong != NULL)
            step = STEP_FAILED;
    }
    leave(t);
    changes_drop(t->changes);
    if (step == STEP_FAILED) {
        envelope_restore(t->envelope, &before);
        t->line[0] = '\0';
        fprintf(stderr, "smtpin-milter: %s: %s\n", t->filter->name, t->wrong);
    }
    return results[step];
}
