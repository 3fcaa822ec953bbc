/* What a compromised worker may send to the monitor: packets made of the input, some of them whole
 * requests. The backend is a stand-in that keeps count. */
#include "base/base64.h"
#include "request_input.h"
#include "request_make.h"
#include "sandbox/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    size_t accepted;
    uint64_t octets;
    bool message, finished;
    uint64_t transaction; /* of the last message */
    unsigned passed;      /* enum smtp_subject: what this stand-in has let through */
    uint64_t sender;      /* the transaction of that one */
    uint64_t data;
    unsigned prepared, started; /* TLS: how often it was asked for */
    bool offered, going_on;     /* a login */
    bool logged_in;
    bool proxied; /* the PROXY header */
    unsigned failures;
    char room[4096];
} kept;

/* A step: what it is told decides, so that a worker may hear each opinion. */
static struct smtp_verdict decide_step(const struct smtp_session *s, enum smtp_subject about)
{
    static const enum smtp_opinion opinions[] = {SMTP_NO_OPINION, SMTP_ACCEPT, SMTP_NO_OPINION,
                                                 SMTP_REFUSE, SMTP_DEFER};
    const enum smtp_opinion opinion = opinions[s->commands % 5];

    promise(s->options->decide_at & about);
    promise(about != SMTP_ABOUT_CLIENT || !(kept.passed & about));
    promise(about != SMTP_ABOUT_DATA || s->transaction.recipients > 0);
    promise(about < SMTP_ABOUT_SENDER || s->transaction.reverse_path.address.p != NULL);
    kept.passed &= ~(unsigned)about;
    if (opinion == SMTP_NO_OPINION || opinion == SMTP_ACCEPT) {
        kept.passed |= about;
        if (about == SMTP_ABOUT_SENDER)
            kept.sender = s->transactions;
        if (about == SMTP_ABOUT_DATA)
            kept.data = s->transactions;
    }
    return (struct smtp_verdict){.opinion = opinion};
}

/* Nothing is delivered that was not let through at each step. */
static void check_steps(const struct smtp_session *s)
{
    unsigned wanted = s->options->decide_at;

    if (s->helo.n == 0)
        wanted &= ~(unsigned)SMTP_ABOUT_GREETING;
    promise((kept.passed & wanted) == wanted);
    promise(!(wanted & SMTP_ABOUT_SENDER) || kept.sender == s->transactions);
    promise(!(wanted & SMTP_ABOUT_DATA) || kept.data == s->transactions);
    promise(s->transactions > kept.transaction); /* what rules keep belongs to one */
    kept.transaction = s->transactions;
}

struct smtp_verdict backend_decide(struct backend *b, enum smtp_subject about,
                                   struct smtp_recipient *recipient)
{
    promise(!kept.message);
    promise(about != SMTP_ABOUT_USER || (b->session->options->vrfy && recipient != NULL));
    if (recipient == NULL)
        return decide_step(b->session, about);
    promise(recipient->mailbox.address.n > 0 && recipient->mailbox.address.n <= SMTP_ADDRESS_MAX);
    if (about == SMTP_ABOUT_USER)
        return (struct smtp_verdict){
            .opinion = recipient->mailbox.address.n % 2 == 0 ? SMTP_NO_OPINION : SMTP_REFUSE};
    promise(about == SMTP_ABOUT_RECIPIENT);
    /* Another transaction, without a word on the end of the last one. */
    if (b->session->transaction.recipients == 0)
        kept.accepted = 0;
    return (struct smtp_verdict){.opinion = recipient->mailbox.address.n % 3 == 0 ? SMTP_REFUSE
                                                                                  : SMTP_ACCEPT};
}

void backend_add_recipient(struct backend *b, struct smtp_recipient *recipient, struct arena *a)
{
    (void)b;
    (void)a;
    promise(recipient->mailbox.address.n % 3 != 0);
    kept.accepted++;
}

/* Whether it can be had, and whether it comes, is in what was asked. */
bool backend_prepare_tls(struct backend *b, int in, int out)
{
    (void)in;
    (void)out;
    promise(b->tls != NULL && b->config->smtp.tls != SMTP_TLS_OFF && !b->session->secure);
    promise(!kept.message && ++kept.prepared == 1 && kept.started == 0);
    b->tls->ready = b->session->commands % 4 != 3;
    return b->tls->ready;
}

bool backend_start_tls(struct backend *b, int in, int out, int stop)
{
    (void)in;
    (void)out;
    (void)stop;
    promise(b->tls != NULL && b->tls->ready && !b->session->secure);
    promise(!kept.message && kept.prepared == 1 && ++kept.started == 1);
    /* What was said in plain text counts no longer. */
    kept.accepted = 0;
    kept.passed &= ~(unsigned)SMTP_ABOUT_GREETING;
    kept.offered = kept.going_on = kept.logged_in = false;
    return b->session->commands % 4 != 2;
}

/* What was said before was another client's. */
enum smtp_reply_id backend_take_client(struct backend *b, const struct proxied_client *client,
                                       const struct span *facts)
{
    promise(!kept.message && proxied_is_client(client));
    proxied_take(b->peer, b->proxied, client);
    if (facts != NULL) {
        promise(b->config->proxy_protocol != 0 && !kept.proxied && kept.passed == 0);
        promise(b->session->transactions == 0 && kept.accepted == 0 && client->name.n == 0);
        proxied_take_facts(b->peer, b->proxied, *facts, b->config);
        kept.proxied = true;
        return SMTP_REPLY_OK;
    }
    promise(b->session->xclient != NULL);
    promise(!b->session->authenticated || b->config->smtp.xclient_login);
    kept.accepted = 0;
    kept.passed = 0;
    kept.offered = kept.going_on = false;
    kept.logged_in = b->session->authenticated;
    return SMTP_REPLY_OK;
}

/* Who may log in now. */
static void check_login(const struct backend *b)
{
    promise(b->auth != NULL && !kept.message && !kept.logged_in);
    promise(b->session->secure || b->config->smtp.auth_plaintext);
    promise(!b->session->authenticated && kept.failures < b->config->smtp.max_auth_errors);
}

struct span backend_mechanisms(struct backend *b)
{
    promise(b->auth != NULL && !kept.message && !kept.logged_in);
    promise(b->session->secure || b->config->smtp.auth_plaintext);
    kept.offered = true;
    return b->session->commands % 8 == 7 ? SPAN("") : SPAN("PLAIN LOGIN");
}

/* What comes of it is in what was asked. */
enum smtp_login_result backend_login(struct backend *b, struct span *text)
{
    static const enum smtp_login_result results[] = {
        SMTP_LOGIN_DONE,      SMTP_LOGIN_CHALLENGE, SMTP_LOGIN_WRONG, SMTP_LOGIN_CHALLENGE,
        SMTP_LOGIN_MALFORMED, SMTP_LOGIN_UNKNOWN,   SMTP_LOGIN_LATER, SMTP_LOGIN_DONE};
    const struct smtp_login *l = b->session->login;
    const unsigned chance = b->session->commands % 8;
    const bool cancelled = l->step == SMTP_LOGIN_CANCELLED;
    const enum smtp_login_result result = results[chance];

    check_login(b);
    promise((l->step != SMTP_LOGIN_BEGINS) == kept.going_on);
    promise(l->step != SMTP_LOGIN_BEGINS ||
            (kept.offered &&
             (span_eq(l->mechanism, SPAN("PLAIN")) || span_eq(l->mechanism, SPAN("LOGIN")))));
    promise(l->response.n <= SMTP_AUTH_LINE_MAX && base64_is(l->response));
    promise(l->response.p != NULL || l->response.n == 0);
    *text = result == SMTP_LOGIN_DONE ? (chance == 7 ? SPAN("") : SPAN("jane")) : SPAN("AAAA");
    kept.going_on = !cancelled && result == SMTP_LOGIN_CHALLENGE;
    kept.failures += !cancelled && result == SMTP_LOGIN_WRONG;
    kept.logged_in = !cancelled && chance == 0;
    /* There is none within a transaction: what there was of one is no more. */
    if (kept.logged_in)
        kept.accepted = 0;
    return result;
}

/* RFC 4954 3, 5: who has logged in, and what only such a client may say. */
static void check_submission(const struct backend *b)
{
    const struct smtp_session *s = b->session;

    promise(s->authenticated == kept.logged_in);
    promise(s->authenticated || !b->config->smtp.auth_required);
    promise(s->authenticated || s->transaction.auth.n == 0);
    promise(!s->authenticated || span_eq(s->login->user, SPAN("jane")) ||
            span_eq(s->login->method, SPAN("XCLIENT")));
}

bool backend_begin_message(struct backend *b)
{
    const struct smtp_transaction *t = &b->session->transaction;

    promise(!kept.message && t->recipients > 0 && t->recipients == kept.accepted);
    promise(t->reverse_path.address.p != NULL && b->session->helo.n <= SMTP_DOMAIN_MAX);
    promise(t->declared_size <= b->config->smtp.max_message_size);
    promise(b->session->secure || b->config->smtp.tls < SMTP_TLS_REQUIRED);
    promise(!b->session->secure || kept.started == 1 || (kept.proxied && b->config->proxy_tls));
    promise(kept.proxied || b->config->proxy_protocol == 0);
    promise(!t->requiretls || (b->session->secure && b->config->smtp.requiretls));
    check_extras(b->session);
    check_steps(b->session);
    check_submission(b);
    kept.message = true;
    kept.octets = 0;
    return true;
}

char *backend_message_room(struct backend *b, size_t *room)
{
    (void)b;
    promise(kept.message);
    *room = sizeof kept.room;
    return kept.room;
}

char *backend_message_piece(struct backend *b, size_t n)
{
    (void)b;
    (void)n;
    return NULL;
}

void backend_add_octets(struct backend *b, size_t n)
{
    kept.octets += n;
    promise(n <= sizeof kept.room && kept.octets <= b->config->smtp.max_message_size);
}

void backend_finish_message(struct backend *b, struct smtp_data *data)
{
    (void)b;
    promise(kept.message);
    kept.message = false;
    kept.finished = data->ended && data->fault == SMTP_DATA_FINE;
}

void backend_deliver(struct backend *b, struct arena *a)
{
    struct smtp_transaction *t = &b->session->transaction;
    size_t n = 0;

    promise(kept.finished && a->cap > a->used);
    for (struct smtp_recipient *r = t->first; r != NULL; r = r->next, n++)
        r->result =
            (struct smtp_reply){.code = 250, .enhanced = SPAN("2.0.0"), .text = r->mailbox.address};
    promise(n > 0 && n == t->recipients && n == kept.accepted);
    kept.finished = false;
}

bool backend_was_quick(const struct backend *b)
{
    return b->record.messages % 2 == 0;
}

void backend_before_step(struct backend *b)
{
    record_before(&b->record);
}

bool backend_after_step(struct backend *b, enum smtp_want want)
{
    const bool news = record_after(&b->record, want);

    if (b->session->phase < SMTP_MAIL || want == SMTP_NEXT_CLOSE)
        kept.accepted = 0;
    return news;
}

void backend_send_status(struct backend *b, const char *doing)
{
    (void)b;
    promise(doing == NULL || request_is_word(span_of(doing)));
}

void backend_end(struct backend *b, const char *why)
{
    (void)b;
    promise(request_is_word(span_of(why)));
}

/* An honest session's next request, its steps in their order: some input leaves one out. */
static void make_next(const uint8_t **p, const uint8_t *end, const struct config *c,
                      unsigned *stage, struct text *packet)
{
    static const enum smtp_subject steps[] = {SMTP_ABOUT_CLIENT, SMTP_ABOUT_GREETING,
                                              SMTP_ABOUT_SENDER, SMTP_ABOUT_RECIPIENT,
                                              SMTP_ABOUT_DATA};
    enum { STEPS = sizeof steps / sizeof *steps, FIRST = 2, OF_RECIPIENT = 3 };
    /* From the first step of a transaction to its delivery, and again. */
    const unsigned before = *stage < FIRST ? 0 : (*stage - FIRST) / (STEPS + 1 - FIRST);
    const unsigned at = *stage - before * (STEPS + 1 - FIRST);
    const uint64_t transaction = *stage < FIRST ? 0 : before + 1;
    char room[1024];
    struct text added = TEXT(room);
    struct request r = {.kind = REQUEST_DECIDE,
                        .transaction = transaction,
                        .sender = SPAN("a@example.com"),
                        .helo = SPAN("x")};

    ++*stage;
    if (at < STEPS) {
        r.about = steps[at];
        r.address = SPAN("b@example.org"); /* whom the stand-in accepts */
        r.commands = input_number(p, end);
        if (at == OF_RECIPIENT)
            r.candidate_extras = input_extras(p, end);
        if (at == OF_RECIPIENT && !c->asks) {
            r.kind = REQUEST_RECIPIENTS;
            input_recipient(&added, p, end);
        } else if (at != OF_RECIPIENT && !(c->smtp.decide_at & steps[at])) {
            r.kind = REQUEST_STATUS;
            r.phase = SMTP_GREETED;
        }
    } else {
        r.kind = REQUEST_DELIVER;
        r.address = SPAN("a@example.com");
        r.begins = true;
        r.recipients = 1;
        r.extras = input_extras(p, end);
    }
    r.added = text_span(&added);
    request_write(packet, &r);
}

/* An honest session's TLS: first it is asked for. */
static void make_tls(const uint8_t **p, const uint8_t *end, uint64_t transaction,
                     struct text *packet)
{
    const struct request r = {.kind = kept.prepared == 0 ? REQUEST_PREPARE_TLS : REQUEST_START_TLS,
                              .transaction = transaction,
                              .commands = input_number(p, end),
                              .boundary = UINT64_MAX};

    request_write(packet, &r);
}

/* An honest session's login, of which a step goes on or is cancelled. */
static void make_login(const uint8_t **p, const uint8_t *end, uint64_t transaction,
                       struct text *packet)
{
    const uint64_t flags = input_number(p, end);
    const struct request r = {
        .kind = kept.offered ? REQUEST_LOGIN : REQUEST_MECHANISMS,
        .transaction = transaction,
        .commands = input_number(p, end),
        .step = !kept.going_on ? SMTP_LOGIN_BEGINS
                : flags & 1    ? SMTP_LOGIN_CANCELLED
                               : SMTP_LOGIN_GOES_ON,
        .mechanism = flags & 2 ? SPAN("LOGIN") : SPAN("PLAIN"),
        .has_response = kept.going_on ? !(flags & 1) : (flags & 4) > 0,
        .octets = kept.going_on ? (flags & 1 ? SPAN("") : SPAN("AAAA"))
                  : flags & 4   ? SPAN("AAAAAAAA")
                                : SPAN(""),
    };

    request_write(packet, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log log = {.target = CONFIG_LOG_NONE};
    static char arena_room[1 << 16], packets[PACKET_MAX];
    static struct backend b;
    static struct smtp_session session;
    static struct config config;
    static struct tls tls;
    static struct auth auth;
    static struct smtp_login login;
    static struct smtp_xclient xclient;
    static struct proxied proxied;
    struct peer peer = {.address = SPAN("192.0.2.1"), .name = SPAN("")};
    struct arena arena = {.base = arena_room, .cap = sizeof arena_room / 2};
    struct monitor m = {.backend = &b,
                        .stop = -1,
                        .fd = -1,
                        .room = TEXT(packets),
                        .arena = &arena,
                        .arena_max = sizeof arena_room};
    const uint8_t *p = data, *const end = data + size;
    const size_t more = (size_t)(size * 2654435761U) >> 7; /* as many bits again */
    unsigned stage = 0;

    memset(&kept, 0, sizeof kept);
    config = (struct config){.smtp = {.hostname = SPAN("mx.example.org"),
                                      .max_message_size = 100000,
                                      .max_recipients = 4,
                                      .max_transactions = 5,
                                      .max_errors = 3,
                                      .max_refused_recipients = 3,
                                      .max_commands = 50,
                                      .prdr = size & 1,
                                      .lmtp = size & 2,
                                      .vrfy = size & 4,
                                      .helo_required = size & 8,
                                      .tls = size / 1024 % 4,
                                      .requiretls = size & 4096,
                                      .dsn = more & 8,
                                      .mt_priority = more & 16,
                                      .deliver_by = more & 32,
                                      .future_release = more & 64 ? 3600000 : 0,
                                      .auth = more & 1,
                                      .auth_plaintext = more & 2,
                                      .auth_required = (more & 1) > 0 && (more & 4) > 0,
                                      .max_auth_errors = 3,
                                      .decide_at = size / 16 % 32 & ~(size_t)SMTP_ABOUT_RECIPIENT},
                             .proxy_protocol = (more & 24) == 24,
                             .proxy_tls = more & 32,
                             .asks = size & 512};
    config.smtp.xclient_login = (more & 64) > 0 && (more & 128) > 0;
    session = (struct smtp_session){
        .options = &config.smtp, .now = 1795460000, .transaction = {.arena = &arena}};
    memset(&b, 0, sizeof b);
    b.config = &config;
    b.peer = &peer;
    b.session = &session;
    b.recorder.fd = b.seat = -1;
    b.proxied = &proxied;
    session.xclient = more & 128 ? &xclient : NULL;
    tls = (struct tls){.config = &config, .control = -1, .theirs = -1, .ours = {-1, -1, false}};
    b.tls = config.smtp.tls == SMTP_TLS_OFF ? NULL : &tls;
    login = (struct smtp_login){.going_on = false};
    if (config.smtp.auth || config.smtp.xclient_login)
        session.login = &login;
    if (config.smtp.auth)
        b.auth = &auth;
    b.rules = (struct rules){.config = &config, .peer = &peer, .session = &session};
    record_open(&b.record, &config, &peer, &session, &log);
    while (p < end) {
        /* As in the monitor: the packet that is read and the answer share one buffer. */
        struct text packet = {.p = m.room.p, .cap = m.room.cap};

        switch (*p++ % 6) {
        case 0:
            text_add(&packet, input_octets(&p, end));
            break;
        case 1:
            make_request(&p, end, &packet);
            break;
        case 2:
            stage++;
            continue;
        case 3:
            if ((config.proxy_protocol != 0 && !kept.proxied) ||
                (session.xclient != NULL && input_number(&p, end) % 2 == 0))
                make_client(&p, end, config.proxy_protocol != 0 && !kept.proxied, m.transaction,
                            &packet);
            else if (config.smtp.auth && (b.tls == NULL || input_number(&p, end) % 2 == 0))
                make_login(&p, end, m.transaction, &packet);
            else
                make_tls(&p, end, m.transaction, &packet);
            break;
        default:
            make_next(&p, end, &config, &stage, &packet);
            break;
        }
        if (monitor_handle(&m, text_span(&packet)) != NULL)
            break;
    }
    return 0;
}
