#include "sandbox/worker.h"

#include "backend/status.h"
#include "io/clock.h"
#include "smtp/result.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request that can't be sent is the end: the monitor would know another session than this one.
 * The client sees its connection closed, and comes again. */
static void send_request(struct worker *w, struct text packet, struct request *r)
{
    ssize_t n;

    r->added = text_span(&w->added);
    request_write(&packet, r);
    w->added.n = 0;
    do
        n = send(w->fd, packet.p, packet.n, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)packet.n || packet.cut)
        _exit(1);
}

/* With the octets that wait. */
static void send_with_octets(struct worker *w, struct request *r)
{
    send_request(w, w->room, r);
    w->filled = 0;
}

/* Behind them: a request of its own. */
static void send_alone(struct worker *w, struct request r)
{
    const char *behind = request_octets(&w->room) + w->filled;

    send_request(w, text_behind(&w->room, (size_t)(behind - w->room.p)), &r);
}

/* Behind the octets that wait, too. */
static bool receive(struct worker *w, struct packet *answer, size_t most)
{
    char *behind = request_octets(&w->room) + w->filled;
    ssize_t n;

    do
        n = recv(w->fd, behind, most, 0);
    while (n < 0 && errno == EINTR);
    *answer = (struct packet){.left = {.p = behind, .n = n > 0 ? (size_t)n : 0}};
    return n > 0;
}

static bool receive_answer(struct worker *w, struct packet *answer)
{
    return receive(w, answer, REQUEST_ANSWER_MAX);
}

/* A question: its answer is read with packet.h. False: there is none. */
static bool ask(struct worker *w, struct request r, struct packet *answer)
{
    send_alone(w, r);
    return receive_answer(w, answer);
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

struct smtp_verdict worker_decide(struct worker *w, struct smtp_session *s, enum smtp_subject about,
                                  struct span address, struct recorder *recorder)
{
    const struct smtp_transaction *t = &s->transaction;
    struct smtp_verdict verdict = {.opinion = SMTP_DEFER};
    struct packet answer;
    bool answered;

    answered = ask(w,
                   (struct request){
                       .kind = REQUEST_DECIDE,
                       .transaction = s->transactions,
                       .about = about,
                       .address = address,
                       .sender = t->reverse_path.address,
                       .helo = s->helo,
                       .esmtp = s->esmtp,
                       .smtputf8 = t->smtputf8,
                       .body = t->body,
                       .declared_size = t->declared_size,
                       .auth = t->auth,
                       .extras = t->extras,
                       .candidate_extras =
                           about == SMTP_ABOUT_RECIPIENT ? span_of(s->candidate->extras) : SPAN(""),
                       .commands = s->commands,
                       .boundary = recorder_pause(recorder),
                   },
                   &answer);
    recorder_resume(recorder, answered && packet_number_up_to(&answer, 1) == 1, false);
    if (!answered)
        return verdict;
    verdict.opinion = (enum smtp_opinion)packet_number_up_to(&answer, SMTP_DEFER);
    /* A yes takes no memory: whom the monitor has added, this one must add too. */
    if (!answer.wrong && verdict.opinion != SMTP_REFUSE && verdict.opinion != SMTP_DEFER)
        return verdict;
    keep_reply(&answer, &verdict.reply, NULL, s->transaction.arena);
    if (!packet_is_good(&answer) || verdict.reply.text.p == NULL ||
        verdict.reply.enhanced.p == NULL)
        verdict = (struct smtp_verdict){.opinion = SMTP_DEFER};
    return verdict;
}

bool worker_prepare_tls(struct worker *w, const struct smtp_session *s)
{
    const struct request r = {
        .kind = REQUEST_PREPARE_TLS, .transaction = s->transactions, .commands = s->commands};
    struct packet answer;

    return ask(w, r, &answer) && packet_number_up_to(&answer, 1) == 1;
}

bool worker_start_tls(struct worker *w, const struct smtp_session *s, struct recorder *recorder)
{
    const struct request r = {.kind = REQUEST_START_TLS,
                              .transaction = s->transactions,
                              .commands = s->commands,
                              .boundary = recorder_pause(recorder)};
    struct packet answer;
    const bool answered = ask(w, r, &answer);

    recorder_resume(recorder, answered && packet_number_up_to(&answer, 1) == 1, false);
    return answered && packet_number_up_to(&answer, 1) == 1;
}

/* What the listening process says: SMTP_REPLY_OK, or why the client is turned away. Without such a
 * process there is nobody to ask, and no answer. */
static enum smtp_reply_id tell_client(struct worker *w, struct request r,
                                      const struct proxied_client *client)
{
    struct packet answer;
    uint64_t reply;

    r.client = client->address;
    r.client_port = client->port;
    r.client_name = client->name;
    r.server = client->server_address;
    r.server_port = client->server_port;
    if (!w->asks_for_seat) {
        send_alone(w, r);
        return SMTP_REPLY_OK;
    }
    if (!ask(w, r, &answer))
        return SMTP_REPLY_UNAVAILABLE;
    reply = packet_number_up_to(&answer, SMTP_REPLY_COUNT - 1);
    return packet_is_good(&answer) ? (enum smtp_reply_id)reply : SMTP_REPLY_UNAVAILABLE;
}

enum smtp_reply_id worker_take_header(struct worker *w, const struct proxied_client *client,
                                      struct span facts)
{
    return tell_client(w, (struct request){.kind = REQUEST_PROXY, .facts = facts}, client);
}

enum smtp_reply_id worker_take_client(struct worker *w, const struct smtp_session *s,
                                      const struct proxied_client *client,
                                      const struct smtp_xclient *said)
{
    const struct request r = {.kind = REQUEST_XCLIENT,
                              .transaction = s->transactions,
                              .commands = s->commands,
                              .has_user = said->given & SMTP_XCLIENT_NEW_LOGIN,
                              .user = s->options->xclient_login ? said->login : SPAN("")};

    return tell_client(w, r, client);
}

struct span worker_mechanisms(struct worker *w, const struct smtp_session *s)
{
    const struct request r = {.kind = REQUEST_MECHANISMS,
                              .transaction = s->transactions,
                              .helo = s->helo,
                              .esmtp = s->esmtp,
                              .commands = s->commands};
    struct packet answer;
    struct span mechanisms = {0};

    if (ask(w, r, &answer))
        mechanisms = packet_text(&answer, SMTP_MECHANISMS_MAX);
    if (answer.wrong)
        mechanisms.n = 0;
    return mechanisms;
}

enum smtp_login_result worker_login(struct worker *w, const struct smtp_session *s,
                                    struct span *text)
{
    const struct smtp_login *l = s->login;
    struct request r = {.kind = REQUEST_LOGIN,
                        .octets = l->response,
                        .transaction = s->transactions,
                        .helo = s->helo,
                        .esmtp = s->esmtp,
                        .commands = s->commands,
                        .step = (uint64_t)l->step,
                        .mechanism = l->mechanism,
                        .has_response = l->response.p != NULL};
    enum smtp_login_result result = SMTP_LOGIN_LATER;
    struct packet answer;

    send_with_octets(w, &r);
    /* What was copied there for the packet is a secret, perhaps. */
    explicit_bzero(request_octets(&w->room), l->response.n);
    *text = (struct span){0};
    if (l->step == SMTP_LOGIN_CANCELLED)
        return result;
    if (receive(w, &answer, SMTP_AUTH_LINE_MAX + 64)) {
        result = (enum smtp_login_result)packet_number_up_to(&answer, SMTP_LOGIN_LATER);
        *text = packet_text(&answer, SMTP_AUTH_LINE_MAX);
    }
    return packet_is_good(&answer) ? result : SMTP_LOGIN_LATER;
}

void worker_add_recipient(struct worker *w, const struct smtp_session *s,
                          const struct smtp_recipient *recipient)
{
    const struct span address = recipient->mailbox.address;
    const struct span extras = span_of(recipient->extras);
    const size_t n = address.n + (extras.n > 0 ? 1 + extras.n : 0);

    if (w->added.cap - w->added.n < sizeof(uint64_t) + n)
        send_alone(w, (struct request){.kind = REQUEST_RECIPIENTS, .transaction = s->transactions});
    packet_put_number(&w->added, n);
    text_add(&w->added, address);
    if (extras.n == 0)
        return;
    text_addc(&w->added, '\0');
    text_add(&w->added, extras);
}

void worker_begin_message(struct worker *w)
{
    w->begins = true;
}

/* A request about the message; the first of them has its envelope. */
static struct request about_message(struct worker *w, const struct smtp_session *s,
                                    enum request_kind kind)
{
    const struct smtp_transaction *t = &s->transaction;
    const bool begins = w->begins;

    w->begins = false;
    return (struct request){
        .kind = kind,
        .transaction = s->transactions,
        .recipients = t->recipients,
        .octets = {.p = request_octets(&w->room), .n = w->filled},
        .begins = begins,
        .address = begins ? t->reverse_path.address : SPAN(""),
        .helo = s->helo,
        .esmtp = s->esmtp,
        .smtputf8 = t->smtputf8,
        .body = t->body,
        .prdr = t->prdr,
        .requiretls = t->requiretls,
        .auth = begins ? t->auth : SPAN(""),
        .extras = begins ? t->extras : SPAN(""),
        .declared_size = t->declared_size,
        .commands = s->commands,
    };
}

char *worker_message_room(struct worker *w, const struct smtp_session *s, size_t *room)
{
    if (w->most - w->filled < 2) {
        struct request r = about_message(w, s, REQUEST_OCTETS);

        send_with_octets(w, &r);
    }
    *room = w->most - w->filled;
    return request_octets(&w->room) + w->filled;
}

void worker_add_octets(struct worker *w, size_t n)
{
    w->filled += n;
}

void worker_finish_message(struct worker *w, const struct smtp_session *s,
                           const struct smtp_data *data)
{
    struct request r = about_message(w, s, REQUEST_FINISH);

    r.octets.n = 0;
    r.size = data->size;
    r.fault = data->fault;
    r.ended = data->ended;
    send_with_octets(w, &r);
}

void worker_announce_message(struct worker *w, const struct smtp_session *s)
{
    struct request r;

    if (!w->begins)
        return;
    r = about_message(w, s, REQUEST_OCTETS);
    send_with_octets(w, &r);
}

bool worker_deliver(struct worker *w, struct smtp_session *s, uint64_t size,
                    struct recorder *recorder, struct arena *arena)
{
    struct request r = about_message(w, s, REQUEST_DELIVER);
    const struct smtp_reply *last = NULL;
    struct packet answer = {.wrong = true};
    bool fine = true, goes_on = false, ran = false, stored = true;

    r.size = size;
    r.boundary = recorder_pause(recorder);
    send_with_octets(w, &r);
    w->reporting = true;
    w->quick = false;
    for (struct smtp_recipient *p = s->transaction.first; p != NULL && stored; p = p->next) {
        if (fine && answer.left.n == 0) {
            fine = receive_answer(w, &answer);
            goes_on = packet_number_up_to(&answer, 1);
            ran = packet_number_up_to(&answer, 1);
            w->quick = packet_number_up_to(&answer, 1);
            stored = answer.left.n > 0 || answer.wrong;
        }
        fine = fine && stored && !answer.wrong;
        if (fine)
            keep_reply(&answer, &p->result, last, arena);
        if (!fine || p->result.text.p == NULL || p->result.enhanced.p == NULL)
            p->result = smtp_result_of_failure();
        last = &p->result;
    }
    recorder_resume(recorder, goes_on, ran);
    return stored;
}

void worker_after_step(struct worker *w, const struct record *r, enum smtp_want want, bool news)
{
    const struct smtp_session *s = r->session;
    const bool known = w->reporting;

    w->reporting = known && want == SMTP_NEXT_MORE;
    if (known || !news)
        return;
    send_alone(w, (struct request){
                      .kind = REQUEST_LOG,
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
                  });
}

void worker_send_status(struct worker *w, const struct record *r, const char *doing)
{
    const struct smtp_session *s = r->session;

    send_alone(w, (struct request){
                      .kind = REQUEST_STATUS,
                      .transaction = s->transactions,
                      .commands = s->commands,
                      .phase = s->phase,
                      .word = span_of(doing),
                  });
    w->next_status = clock_now() + STATUS_INTERVAL;
}

void worker_close(struct worker *w, const struct record *r)
{
    const struct smtp_session *s = r->session;

    send_alone(w, (struct request){
                      .kind = REQUEST_END,
                      .transaction = s->transactions,
                      .helo = s->helo,
                      .esmtp = s->esmtp,
                      .commands = s->commands,
                      .word = span_of(r->end),
                  });
}

void worker_report_no_filter(struct worker *w)
{
    send_alone(w, (struct request){.kind = REQUEST_NO_FILTER});
}
