#include "serve.h"

#include "io/clock.h"
#include "io/wire.h"
#include "sandbox/sandbox.h"
#include "serve_state.h"
#include "services.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

enum {
    LINGER_OCTETS = 16 * 1024 * 1024,
};

/* Waits for more of a command. RFC 5321 3.8: who shuts down between commands says 421. */
static enum wire_result fill_line(struct serve *s, uint64_t *deadline)
{
    const enum wire_result filled =
        s->stopping ? WIRE_STOP : serve_fill(s, deadline, s->config->command_timeout, NULL);

    if (filled == WIRE_STOP && !s->stopping)
        serve_begin_to_stop(s);
    return filled;
}

/* Commands that wait in the buffer, each with a message or a decision perhaps, are no way round the
 * stop or the session's end. Nor need the client wait for all of their replies where a decision
 * takes long. False: the session can't go on. */
static bool look_at_clock(struct serve *s, enum smtp_want *want)
{
    const enum wire_result pushed = s->decided >= WIRE_MOMENT ? serve_flush(s) : WIRE_OK;

    if (pushed != WIRE_OK) {
        *want = serve_give_up(s, pushed, SMTP_REPLY_TIMEOUT);
        return false;
    }
    serve_watch_stop(s);
    if (wire_stopped(&s->wire))
        serve_begin_to_stop(s);
    if (clock_left(s->session_deadline) > 0)
        return true;
    *want = serve_give_up(s, WIRE_TIMEOUT, SMTP_REPLY_TIMEOUT);
    return false;
}

/* Where clients log in, what may be a password is wiped where it was read, once nothing looks at it
 * any more: of a response that somebody checks, serve_login does it. */
static void forget_line(struct span bytes, bool is_checked)
{
    if (bytes.n > 0 && !is_checked && !recorder_is_harmless(bytes))
        explicit_bzero((char *)bytes.p, bytes.n);
}

static bool checks_response(const struct serve *s, enum smtp_want want)
{
    return want == SMTP_NEXT_LOGIN && s->session.login->step != SMTP_LOGIN_CANCELLED;
}

static enum smtp_want next_line(struct serve *s)
{
    /* One deadline for the whole line: a byte now and then buys no time. */
    uint64_t deadline = 0;
    enum smtp_want over;

    wire_tidy(&s->wire);
    if (s->brief_fills >= WIRE_BRIEF_FILLS && wire_unread(&s->wire).n > 0 &&
        !look_at_clock(s, &over))
        return over;
    if (s->stopping && s->session.phase < SMTP_MAIL)
        return serve_give_up(s, WIRE_STOP, SMTP_REPLY_TIMEOUT);
    for (;;) {
        enum smtp_line_result found = SMTP_LINE_MORE;
        enum wire_result filled;
        enum smtp_want want = SMTP_NEXT_LINE;
        struct span line = {0};
        size_t used = 0, begun;

        if (wire_unread(&s->wire).n > 0)
            found = smtp_line_scan(&s->line, wire_unread(&s->wire), &line, &used);
        /* Before the session goes on: does it wait for a response, or for a command? */
        if (recorder_is_open(&s->services.backend.recorder))
            recorder_commands(&s->services.backend.recorder,
                              span_first(wire_unread(&s->wire), used), s->session.login);
        if (s->config->smtp.unexpected_pipelining == 1)
            s->session.followed = wire_unread(&s->wire).n > used;
        if (s->config->smtp.future_release > 0)
            s->session.now = record_now(&s->services.backend.record);
        if (found == SMTP_LINE_READY)
            want = smtp_session_line(&s->session, line);
        else if (found != SMTP_LINE_MORE)
            want = smtp_session_bad_line(&s->session, found);
        if (s->session.login != NULL)
            forget_line(span_first(wire_unread(&s->wire), used), checks_response(s, want));
        wire_used(&s->wire, used);
        if (found != SMTP_LINE_MORE)
            return want;
        begun = wire_unread(&s->wire).n;
        filled = fill_line(s, &deadline);
        if (filled != WIRE_OK) {
            /* What else was read, while replies waited, is looked at by nobody. */
            recorder_commands(&s->services.backend.recorder,
                              span_first(wire_unread(&s->wire), begun), s->session.login);
            return serve_give_up(s, filled, SMTP_REPLY_TIMEOUT);
        }
    }
}

static enum smtp_want decide(struct serve *s)
{
    struct smtp_recipient *candidate = s->session.candidate;
    const enum smtp_subject about = s->session.about;
    const bool takes_more = services_take_more(&s->services, about, candidate);
    const uint64_t before = takes_more ? clock_now() : 0;
    const struct smtp_verdict verdict = services_decide(&s->services, about, candidate);
    const enum smtp_want want = smtp_session_decided(&s->session, &verdict);

    if (about == SMTP_ABOUT_RECIPIENT && verdict.opinion == SMTP_ACCEPT)
        services_add_recipient(&s->services, candidate, &s->arena);
    if (takes_more)
        s->decided += clock_now() - before;
    if (s->decided >= WIRE_MOMENT)
        s->brief_fills = WIRE_BRIEF_FILLS;
    return want;
}

static enum smtp_want deliver(struct serve *s)
{
    s->delivery = arena_behind(&s->arena, SERVE_ARENA_MAX + SERVE_DELIVERY_MAX);
    s->late = 0; /* its replies have a time of their own */
    if (!services_deliver(&s->services, &s->delivery))
        return smtp_session_collected(
            &s->session, &(struct smtp_data){.fault = SMTP_DATA_NO_SPOOL, .ended = true});
    s->brief_fills = services_was_quick(&s->services) ? s->brief_fills + 1 : WIRE_BRIEF_FILLS;
    return smtp_session_delivered(&s->session);
}

static enum smtp_want send_more(struct serve *s)
{
    return smtp_session_more(&s->session);
}

/* What the step has said, into the recording too. */
static void record_replies(struct serve *s)
{
    if (recorder_is_open(&s->services.backend.recorder)) {
        /* It is about what stands behind the command. */
        if (s->session.said.reply.rule == smtp_reply(SMTP_REPLY_PIPELINED)->rule)
            serve_record_unread(s);
        recorder_replies(&s->services.backend.recorder,
                         span_from(text_span(&s->wire.send), s->spoken));
    }
    s->spoken = s->wire.send.n;
}

static enum sandbox_result enter_sandbox(struct serve *s, const struct serve_connection *connection,
                                         struct serve_memory *memory, bool *available)
{
    const struct sandbox_session session = {
        .in = connection->in,
        .out = connection->out,
        .stop = connection->stop,
        .deadline = s->session_deadline,
        .plain = s->services.backend.tls == NULL ? (struct tls_stream){-1, -1, false}
                                                 : s->services.backend.tls->ours,
        .late = serve_late_time(s->config),
        .packet = TEXT(memory->packet),
        .added = TEXT(memory->added),
        .transaction = &s->arena,
        .xclient = &memory->xclient,
        .login = &memory->login,
        .arena_max = SERVE_ARENA_MAX + SERVE_DELIVERY_MAX,
    };

    return sandbox_fork(&s->services.backend, &s->services.worker, &session, available);
}

static_assert(sizeof(struct serve) <= SERVE_STATE_MAX, "serve_memory has room for it");

/* For a listening process. */
static int conduct(const struct serve *s, const struct serve_connection *connection)
{
    static const int statuses[] = {[BACKEND_WELL] = 0,
                                   [BACKEND_LOGINS_FAILED] = SERVE_LOGINS_FAILED,
                                   [BACKEND_ABUSED] = SERVE_ABUSED};

    return connection->listened ? statuses[backend_conduct(&s->services.backend)] : 0;
}

/* Who has no business to say who its client is hears nothing. */
static int turn_away(struct serve *s)
{
    s->session.options = &s->config->smtp;
    services_end(&s->services, "proxy_untrusted");
    serve_close_tls(s);
    services_close(&s->services);
    return 0;
}

/* Where a proxy is in front, its header comes before anything else. */
static enum smtp_want open_session(struct serve *s, struct serve_memory *memory, bool available)
{
    const struct config *c = s->config;
    const struct peer *peer = s->services.backend.peer;
    enum smtp_reply_id answer = SMTP_REPLY_OK;
    enum smtp_want want;

    if (c->proxy_protocol != 0) {
        s->session = (struct smtp_session){.options = &c->smtp, .phase = SMTP_CONNECTED};
        if (!serve_take_header(s, &answer))
            return SMTP_NEXT_CLOSE;
    }
    services_before_step(&s->services);
    want = smtp_session_open(&s->session, &c->smtp, &s->wire.send, &s->arena,
                             available && answer == SMTP_REPLY_OK);
    if (answer != SMTP_REPLY_OK && available && s->wire.send.n > 0) {
        s->wire.send.n = 0;
        want = smtp_session_interrupt(&s->session, answer);
    }
    if (c->smtp.auth || c->smtp.xclient_login)
        s->session.login = &memory->login;
    if (proxied_may_xclient(c, peer))
        s->session.xclient = &memory->xclient;
    return peer->tls != NULL ? smtp_session_is_secure(&s->session, want) : want;
}

static void run(struct serve *s, enum smtp_want want)
{
    static enum smtp_want (*const steps[])(struct serve *) = {
        [SMTP_NEXT_GREETING] = serve_hold_greeting,
        [SMTP_NEXT_LINE] = next_line,
        [SMTP_NEXT_DECISION] = decide,
        [SMTP_NEXT_DATA] = serve_collect,
        [SMTP_NEXT_DELIVERY] = deliver,
        [SMTP_NEXT_CHUNK] = serve_take_chunk,
        [SMTP_NEXT_TLS] = serve_prepare_tls,
        [SMTP_NEXT_MECHANISMS] = serve_mechanisms,
        [SMTP_NEXT_LOGIN] = serve_login,
        [SMTP_NEXT_HANDSHAKE] = serve_shake_hands,
        [SMTP_NEXT_CLIENT] = serve_take_client,
        [SMTP_NEXT_MORE] = send_more,
        [SMTP_NEXT_PAUSE] = serve_hold_error,
    };

    for (;;) {
        record_replies(s);
        if (s->collecting)
            serve_drop_unfinished(s, want);
        /* Room for the next reply; a client that does not read its replies is shown out. */
        if (s->wire.send.cap - s->wire.send.n < SMTP_REPLY_MAX && want != SMTP_NEXT_PAUSE &&
            serve_flush(s) != WIRE_OK)
            want = SMTP_NEXT_CLOSE;
        services_after_step(&s->services, want);
        if (want == SMTP_NEXT_CLOSE)
            break;
        services_before_step(&s->services);
        want = steps[want](s);
    }
    if (serve_flush(s) == WIRE_OK && s->session.said.reply.rule != NULL)
        wire_linger(&s->wire, clock_now() + SERVE_LINGER, LINGER_OCTETS);
    serve_close_tls(s);
    services_close(&s->services);
}

int serve(const struct config *c, const struct serve_connection *connection, struct log *log,
          struct serve_memory *memory, const struct arena *taken)
{
    struct serve *const s = (struct serve *)memory->state;
    enum sandbox_result sandbox = SANDBOX_NONE;
    bool available = connection->available;

    *s = (struct serve){
        .config = c,
        .arena = arena_behind(taken, taken->used + SERVE_ARENA_MAX),
        .services = {.backend = {.config = c,
                                 .peer = connection->peer,
                                 .session = &s->session,
                                 .proxied = &memory->proxied,
                                 .seat = connection->seat,
                                 .rules = {.sources = &memory->sources},
                                 .recorder = {.out = TEXT(memory->trace)},
                                 .spool = {.fd = -1,
                                           .buffer = memory->spool,
                                           .cap = c->sandbox == CONFIG_SANDBOX_NO
                                                      ? SERVE_SPOOL_MAX
                                                      : sizeof memory->spool}},
                     .worker = {.fd = -1}},
        .wire = {.in = connection->in,
                 .out = connection->out,
                 .stop = connection->stop,
                 .drain = c->drain_timeout,
                 .send = {.p = memory->send, .cap = 2 * SMTP_REPLY_MAX}},
    };
    wire_read_into(&s->wire, memory->read, SERVE_READ_MAX, SERVE_AHEAD_MAX);
    wire_open(&s->wire);
    if (c->smtp.tls != SMTP_TLS_OFF)
        serve_open_tls(s, connection->peer, &memory->tls);
    backend_open(&s->services.backend, log, connection->title);
    if (c->proxy_protocol != 0 && !proxied_is_trusted(c, connection->peer))
        return turn_away(s);
    if (c->smtp.auth) {
        auth_open(&memory->auth, c, connection->peer,
                  record_session_id(&s->services.backend.record));
        s->services.backend.auth = &memory->auth;
    }
    s->session_deadline = s->services.backend.record.started + c->session_timeout;
    if (available && c->sandbox != CONFIG_SANDBOX_NO)
        sandbox = enter_sandbox(s, connection, memory, &available);
    if (sandbox == SANDBOX_CRASHED)
        return SERVE_CRASHED;
    if (sandbox == SANDBOX_ENDED)
        return conduct(s, connection);
    run(s, open_session(s, memory, available));
    return sandbox == SANDBOX_WORKER ? 0 : conduct(s, connection);
}
