#include "smtp/session.h"

#include "base/base64.h"
#include "smtp/chunk.h"
#include "smtp/login.h"
#include "smtp/verbs.h"
#include "smtp/xclient.h"

#include <string.h>

static enum smtp_want say_greeting(struct smtp_session *s)
{
    return smtp_say(s, s->options->lmtp ? SMTP_REPLY_GREETING_LMTP : SMTP_REPLY_GREETING,
                    s->options->hostname);
}

/* An LMTP client is a mail server of ours: it is not held back. Nor is the client of a proxy that
 * has said who it is: what it does is the proxy's to see. */
static enum smtp_want greet(struct smtp_session *s)
{
    return s->options->greet_delay > 0 && !s->options->lmtp && s->xclient == NULL
               ? SMTP_NEXT_GREETING
               : say_greeting(s);
}

static enum smtp_want ask_or_greet(struct smtp_session *s)
{
    return s->options->decide_at & SMTP_ABOUT_CLIENT ? smtp_ask(s, SMTP_ABOUT_CLIENT) : greet(s);
}

enum smtp_want smtp_session_open(struct smtp_session *s, const struct smtp_options *options,
                                 struct text *out, struct arena *arena, bool available)
{
    *s = (struct smtp_session){
        .options = options,
        .out = out,
        .transaction = {.arena = arena},
        .phase = SMTP_CONNECTED,
    };
    arena_reset(arena);
    if (options->tls == SMTP_TLS_IMPLICIT)
        return available ? SMTP_NEXT_TLS : SMTP_NEXT_CLOSE;
    return available ? ask_or_greet(s) : smtp_say(s, SMTP_REPLY_UNAVAILABLE, options->hostname);
}

enum smtp_want smtp_session_is_secure(struct smtp_session *s, enum smtp_want want)
{
    s->secure = true;
    return want == SMTP_NEXT_TLS ? ask_or_greet(s) : want;
}

enum smtp_want smtp_session_tls(struct smtp_session *s, enum smtp_tls_offer offer)
{
    const bool implicit = s->options->tls == SMTP_TLS_IMPLICIT;

    smtp_begin_step(s);
    switch (offer) {
    case SMTP_TLS_READY:
        if (!implicit)
            smtp_say(s, SMTP_REPLY_START_TLS, SPAN(""));
        return SMTP_NEXT_HANDSHAKE;
    case SMTP_TLS_NOT_ALONE:
        return smtp_say(s, SMTP_REPLY_TLS_NOT_ALONE, SPAN(""));
    default:
        s->tls_unavailable = true;
        /* Who waits for TLS from the first octet on must hear nothing else. */
        return implicit ? SMTP_NEXT_CLOSE : smtp_say(s, SMTP_REPLY_TLS_UNAVAILABLE, SPAN(""));
    }
}

enum smtp_want smtp_session_secured(struct smtp_session *s, bool secure)
{
    smtp_begin_step(s);
    if (!secure)
        return SMTP_NEXT_CLOSE;
    s->secure = true;
    smtp_forget_client(s);
    return s->options->tls == SMTP_TLS_IMPLICIT ? ask_or_greet(s) : SMTP_NEXT_LINE;
}

/* RFC 5321 3.1 has a server wait for QUIT behind 554. A client that has not kept to the same
 * section need not be waited for. */
enum smtp_want smtp_session_greet(struct smtp_session *s, bool early)
{
    smtp_begin_step(s);
    return early ? smtp_session_interrupt(s, SMTP_REPLY_EARLY_TALKER) : say_greeting(s);
}

enum smtp_want smtp_session_paused(struct smtp_session *s)
{
    smtp_begin_step(s);
    return SMTP_NEXT_LINE;
}

/* Is the line a response, and one too many? It counts as a command: a login has an end, whatever
 * its challenges are. */
static bool is_response(struct smtp_session *s, bool *too_many)
{
    if (s->login == NULL || !s->login->going_on)
        return false;
    *too_many = ++s->commands > s->options->max_commands;
    return true;
}

enum smtp_want smtp_session_line(struct smtp_session *s, struct span line)
{
    bool too_many;

    smtp_begin_step(s);
    if (is_response(s, &too_many)) {
        if (too_many || s->followed)
            return smtp_cancel_login(s, too_many ? SMTP_REPLY_TOO_MANY_COMMANDS
                                                 : SMTP_REPLY_PIPELINED);
        return smtp_take_response(s, line);
    }
    /* One reply a command: the 421 of a limit takes the place of the reply to the command after. */
    if (s->errors >= s->options->max_errors)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_ERRORS);
    if (++s->commands > s->options->max_commands)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_COMMANDS);
    return smtp_dispatch(s, line);
}

enum smtp_want smtp_session_bad_line(struct smtp_session *s, enum smtp_line_result fault)
{
    const enum smtp_reply_id bare =
        fault == SMTP_LINE_BARE_LF ? SMTP_REPLY_BARE_LF : SMTP_REPLY_BARE_CR;
    const bool is_long = fault == SMTP_LINE_TOO_LONG || fault == SMTP_LINE_LONG_CHUNK;
    bool too_many;

    smtp_begin_step(s);
    if (is_response(s, &too_many))
        return smtp_cancel_login(s, too_many  ? SMTP_REPLY_TOO_MANY_COMMANDS
                                    : is_long ? SMTP_REPLY_LOGIN_TOO_LONG
                                              : bare);
    if (s->errors >= s->options->max_errors)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_ERRORS);
    if (++s->commands > s->options->max_commands)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_COMMANDS);
    if (fault == SMTP_LINE_LONG_CHUNK)
        return smtp_bad_chunk(s);
    return smtp_say(s, is_long ? SMTP_REPLY_LINE_TOO_LONG : bare, SPAN(""));
}

/* The reply of an opinion; its usual one where it has none, or of what it does not say. */
static struct smtp_reply reply_of(const struct smtp_verdict *verdict)
{
    struct smtp_reply reply =
        *smtp_reply(verdict->opinion == SMTP_DEFER ? SMTP_REPLY_DEFERRED : SMTP_REPLY_REFUSED);

    if (verdict->reply.rule != NULL)
        reply.rule = verdict->reply.rule;
    if (verdict->reply.code == 0)
        return reply;
    if (verdict->reply.text.n > 0)
        reply.text = verdict->reply.text;
    reply.code = verdict->reply.code;
    reply.enhanced = verdict->reply.enhanced;
    reply.close = verdict->reply.close;
    return reply;
}

static enum smtp_want recipient_decided(struct smtp_session *s, const struct smtp_verdict *verdict)
{
    struct smtp_recipient *r = s->candidate;
    const uint64_t errors = s->errors;
    struct smtp_reply reply;
    enum smtp_want want;

    s->judged = r->mailbox.address;
    s->candidate = NULL;
    if (verdict->opinion == SMTP_ACCEPT) {
        smtp_add_recipient(&s->transaction, r);
        s->phase = SMTP_RCPT;
        return smtp_say(s, SMTP_REPLY_RECIPIENT_OK, r->mailbox.address);
    }
    reply = reply_of(verdict);
    if (verdict->opinion == SMTP_REFUSE && !s->options->lmtp &&
        ++s->refused_recipients > s->options->max_refused_recipients) {
        /* Those who were accepted get their message first; the others may come with the next. */
        if (s->transaction.recipients == 0)
            return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_REFUSED);
        reply = *smtp_reply(SMTP_REPLY_REFUSED_LATER);
    }
    want = smtp_say_foreign(s, &reply);
    s->transaction.arena->used = s->mark;
    return smtp_forgive(s, errors, want); /* a refused recipient is counted as such */
}

/* RFC 5321 3.5.1: 250, 252 where nothing is known, 550. Nobody is added. */
static enum smtp_want user_decided(struct smtp_session *s, const struct smtp_verdict *verdict)
{
    const struct span address = s->candidate->mailbox.address;
    const bool shown = !s->candidate->mailbox.utf8 || s->utf8_reply;
    struct smtp_reply reply;

    s->candidate = NULL;
    s->judged = address;
    s->transaction.arena->used = s->mark; /* the address stays readable for this reply */
    switch (verdict->opinion) {
    case SMTP_ACCEPT:
        return shown ? smtp_say(s, SMTP_REPLY_USER, address)
                     : smtp_say(s, SMTP_REPLY_VRFY_NEEDS_UTF8, SPAN(""));
    case SMTP_NO_OPINION:
        return smtp_say(s, SMTP_REPLY_VRFY, SPAN(""));
    default:
        reply = reply_of(verdict);
        return smtp_say_foreign(s, &reply);
    }
}

/* No greeting, no name, no transaction: as if the command had not been. */
static enum smtp_want refuse_step(struct smtp_session *s, const struct smtp_verdict *verdict)
{
    struct smtp_reply reply = reply_of(verdict);

    if (s->chunk.comes)
        return smtp_refuse_chunk(s, &reply);
    switch (s->about) {
    case SMTP_ABOUT_CLIENT:
        /* RFC 5321 3.1, 3.8, 4.3.2: 421 in the place of 220, which closes; or 554, which must not.
         */
        reply.code = verdict->opinion == SMTP_DEFER ? 421 : 554;
        reply.close = verdict->opinion == SMTP_DEFER;
        s->turned_away = !reply.close;
        break;
    case SMTP_ABOUT_GREETING:
        s->helo = SPAN("");
        s->esmtp = false;
        smtp_forget_transaction(s);
        break;
    default:
        if (s->about == SMTP_ABOUT_SENDER)
            s->judged = s->transaction.reverse_path.address;
        smtp_forget_transaction(s);
        break;
    }
    return smtp_say_foreign(s, &reply);
}

enum smtp_want smtp_session_decided(struct smtp_session *s, const struct smtp_verdict *verdict)
{
    smtp_begin_step(s);
    if (s->about == SMTP_ABOUT_RECIPIENT)
        return recipient_decided(s, verdict);
    if (s->about == SMTP_ABOUT_USER)
        return user_decided(s, verdict);
    if (verdict->opinion == SMTP_REFUSE || verdict->opinion == SMTP_DEFER)
        return refuse_step(s, verdict);
    return s->about == SMTP_ABOUT_CLIENT ? greet(s) : smtp_go_on(s);
}

enum smtp_want smtp_session_mechanisms(struct smtp_session *s, struct span mechanisms)
{
    smtp_begin_step(s);
    mechanisms = span_first(mechanisms, sizeof s->login->mechanisms_room);
    if (mechanisms.n > 0)
        memcpy(s->login->mechanisms_room, mechanisms.p, mechanisms.n);
    s->login->mechanisms = (struct span){.p = s->login->mechanisms_room, .n = mechanisms.n};
    s->login->mechanisms_known = true;
    return smtp_go_on(s);
}

/* Longer than other replies may be, and base64 alone. */
static enum smtp_want challenge(struct smtp_session *s, struct span text)
{
    if (text.n > SMTP_AUTH_LINE_MAX || !base64_is(text))
        return smtp_say(s, SMTP_REPLY_LOGIN_LATER, SPAN(""));
    text_add(s->out, SPAN("334 "));
    text_add(s->out, text);
    text_add(s->out, SPAN("\r\n"));
    s->said.reply.code = 334;
    s->login->going_on = true;
    return SMTP_NEXT_LINE;
}

static enum smtp_want login_wrong(struct smtp_session *s)
{
    if (++s->login->errors >= s->options->max_auth_errors)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_LOGINS);
    return smtp_say(s, SMTP_REPLY_LOGIN_WRONG, SPAN(""));
}

enum smtp_want smtp_session_login(struct smtp_session *s, enum smtp_login_result result,
                                  struct span text)
{
    smtp_begin_step(s);
    s->login->going_on = false;
    s->login->response = (struct span){0};
    if (s->login->step == SMTP_LOGIN_CANCELLED)
        return smtp_reply(s->login->why)->close ? smtp_session_interrupt(s, s->login->why)
                                                : smtp_say(s, s->login->why, SPAN(""));
    switch (result) {
    case SMTP_LOGIN_DONE:
        return smtp_say(s, smtp_log_in(s, text) ? SMTP_REPLY_LOGIN : SMTP_REPLY_LOGIN_LATER,
                        SPAN(""));
    case SMTP_LOGIN_CHALLENGE:
        return challenge(s, text);
    case SMTP_LOGIN_WRONG:
        return login_wrong(s);
    case SMTP_LOGIN_MALFORMED:
        return smtp_say(s, SMTP_REPLY_LOGIN_MALFORMED, SPAN(""));
    case SMTP_LOGIN_UNKNOWN:
        return smtp_say(s, SMTP_REPLY_LOGIN_MECHANISM, SPAN(""));
    default:
        return smtp_say(s, SMTP_REPLY_LOGIN_LATER, SPAN(""));
    }
}

/* As at the beginning of the session: a greeting, which somebody may have to decide on. */
enum smtp_want smtp_session_client(struct smtp_session *s, enum smtp_reply_id answer)
{
    smtp_begin_step(s);
    if (answer != SMTP_REPLY_OK)
        return smtp_refuse_xclient(s, answer);
    smtp_take_xclient(s);
    return ask_or_greet(s);
}

enum smtp_want smtp_session_gone(struct smtp_session *s)
{
    smtp_begin_step(s);
    return SMTP_NEXT_CLOSE;
}

enum smtp_want smtp_session_interrupt(struct smtp_session *s, enum smtp_reply_id why)
{
    smtp_begin_step(s);
    smtp_say(s, why, s->options->hostname);
    return SMTP_NEXT_CLOSE;
}

struct span smtp_session_protocol(const struct smtp_session *s, bool smtputf8)
{
    static const struct span lmtp_names[2][2][2] = {
        {{{.p = "LMTP", .n = 4}, {.p = "LMTPA", .n = 5}},
         {{.p = "LMTPS", .n = 5}, {.p = "LMTPSA", .n = 6}}},
        {{{.p = "UTF8LMTP", .n = 8}, {.p = "UTF8LMTPA", .n = 9}},
         {{.p = "UTF8LMTPS", .n = 9}, {.p = "UTF8LMTPSA", .n = 10}}},
    };
    /* RFC 3848 and RFC 6531 4.3: S for TLS, A for AUTH. */
    static const struct span names[2][2][2] = {
        {{{.p = "ESMTP", .n = 5}, {.p = "ESMTPA", .n = 6}},
         {{.p = "ESMTPS", .n = 6}, {.p = "ESMTPSA", .n = 7}}},
        {{{.p = "UTF8SMTP", .n = 8}, {.p = "UTF8SMTPA", .n = 9}},
         {{.p = "UTF8SMTPS", .n = 9}, {.p = "UTF8SMTPSA", .n = 10}}},
    };

    if (s->options->lmtp)
        return lmtp_names[smtputf8][s->secure][s->authenticated];
    if (!s->esmtp)
        return SPAN("SMTP");
    return names[smtputf8][s->secure][s->authenticated];
}
