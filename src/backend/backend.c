#include "backend/backend.h"

#include "adapters/deliver.h"
#include "adapters/head.h"
#include "adapters/submission.h"
#include "io/clock.h"
#include "smtp/header.h"
#include "syntax/idn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

void backend_open(struct backend *b, struct log *log, struct title *title)
{
    b->spool.memory = b->config->spool_memory;
    b->spool.dir = b->config->spool_dir.p;
    record_open(&b->record, b->config, b->peer, b->session, log);
    b->rules.config = b->config;
    b->rules.peer = b->peer;
    b->rules.session = b->session;
    b->rules.id = record_session_id(&b->record);
    b->rules.recorder = &b->recorder;
    b->rules.note = record_note;
    b->rules.context = &b->record;
    b->record.rules = &b->rules;
    status_open(&b->status, &b->record, title);
    if (!recorder_open(&b->recorder, b->config, b->peer, record_session_id(&b->record),
                       record_time(&b->record)))
        record_trace_error(&b->record, errno);
}

void backend_before_step(struct backend *b)
{
    record_before(&b->record);
}

bool backend_after_step(struct backend *b, enum smtp_want want)
{
    return record_after(&b->record, want);
}

void backend_end(struct backend *b, const char *why)
{
    record_end(&b->record, why);
}

void backend_close(struct backend *b)
{
    recorder_close(&b->recorder, b->record.end);
    record_close(&b->record);
    rules_close(&b->rules);
    idn_end(b->config->idn);
    if (b->auth != NULL)
        auth_close(b->auth);
    if (b->tls != NULL)
        tls_close(b->tls);
}

enum backend_conduct backend_conduct(const struct backend *b)
{
    /* Rules that end sessions which no mail server or mail program would lead. */
    static const char *const abuse[] = {
        "max_errors",         "max_commands", "max_refused_recipients", "not_smtp",
        "starttls_not_alone", "early_talker", "unexpected_pipelining"};
    const struct smtp_session *s = b->session;
    const struct span end = b->record.end == NULL ? SPAN("") : span_of(b->record.end);

    if (s->login != NULL && s->login->errors > 0 && !s->authenticated)
        return BACKEND_LOGINS_FAILED;
    for (size_t i = 0; i < sizeof abuse / sizeof *abuse; i++)
        if (span_eq(end, span_of(abuse[i])))
            return BACKEND_ABUSED;
    return BACKEND_WELL;
}

struct smtp_verdict backend_decide(struct backend *b, enum smtp_subject about,
                                   struct smtp_recipient *recipient)
{
    return rules_decide_for(&b->rules, about, recipient);
}

void backend_add_recipient(struct backend *b, struct smtp_recipient *recipient, struct arena *a)
{
    head_complete_recipient(b->config, a, recipient);
}

bool backend_prepare_tls(struct backend *b, int in, int out)
{
    const bool ready = tls_prepare(b->tls, in, out, b->session->transaction.arena);

    if (!ready)
        record_tls(&b->record, b->tls);
    return ready;
}

/* What stands in the place of a standard descriptor is no command's, and no file of ours may come
 * there. */
static void let_go(int fd)
{
    const int null = fd > 2 ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd > 2)
        close(fd);
    if (null < 0)
        return;
    dup2(null, fd);
    close(null);
}

bool backend_start_tls(struct backend *b, int in, int out, int stop)
{
    const bool secure = tls_shake_hands(b->tls, stop);

    if (!secure) {
        record_tls(&b->record, b->tls);
        record_end(&b->record, "tls_failed");
        return false;
    }
    b->peer->tls = &b->tls->facts;
    recorder_tls(&b->recorder, &b->tls->facts);
    let_go(in);
    if (out != in)
        let_go(out);
    return true;
}

enum smtp_reply_id backend_take_client(struct backend *b, const struct proxied_client *client,
                                       const struct span *facts)
{
    static const enum smtp_reply_id answers[] = {
        [SEAT_OPEN] = SMTP_REPLY_OK,
        [SEAT_SOURCE_FULL] = SMTP_REPLY_TOO_MANY_OF_SOURCE,
        [SEAT_PENALTY] = SMTP_REPLY_PENALTY,
    };

    proxied_take(b->peer, b->proxied, client);
    if (facts != NULL)
        proxied_take_facts(b->peer, b->proxied, *facts, b->config);
    return answers[b->seat < 0 ? SEAT_OPEN : seat_ask(b->seat, b->peer->address)];
}

struct span backend_mechanisms(struct backend *b)
{
    struct span mechanisms;
    const char *why;

    if (auth_mechanisms(b->auth, &mechanisms, &why))
        return mechanisms;
    record_login(&b->record, span_of(why));
    /* What most clients know: so that they hear 454, and come again. */
    return SPAN("PLAIN LOGIN");
}

/* Who guesses passwords gets no more of them in a session than this. A server that makes its
 * clients wait by itself has its time counted. */
static void wait_after_failure(const struct backend *b, uint64_t began)
{
    const uint64_t until = began + b->config->auth_failure_delay;

    while (clock_left(until) > 0)
        poll(NULL, 0, clock_left(until));
}

enum smtp_login_result backend_login(struct backend *b, struct span *text)
{
    static const enum smtp_login_result results[] = {
        [AUTH_DONE] = SMTP_LOGIN_DONE,   [AUTH_CHALLENGE] = SMTP_LOGIN_CHALLENGE,
        [AUTH_WRONG] = SMTP_LOGIN_WRONG, [AUTH_MALFORMED] = SMTP_LOGIN_MALFORMED,
        [AUTH_LATER] = SMTP_LOGIN_LATER, [AUTH_UNKNOWN] = SMTP_LOGIN_UNKNOWN,
    };
    const struct smtp_login *l = b->session->login;
    const uint64_t began = clock_now();
    struct auth_answer answer = {.result = AUTH_WRONG};

    if (l->step == SMTP_LOGIN_CANCELLED)
        auth_cancel(b->auth);
    else if (l->step == SMTP_LOGIN_BEGINS)
        auth_begin(b->auth, l->mechanism, l->response.p == NULL ? NULL : &l->response, &answer);
    else
        auth_go_on(b->auth, l->response, &answer);
    if (l->step != SMTP_LOGIN_CANCELLED && answer.result == AUTH_WRONG)
        wait_after_failure(b, began);
    if (answer.result == AUTH_LATER)
        record_login(&b->record, answer.text);
    *text = answer.text;
    return results[answer.result];
}

static struct head_facts facts(const struct backend *b)
{
    return (struct head_facts){
        .config = b->config,
        .session = b->session,
        .peer = b->peer,
        .id = record_id(&b->record),
        .time = record_time(&b->record),
        .prepended = rules_prepended(&b->rules),
    };
}

static bool write_head(struct backend *b)
{
    const struct head_facts f = facts(b);
    struct text head = {.cap = 0};

    head.p = spool_room(&b->spool, &head.cap); /* a whole buffer, which is more than HEAD_MAX */
    if (head.p == NULL)
        return false;
    head_write(&head, &f, deliver_common_fields(b->config), head_only_recipient(b->session));
    b->head = head.n;
    spool_add(&b->spool, head.n);
    /* Does anything of ours stand before it, here or in a run's own copy? */
    b->start_known = head.n == 0 && (b->config->deliver_per == CONFIG_PER_MESSAGE ||
                                     b->config->trace_headers == 0);
    return true;
}

static struct span empty_line(const struct backend *b)
{
    return head_line_end(b->config, b->session);
}

/* A message without a header, or whose first line goes on with another, must not become a part of
 * our trace fields: its text would be header fields, its folded first line a part of our Received:.
 * An empty line goes between. */
static void look_at_start(struct backend *b, bool whole)
{
    const struct span message = {.p = b->spool.buffer + b->head, .n = b->spool.filled - b->head};
    const enum smtp_start start = smtp_header_start(message, whole);

    b->start_known = start != SMTP_START_MORE;
    if (start != SMTP_START_TEXT)
        return;
    spool_insert(&b->spool, b->head, empty_line(b));
    b->head += empty_line(b).n;
}

bool backend_begin_message(struct backend *b)
{
    record_message(&b->record);
    digest_open(&b->digest, b->config, &b->session->transaction);
    if (spool_open(&b->spool, b->session->transaction.declared_size) && write_head(b))
        return true;
    record_spool_error(&b->record, errno);
    return false;
}

char *backend_message_room(struct backend *b, size_t *room)
{
    char *at = spool_room(&b->spool, room);

    if (at == NULL)
        record_spool_error(&b->record, errno);
    else if (!b->start_known)
        *room -= sizeof "\r\n" - 1; /* look_at_start may want it */
    return at;
}

char *backend_message_piece(struct backend *b, size_t n)
{
    return b->start_known ? spool_piece(&b->spool, n) : NULL;
}

void backend_add_octets(struct backend *b, size_t n)
{
    digest_add(&b->digest, (struct span){.p = b->spool.buffer + b->spool.filled, .n = n});
    spool_add(&b->spool, n);
    if (!b->start_known)
        look_at_start(b, false);
}

void backend_finish_message(struct backend *b, struct smtp_data *data)
{
    if (smtp_data_is_over(data))
        b->record.size = data->size;
    if (!b->start_known && data->ended && data->fault == SMTP_DATA_FINE)
        look_at_start(b, true);
    if (data->ended && data->fault == SMTP_DATA_FINE && spool_finish(&b->spool) < 0) {
        record_spool_error(&b->record, errno);
        data->fault = SMTP_DATA_NO_SPOOL;
    }
    if (!data->ended || data->fault != SMTP_DATA_FINE)
        spool_close(&b->spool);
}

static void deliver_lasts(void *backend)
{
    backend_send_status((struct backend *)backend, "delivering");
}

/* Everybody gets this result, and no command runs. */
static void deliver_nothing(struct backend *b, const struct smtp_reply *result, const char *note)
{
    struct smtp_transaction *t = &b->session->transaction;
    struct deliver_report *report = &b->record.delivery;

    *report = (struct deliver_report){.note = note, .waited = true};
    for (struct smtp_recipient *r = smtp_first_target(t); r != NULL; r = smtp_next_target(r)) {
        r->result = *result;
        report->accepted += result->code < 400;
        report->deferred += result->code >= 400 && result->code < 500;
        report->refused += result->code >= 500;
    }
}

/* Where nothing of ours stood before it so far, nobody has looked how the message begins
 * (look_at_start). */
static bool begins_with_text(const struct backend *b)
{
    char room[2 * SMTP_FIELD_NAME_MAX + 8];

    return b->head == 0 &&
           smtp_header_start(spool_start(&b->spool, 0, room, sizeof room), true) == SMTP_START_TEXT;
}

/* What a policy server has added once the message was there stands before all. False: no room. */
static bool prepend_late(struct backend *b, size_t before, struct arena *a)
{
    const struct span late = span_from(rules_prepended(&b->rules), before);
    struct text head = {.cap = HEAD_MAX};

    if (late.n == 0)
        return true;
    /* Not on the stack: most messages have nothing of the kind, and would touch its pages. */
    head.p = arena_get(a, head.cap);
    if (head.p == NULL)
        return false;
    head_write_prepended(&head, empty_line(b), late);
    if (begins_with_text(b))
        text_add(&head, empty_line(b));
    if (!spool_replace(&b->spool, 0, text_span(&head)))
        return false;
    b->head += head.n;
    return true;
}

/* What a submitted message lacks. True: it may be delivered. */
static bool fix_submission(struct backend *b, struct arena *a)
{
    const struct head_facts f = facts(b);
    const char *note;
    const struct smtp_reply *refused =
        submission_reply(submission_fix(&f, &b->spool, &b->head, a), &note);

    if (refused != NULL)
        deliver_nothing(b, refused, note);
    return refused == NULL;
}

/* Asked once the message is there. True: it may be delivered. */
static bool decide_message(struct backend *b, struct arena *a)
{
    const size_t prepended = rules_prepended(&b->rules).n;
    const struct smtp_verdict verdict = rules_decide_message(&b->rules, b->record.size);

    if (verdict.opinion == SMTP_REFUSE || verdict.opinion == SMTP_DEFER)
        deliver_nothing(b, &verdict.reply, "policy");
    else if (rules_discard(&b->rules))
        deliver_nothing(b, smtp_reply(SMTP_REPLY_OK), "discard");
    else if (!prepend_late(b, prepended, a))
        deliver_nothing(b, smtp_reply(SMTP_REPLY_NO_SPOOL), NULL);
    else
        return true;
    return false;
}

void backend_deliver(struct backend *b, struct arena *a)
{
    struct smtp_transaction *t = &b->session->transaction;
    bool deliver;

    b->record.digest = digest_close(&b->digest, t, a);
    deliver = decide_message(b, a) && fix_submission(b, a);
    record_delivering(&b->record);
    if (deliver)
        deliver_all(&(struct deliver){.lasts = deliver_lasts,
                                      .context = b,
                                      .facts = facts(b),
                                      .transaction = t,
                                      .spool = &b->spool,
                                      .head = b->head,
                                      .size = b->record.size,
                                      .digest = b->record.digest,
                                      .hold = rules_hold(&b->rules),
                                      .arena = a},
                    &b->record.delivery);
    /* The client hears of its own recipients. */
    for (struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        if (r->aliased != NULL)
            r->result = *smtp_merged_result(r->aliased);
    recorder_delivery(&b->recorder, &b->record.delivery);
    spool_close(&b->spool);
    record_delivered(&b->record);
}

bool backend_was_quick(const struct backend *b)
{
    return !b->record.delivery.waited;
}

void backend_refresh_status(struct backend *b, const char *doing)
{
    status_refresh(&b->status, doing);
}

void backend_send_status(struct backend *b, const char *doing)
{
    status_send(&b->status, doing);
}
