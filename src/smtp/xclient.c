#include "smtp/xclient.h"

#include "smtp/login.h"
#include "smtp/xtext.h"

#include <stddef.h>
#include <string.h>

/* How a login is named that a proxy has told of. */
static const char method[] = "XCLIENT";

enum { VALUE_MAX = SMTP_DOMAIN_MAX };

static const struct attribute {
    struct tag name;
    size_t place; /* of its span; 0: it has none */
} attributes[] = {
    /* In the order of the bits. */
    {TAG("NAME"), offsetof(struct smtp_xclient, name)},
    {TAG("ADDR"), offsetof(struct smtp_xclient, addr)},
    {TAG("PORT"), offsetof(struct smtp_xclient, port)},
    {TAG("PROTO"), 0},
    {TAG("HELO"), offsetof(struct smtp_xclient, helo)},
    {TAG("LOGIN"), offsetof(struct smtp_xclient, login)},
    {TAG("DESTADDR"), offsetof(struct smtp_xclient, destaddr)},
    {TAG("DESTPORT"), offsetof(struct smtp_xclient, destport)},
};

enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

void smtp_announce_xclient(struct text *out)
{
    text_add(out, SPAN("\r\n250-XCLIENT"));
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        text_addc(out, ' ');
        text_add(out, tag_span(&attributes[i].name));
    }
}

static bool set_protocol(struct smtp_xclient *x, struct span value)
{
    x->esmtp = span_eq_nocase(value, SPAN("ESMTP"));
    return value.n == 0 || x->esmtp || span_eq_nocase(value, SPAN("SMTP"));
}

/* xtext; of what is not known, or not for now, nothing is. */
static bool set_value(struct smtp_session *s, const struct attribute *a, struct span value)
{
    char room[VALUE_MAX];
    struct text out = TEXT(room);
    struct span kept;

    if (value.n == 0 || !smtp_read_xtext(value, &out))
        return false;
    value = text_span(&out);
    if (span_eq_nocase(value, SPAN("[UNAVAILABLE]")) ||
        span_eq_nocase(value, SPAN("[TEMPUNAVAIL]")))
        value.n = 0;
    if (a->place == 0)
        return set_protocol(s->xclient, value);
    kept = arena_copy(s->transaction.arena, value);
    *(struct span *)(void *)((char *)s->xclient + a->place) = kept;
    return kept.p != NULL;
}

static bool set_attribute(struct smtp_session *s, struct span word)
{
    const size_t equals = span_find(word, '=');
    const struct span name = span_first(word, equals), value = span_from(word, equals + 1);

    for (unsigned i = 0; i < ATTRIBUTES; i++) {
        if (!span_eq_nocase(tag_span(&attributes[i].name), name))
            continue;
        if (s->xclient->given & 1U << i || equals == word.n)
            return false;
        s->xclient->given |= 1U << i;
        return set_value(s, &attributes[i], value);
    }
    return false;
}

enum smtp_want smtp_xclient(struct smtp_session *s, struct span argument)
{
    const struct smtp_xclient *x = s->xclient;
    struct span word;
    bool good = true;

    smtp_forget_transaction(s); /* there is none: its memory is free */
    *s->xclient = (struct smtp_xclient){.given = 0};
    while (good && span_word(&argument, " ", &word))
        good = set_attribute(s, word);
    if (!good || x->given == 0 ||
        (x->helo.n > 0 && !smtp_is_helo_name(x->helo, s->options->tolerate.kinds)))
        return smtp_refuse_xclient(s, SMTP_REPLY_BAD_PARAMETERS);
    return SMTP_NEXT_CLIENT;
}

enum smtp_want smtp_refuse_xclient(struct smtp_session *s, enum smtp_reply_id why)
{
    smtp_forget_transaction(s);
    return smtp_say(s, why, s->options->hostname);
}

static void log_in(struct smtp_session *s, struct span user)
{
    if (s->login == NULL || user.n == 0)
        return;
    memcpy(s->login->mechanism_room, method, sizeof method - 1);
    s->login->mechanism = (struct span){.p = s->login->mechanism_room, .n = sizeof method - 1};
    smtp_log_in(s, user);
}

void smtp_take_xclient(struct smtp_session *s)
{
    /* What was read lies in an arena that is given back, and stays as it is until the next one. */
    const struct smtp_xclient x = *s->xclient;
    char room[SMTP_USER_MAX];
    struct text user = TEXT(room);

    if (!(x.given & SMTP_XCLIENT_NEW_LOGIN)) {
        if (s->authenticated && span_eq(s->login->method, SPAN(method)))
            text_add(&user, s->login->user);
    } else if (s->options->xclient_login) {
        text_add(&user, x.login);
    }
    smtp_forget_client(s);
    log_in(s, text_span(&user));
    /* The name of EHLO that somebody judges is that of EHLO. */
    if (x.helo.n == 0 || s->options->decide_at & SMTP_ABOUT_GREETING)
        return;
    memcpy(s->helo_room, x.helo.p, x.helo.n);
    s->helo = (struct span){.p = s->helo_room, .n = x.helo.n};
    s->esmtp = x.esmtp;
    s->phase = SMTP_GREETED;
}
