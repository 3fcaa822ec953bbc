#include "smtp/param.h"

#include "base/number.h"
#include "smtp/extra.h"
#include "smtp/xtext.h"

#include <string.h>

/* size-value = 1*20DIGIT (RFC 1870 4). Twenty digits can be more than 64 bits hold: that number is
 * well formed, and past any limit. */
static enum smtp_reply_id set_size(struct smtp_session *s, struct span value)
{
    if (value.n > 20)
        return SMTP_REPLY_BAD_PARAMETERS;
    switch (number_parse(value, s->options->max_message_size, &s->transaction.declared_size)) {
    case NUMBER_OK:
        return SMTP_REPLY_OK;
    case NUMBER_TOO_BIG:
        return SMTP_REPLY_TOO_LARGE;
    default:
        return SMTP_REPLY_BAD_PARAMETERS;
    }
}

/* body-value = "7BIT" / "8BITMIME" (RFC 6152 2) / "BINARYMIME" (RFC 3030 3), which is known only
 * where it was announced */
static enum smtp_reply_id set_body(struct smtp_session *s, struct span value)
{
    if (span_eq_nocase(value, SPAN("8BITMIME")))
        s->transaction.body = SMTP_BODY_8BITMIME;
    else if (span_eq_nocase(value, SPAN("BINARYMIME")) && !s->options->binarymime)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    else if (span_eq_nocase(value, SPAN("BINARYMIME")))
        s->transaction.body = SMTP_BODY_BINARYMIME;
    else if (!span_eq_nocase(value, SPAN("7BIT")))
        return SMTP_REPLY_BAD_PARAMETERS;
    return SMTP_REPLY_OK;
}

/* RFC 6531 3.4: no value */
static enum smtp_reply_id set_smtputf8(struct smtp_session *s, struct span value)
{
    if (!s->options->smtputf8)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (value.p != NULL)
        return SMTP_REPLY_BAD_PARAMETERS;
    s->transaction.smtputf8 = true;
    return SMTP_REPLY_OK;
}

/* PRDR: no value; known only where it was announced. */
static enum smtp_reply_id set_prdr(struct smtp_session *s, struct span value)
{
    if (!s->options->prdr || s->options->lmtp)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (value.p != NULL)
        return SMTP_REPLY_BAD_PARAMETERS;
    s->transaction.prdr = true;
    return SMTP_REPLY_OK;
}

/* RFC 8689 2: no value; known only where it was announced. */
static enum smtp_reply_id set_requiretls(struct smtp_session *s, struct span value)
{
    if (!s->options->requiretls || !s->secure)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (value.p != NULL)
        return SMTP_REPLY_BAD_PARAMETERS;
    s->transaction.requiretls = true;
    return SMTP_REPLY_OK;
}

/* RFC 4954 5: who has submitted the message first. "AUTH=<>" claims nothing, and some proxies pass
 * it on to whoever it is. Of a client that has not logged in itself it is not believed, and means
 * "<>". */
static enum smtp_reply_id set_auth(struct smtp_session *s, struct span value)
{
    char room[SMTP_ADDRESS_MAX];
    struct text out = TEXT(room);

    if (span_eq(value, SPAN("<>")))
        return SMTP_REPLY_OK;
    if (!s->options->auth)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (value.p == NULL || !smtp_read_xtext(value, &out))
        return SMTP_REPLY_BAD_PARAMETERS;
    if (!s->authenticated)
        return SMTP_REPLY_OK;
    s->transaction.auth = arena_copy(s->transaction.arena, text_span(&out));
    return s->transaction.auth.p == NULL ? SMTP_REPLY_NO_MEMORY : SMTP_REPLY_OK;
}

struct parameter {
    struct tag keyword;
    bool rcpt; /* a parameter of RCPT; else of MAIL */
    bool kept; /* as it is, for the command: extra.h */
    /* value.p is NULL when the parameter has none */
    enum smtp_reply_id (*set)(struct smtp_session *s, struct span value);
};

static const struct parameter parameters[] = {
    {.keyword = TAG("SIZE"), .set = set_size},
    {.keyword = TAG("BODY"), .set = set_body},
    {.keyword = TAG("AUTH"), .set = set_auth},
    {.keyword = TAG("SMTPUTF8"), .set = set_smtputf8},
    {.keyword = TAG("PRDR"), .set = set_prdr},
    {.keyword = TAG("REQUIRETLS"), .set = set_requiretls},
    {.keyword = TAG("RET"), .kept = true, .set = smtp_extra_ret},
    {.keyword = TAG("ENVID"), .kept = true, .set = smtp_extra_envid},
    {.keyword = TAG("NOTIFY"), .rcpt = true, .kept = true, .set = smtp_extra_notify},
    {.keyword = TAG("ORCPT"), .rcpt = true, .kept = true, .set = smtp_extra_orcpt},
    {.keyword = TAG("MT-PRIORITY"), .kept = true, .set = smtp_extra_priority},
    {.keyword = TAG("BY"), .kept = true, .set = smtp_extra_by},
    {.keyword = TAG("HOLDFOR"), .kept = true, .set = smtp_extra_hold_for},
    {.keyword = TAG("HOLDUNTIL"), .kept = true, .set = smtp_extra_hold_until},
};

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool is_keyword(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_alpha(s.p[i]) && !byte_is_digit(s.p[i]) && (i == 0 || s.p[i] != '-'))
            return false;
    return s.n > 0;
}

/* esmtp-value = 1*(%d33-60 / %d62-126), and UTF-8 (RFC 6531 3.3) */
static bool is_value(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (byte_is_control(s.p[i]) || s.p[i] == ' ' || s.p[i] == '=')
            return false;
    return s.n > 0 && utf8_valid(s);
}

/* One more of those that are kept; the list is written anew, and terminated. */
static enum smtp_reply_id keep(struct smtp_session *s, const struct parameter *p, struct span value,
                               struct span *extras)
{
    struct arena *a = s->transaction.arena;
    struct text list = {.cap = extras->n + 1 + p->keyword.n + 1 + value.n + 1};

    list.p = arena_get(a, list.cap);
    if (list.p == NULL)
        return SMTP_REPLY_NO_MEMORY;
    text_add(&list, *extras);
    if (list.n > 0)
        text_addc(&list, ' ');
    text_add(&list, tag_span(&p->keyword));
    text_addc(&list, '=');
    text_add(&list, value);
    *extras = text_span(&list);
    text_addc(&list, '\0');
    return SMTP_REPLY_OK;
}

static enum smtp_reply_id set_one(struct smtp_session *s, bool rcpt, struct span word,
                                  unsigned *seen, struct span *extras)
{
    enum smtp_reply_id reply;
    const size_t equals = span_find(word, '=');
    const struct span keyword = span_first(word, equals);
    struct span value = {0};

    if (equals < word.n) {
        value = span_from(word, equals + 1);
        if (!is_value(value))
            return SMTP_REPLY_BAD_PARAMETERS;
    }
    if (!is_keyword(keyword))
        return SMTP_REPLY_BAD_PARAMETERS;
    for (unsigned i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        if (parameters[i].rcpt != rcpt ||
            !span_eq_nocase(tag_span(&parameters[i].keyword), keyword))
            continue;
        if (*seen & 1U << i)
            return SMTP_REPLY_BAD_PARAMETERS;
        *seen |= 1U << i;
        reply = parameters[i].set(s, value);
        return reply == SMTP_REPLY_OK && parameters[i].kept ? keep(s, &parameters[i], value, extras)
                                                            : reply;
    }
    return SMTP_REPLY_UNKNOWN_PARAMETER;
}

/* SP esmtp-param *(SP esmtp-param); trailing white space is gone already (RFC 5321 4.1.1). */
enum smtp_reply_id smtp_parameters(struct smtp_session *s, bool rcpt, struct span in,
                                   struct span *extras)
{
    unsigned seen = 0;

    while (in.n > 0) {
        enum smtp_reply_id reply;
        struct span word;

        if (in.p[0] != ' ')
            return SMTP_REPLY_BAD_PARAMETERS;
        in = span_from(in, 1);
        word = span_first(in, span_find(in, ' '));
        in = span_from(in, word.n);
        reply = set_one(s, rcpt, word, &seen, extras);
        if (reply != SMTP_REPLY_OK)
            return reply;
    }
    return extras->n == 0 || smtp_extra_fits(*extras) ? SMTP_REPLY_OK : SMTP_REPLY_BAD_PARAMETERS;
}

/* Is each of them one that is kept? */
static bool are_kept(bool rcpt, struct span extras)
{
    struct span word;

    while (span_word(&extras, " ", &word)) {
        bool kept = false;

        for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
            kept = kept || (parameters[i].kept && parameters[i].rcpt == rcpt &&
                            span_eq(tag_span(&parameters[i].keyword),
                                    span_first(word, span_find(word, '='))));
        if (!kept)
            return false;
    }
    return true;
}

enum smtp_reply_id smtp_parameters_again(struct smtp_session *s, bool rcpt, struct span extras,
                                         struct span *out)
{
    char room[1 + SMTP_EXTRAS_MAX];
    struct text in = TEXT(room);
    enum smtp_reply_id reply;

    text_addc(&in, ' ');
    text_add(&in, extras);
    if (in.cut || !are_kept(rcpt, extras))
        return SMTP_REPLY_BAD_PARAMETERS;
    reply = smtp_parameters(s, rcpt, text_span(&in), out);
    return reply == SMTP_REPLY_OK && !span_eq(*out, extras) ? SMTP_REPLY_BAD_PARAMETERS : reply;
}
