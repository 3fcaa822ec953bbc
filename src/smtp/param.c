#include "smtp/param.h"

#include "base/number.h"

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

/* RFC 8689 3: no value; known only where it was announced. */
static enum smtp_reply_id set_requiretls(struct smtp_session *s, struct span value)
{
    if (!s->options->requiretls || !s->secure)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (value.p != NULL)
        return SMTP_REPLY_BAD_PARAMETERS;
    s->transaction.requiretls = true;
    return SMTP_REPLY_OK;
}

static unsigned hex_digit(char c)
{
    return byte_is_digit(c)       ? (unsigned)(c - '0')
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                  : 16;
}

/* xtext (RFC 3461 4): printable octets, and "+" with two capital hexadecimal digits for any. A
 * control octet has no place in what it stands for here. False: it is none. */
static bool read_xtext(struct span value, struct text *out)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned high, low;

        if (value.p[i] != '+') {
            if (byte_is_high(value.p[i]))
                return false;
            text_addc(out, value.p[i]);
            continue;
        }
        high = i + 2 < value.n ? hex_digit(value.p[i + 1]) : 16;
        low = i + 2 < value.n ? hex_digit(value.p[i + 2]) : 16;
        if (high > 15 || low > 15 || byte_is_control((char)(high << 4 | low)))
            return false;
        text_addc(out, (char)(high << 4 | low));
        i += 2;
    }
    return !out->cut;
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
    if (value.p == NULL || !read_xtext(value, &out))
        return SMTP_REPLY_BAD_PARAMETERS;
    if (!s->authenticated)
        return SMTP_REPLY_OK;
    s->transaction.auth = arena_copy(s->transaction.arena, text_span(&out));
    return s->transaction.auth.p == NULL ? SMTP_REPLY_NO_MEMORY : SMTP_REPLY_OK;
}

struct parameter {
    const char *verb;
    struct span keyword;
    /* value.p is NULL when the parameter has none */
    enum smtp_reply_id (*set)(struct smtp_session *s, struct span value);
};

static const struct parameter parameters[] = {
    {.verb = "MAIL", .keyword = {.p = "SIZE", .n = 4}, .set = set_size},
    {.verb = "MAIL", .keyword = {.p = "BODY", .n = 4}, .set = set_body},
    {.verb = "MAIL", .keyword = {.p = "AUTH", .n = 4}, .set = set_auth},
    {.verb = "MAIL", .keyword = {.p = "SMTPUTF8", .n = 8}, .set = set_smtputf8},
    {.verb = "MAIL", .keyword = {.p = "PRDR", .n = 4}, .set = set_prdr},
    {.verb = "MAIL", .keyword = {.p = "REQUIRETLS", .n = 10}, .set = set_requiretls},
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

static enum smtp_reply_id set_one(struct smtp_session *s, const char *verb, struct span word,
                                  unsigned *seen)
{
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
        if (strcmp(parameters[i].verb, verb) != 0 ||
            !span_eq_nocase(parameters[i].keyword, keyword))
            continue;
        if (*seen & 1U << i)
            return SMTP_REPLY_BAD_PARAMETERS;
        *seen |= 1U << i;
        return parameters[i].set(s, value);
    }
    return SMTP_REPLY_UNKNOWN_PARAMETER;
}

/* SP esmtp-param *(SP esmtp-param); trailing white space is gone already (RFC 5321 4.1.1). */
enum smtp_reply_id smtp_parameters(struct smtp_session *s, const char *verb, struct span in)
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
        reply = set_one(s, verb, word, &seen);
        if (reply != SMTP_REPLY_OK)
            return reply;
    }
    return SMTP_REPLY_OK;
}
