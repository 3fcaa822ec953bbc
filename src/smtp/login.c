#include "smtp/login.h"

#include "base/base64.h"
#include "smtp/line.h"

#include <string.h>

bool smtp_offers_login(const struct smtp_session *s)
{
    const struct smtp_options *o = s->options;

    return o->auth && s->login != NULL && !s->authenticated && (s->secure || o->auth_plaintext);
}

/* sasl-mech: 1*20 of capitals, digits, '-' and '_' (RFC 4422 3.1), in either case here (RFC 5321
 * 2.4). */
static bool read_mechanism(struct smtp_login *l, struct span name)
{
    if (name.n == 0 || name.n > sizeof l->mechanism_room)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];

        if (!byte_is_alpha(c) && !byte_is_digit(c) && c != '-' && c != '_')
            return false;
        l->mechanism_room[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    l->mechanism = (struct span){.p = l->mechanism_room, .n = name.n};
    return true;
}

static bool is_offered(const struct smtp_session *s, struct span mechanism)
{
    struct span left = s->login->mechanisms, word;

    while (span_word(&left, " ", &word))
        if (span_eq(word, mechanism))
            return true;
    return false;
}

enum smtp_want smtp_begin_login(struct smtp_session *s, struct span argument)
{
    struct smtp_login *l = s->login;
    const struct span name = span_first(argument, span_find(argument, ' '));
    struct span initial = {0};

    if (s->authenticated)
        return smtp_say(s, SMTP_REPLY_LOGIN_TWICE, SPAN(""));
    if (!smtp_offers_login(s))
        return smtp_say(s, SMTP_REPLY_LOGIN_NEEDS_TLS, SPAN(""));
    /* RFC 4954 4: after EHLO alone. */
    if (!s->esmtp)
        return smtp_say(s, SMTP_REPLY_HELLO_FIRST, SPAN(""));
    if (!read_mechanism(l, name) || !is_offered(s, l->mechanism))
        return smtp_say(s, SMTP_REPLY_LOGIN_MECHANISM, SPAN(""));
    if (name.n < argument.n) {
        initial = span_from(argument, name.n + 1);
        /* A lone "=" is the empty response. */
        if (span_eq(initial, SPAN("=")))
            initial.n = 0;
        else if (initial.n == 0 || !base64_is(initial))
            return smtp_say(s, SMTP_REPLY_LOGIN_MALFORMED, SPAN(""));
    }
    l->response = initial;
    l->step = SMTP_LOGIN_BEGINS;
    return SMTP_NEXT_LOGIN;
}

enum smtp_want smtp_cancel_login(struct smtp_session *s, enum smtp_reply_id why)
{
    s->login->step = SMTP_LOGIN_CANCELLED;
    s->login->why = why;
    return SMTP_NEXT_LOGIN;
}

enum smtp_want smtp_take_response(struct smtp_session *s, struct span line)
{
    if (span_eq(line, SPAN("*")))
        return smtp_cancel_login(s, SMTP_REPLY_LOGIN_CANCELLED);
    if (!base64_is(line))
        return smtp_cancel_login(s, SMTP_REPLY_LOGIN_MALFORMED);
    s->login->response = line;
    s->login->step = SMTP_LOGIN_GOES_ON;
    return SMTP_NEXT_LOGIN;
}

bool smtp_log_in(struct smtp_session *s, struct span user)
{
    if (user.n == 0 || user.n > sizeof s->login->user_room || span_has_control(user))
        return false;
    memcpy(s->login->user_room, user.p, user.n);
    memcpy(s->login->method_room, s->login->mechanism.p, s->login->mechanism.n);
    s->login->user = (struct span){.p = s->login->user_room, .n = user.n};
    s->login->method = (struct span){.p = s->login->method_room, .n = s->login->mechanism.n};
    s->authenticated = true;
    return true;
}
