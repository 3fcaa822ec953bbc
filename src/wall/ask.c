#include "wall/ask.h"

#include "io/clock.h"
#include "smtp/result.h"
#include "status.h"

#include <errno.h>
#include <sys/socket.h>

static bool send_request(struct ask *a, const struct request *r)
{
    ssize_t n;

    a->room.n = 0;
    request_write(&a->room, r);
    do
        n = send(a->fd, a->room.p, a->room.n, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)a->room.n;
}

static bool receive(struct ask *a, struct packet *answer)
{
    ssize_t n;

    do
        n = recv(a->fd, a->room.p, a->room.cap, 0);
    while (n < 0 && errno == EINTR);
    *answer = (struct packet){.left = {.p = a->room.p, .n = n > 0 ? (size_t)n : 0}};
    return n > 0;
}

static bool ask(struct ask *a, const struct request *r, struct packet *answer)
{
    return send_request(a, r) && receive(a, answer);
}

static bool is_same(const struct smtp_reply *a, const struct smtp_reply *b, struct span rule)
{
    return a->code == b->code && a->close == b->close && span_eq(a->enhanced, b->enhanced) &&
           span_eq(a->text, b->text) && span_eq(span_of(a->rule), rule);
}

/* What it points to is kept in `arena`, terminated; or it is `last` again. */
static void keep_reply(struct packet *answer, struct smtp_reply *reply,
                       const struct smtp_reply *last, struct arena *arena)
{
    struct span rule;

    request_read_reply(answer, reply, &rule);
    if (last != NULL && is_same(last, reply, rule)) {
        *reply = *last;
        return;
    }
    reply->enhanced = arena_copy(arena, reply->enhanced);
    reply->text = arena_copy(arena, reply->text);
    reply->rule = rule.n > 0 ? arena_copy(arena, rule).p : NULL;
}

struct smtp_verdict ask_decide(struct ask *a, const struct smtp_session *s,
                               const struct smtp_mailbox *recipient)
{
    const struct request r = {.kind = REQUEST_DECIDE,
                              .transaction = s->transactions,
                              .recipients = s->transaction.recipients,
                              .address = recipient->address};
    struct arena room = {.base = a->verdict, .cap = PACKET_VERDICT_MAX};
    struct smtp_verdict verdict = {.opinion = SMTP_DEFER};
    struct packet answer;

    if (ask(a, &r, &answer)) {
        verdict.opinion = (enum smtp_opinion)packet_number_up_to(&answer, SMTP_DEFER);
        keep_reply(&answer, &verdict.reply, NULL, &room);
    }
    return verdict;
}

void ask_begin(struct ask *a)
{
    a->filled = 0;
    a->begins = true;
}

/* A request about the message; the first of them has its envelope. */
static struct request about_message(struct ask *a, const struct smtp_session *s,
                                    enum request_kind kind)
{
    const struct smtp_transaction *t = &s->transaction;
    const bool begins = a->begins;

    a->begins = false;
    return (struct request){
        .kind = kind,
        .transaction = s->transactions,
        .recipients = t->recipients,
        .octets = a->filled,
        .begins = begins,
        .address = begins ? t->reverse_path.address : SPAN(""),
        .helo = s->helo,
        .esmtp = s->esmtp,
        .smtputf8 = t->smtputf8,
        .eight_bit = t->body == SMTP_BODY_8BITMIME,
        .prdr = t->prdr,
        .declared_size = t->declared_size,
        .commands = s->commands,
    };
}

char *ask_room(struct ask *a, const struct smtp_session *s, size_t *room)
{
    if (a->cap - a->filled < 2) {
        const struct request r = about_message(a, s, REQUEST_BYTES);
        struct packet answer;

        if (!ask(a, &r, &answer) || packet_number(&answer) != 1)
            return NULL;
        a->filled = 0;
    }
    *room = a->cap - a->filled;
    return a->shared + a->filled;
}

void ask_finish(struct ask *a, const struct smtp_session *s, const struct smtp_data *data)
{
    struct request r = about_message(a, s, REQUEST_FINISH);

    r.octets = 0;
    r.size = data->size;
    r.fault = data->fault;
    r.ended = data->ended;
    send_request(a, &r);
}

bool ask_deliver(struct ask *a, struct smtp_session *s, uint64_t size, struct recorder *recorder,
                 struct arena *arena)
{
    struct request r = about_message(a, s, REQUEST_DELIVER);
    const struct smtp_reply *last = NULL;
    struct packet answer = {.wrong = true};
    bool fine, goes_on = false, ran = false, stored = true;
    size_t held = 0;

    r.size = size;
    r.boundary = recorder_pause(recorder);
    fine = send_request(a, &r);
    a->reporting = true;
    a->quick = false;
    for (struct smtp_recipient *p = s->transaction.first; p != NULL && stored; p = p->next) {
        if (fine && held == 0) {
            fine = receive(a, &answer);
            held = packet_number_up_to(&answer, REQUEST_RESULTS);
            goes_on = packet_number_up_to(&answer, 1);
            ran = packet_number_up_to(&answer, 1);
            a->quick = packet_number_up_to(&answer, 1);
            stored = held > 0 || answer.wrong;
        }
        fine = fine && held > 0 && !answer.wrong;
        if (fine) {
            keep_reply(&answer, &p->result, last, arena);
            held--;
        }
        if (!fine || p->result.text.p == NULL || p->result.enhanced.p == NULL)
            p->result = smtp_result_of_failure();
        last = &p->result;
    }
    recorder_resume(recorder, goes_on, ran);
    return stored;
}

void ask_after(struct ask *a, const struct record *r, enum smtp_want want, bool news)
{
    const struct smtp_session *s = r->session;
    const bool known = a->reporting;
    struct request request;

    a->reporting = known && want == SMTP_NEXT_MORE;
    if (known || !news)
        return;
    request = (struct request){
        .kind = REQUEST_AFTER,
        .transaction = s->transactions,
        .address = r->transaction.reverse_path.address,
        .helo = s->helo,
        .esmtp = s->esmtp,
        .smtputf8 = r->transaction.smtputf8,
        .before = r->phase,
        .phase = s->phase,
        .close = want == SMTP_NEXT_CLOSE,
        .reply = s->said.reply,
        .argument = s->said.argument,
        .judged = s->judged,
        .commands = s->commands,
    };
    send_request(a, &request);
}

void ask_tell(struct ask *a, const struct record *r, const char *doing)
{
    const struct request request = {
        .kind = REQUEST_TELL,
        .transaction = r->session->transactions,
        .phase = r->session->phase,
        .commands = r->session->commands,
        .word = span_of(doing),
    };

    send_request(a, &request);
    a->next = clock_now() + STATUS_INTERVAL;
}

void ask_close(struct ask *a, const struct record *r)
{
    const struct smtp_session *s = r->session;
    const struct request request = {
        .kind = REQUEST_CLOSE,
        .transaction = s->transactions,
        .helo = s->helo,
        .esmtp = s->esmtp,
        .commands = s->commands,
        .word = span_of(r->end),
    };

    send_request(a, &request);
}

void ask_no_filter(struct ask *a)
{
    const struct request request = {.kind = REQUEST_NO_FILTER};

    send_request(a, &request);
}
