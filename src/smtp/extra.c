#include "smtp/extra.h"

#include "base/number.h"
#include "smtp/date.h"
#include "smtp/xtext.h"

/* The longest time that is announced, in seconds. */
static uint64_t longest(const struct smtp_session *s)
{
    return s->options->future_release / 1000;
}

static enum smtp_reply_id unless(bool wrong)
{
    return wrong ? SMTP_REPLY_BAD_PARAMETERS : SMTP_REPLY_OK;
}

/* ret-value = "FULL" / "HDRS" */
enum smtp_reply_id smtp_extra_ret(struct smtp_session *s, struct span value)
{
    if (!s->options->dsn)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    return unless(!span_eq_nocase(value, SPAN("FULL")) && !span_eq_nocase(value, SPAN("HDRS")));
}

/* RFC 3461 4.4: it stands for printable US-ASCII. */
enum smtp_reply_id smtp_extra_envid(struct smtp_session *s, struct span value)
{
    char room[SMTP_ENVID_MAX];
    struct text is = TEXT(room);

    if (!s->options->dsn)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    return unless(value.n == 0 || value.n > SMTP_ENVID_MAX || !smtp_read_xtext(value, &is) ||
                  !span_is_ascii(text_span(&is)));
}

/* notify-value = "NEVER" / 1#("SUCCESS" / "FAILURE" / "DELAY"), each once (RFC 3461 4.1) */
enum smtp_reply_id smtp_extra_notify(struct smtp_session *s, struct span value)
{
    static const char *const names[] = {"SUCCESS", "FAILURE", "DELAY"};
    unsigned seen = 0;

    if (!s->options->dsn)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (span_eq_nocase(value, SPAN("NEVER")))
        return SMTP_REPLY_OK;
    for (bool more = true; more;) {
        const struct span word = span_first(value, span_find(value, ','));
        unsigned which = 0;

        for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
            if (span_eq_nocase(word, span_of(names[i])))
                which = 1U << i;
        if (which == 0 || seen & which)
            return SMTP_REPLY_BAD_PARAMETERS;
        seen |= which;
        more = word.n < value.n;
        value = span_from(value, word.n + 1);
    }
    return SMTP_REPLY_OK;
}

static bool is_hexadecimal(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_digit(s.p[i]) && (s.p[i] < 'A' || s.p[i] > 'F'))
            return false;
    return s.n > 0;
}

/* HEXPOINT (RFC 6533 3): a character that is no control character and no surrogate. */
static bool is_character(struct span hexadecimal)
{
    uint32_t c = 0;

    if (!is_hexadecimal(hexadecimal) || hexadecimal.n < 2 || hexadecimal.n > 6)
        return false;
    for (size_t i = 0; i < hexadecimal.n; i++)
        c = c * 16 + (uint32_t)(byte_is_digit(hexadecimal.p[i]) ? hexadecimal.p[i] - '0'
                                                                : hexadecimal.p[i] - 'A' + 10);
    return c >= 0x20 && (c < 0x7f || c > 0x9f) && (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff &&
           c != 0x2028 && c != 0x2029;
}

/* Of UTF-8: control characters, and what Unicode has for line ends (U+2028, U+2029). */
static bool has_control(struct span s)
{
    if (span_has_control(s))
        return true;
    for (size_t i = 0; i + 1 < s.n; i++) {
        const unsigned char a = (unsigned char)s.p[i], b = (unsigned char)s.p[i + 1];

        if ((a == 0xc2 && b < 0xa0) ||
            (a == 0xe2 && b == 0x80 && i + 2 < s.n && ((unsigned char)s.p[i + 2] & 0xfe) == 0xa8))
            return true;
    }
    return false;
}

/* utf-8-addr-xtext, utf-8-addr-unitext (RFC 6533 3): \x{...} for what may not stand there, and
 * UTF-8 itself where the sender has said SMTPUTF8. Some write xtext all the same. */
static bool is_utf8_address(struct span value, bool smtputf8)
{
    char room[SMTP_ORCPT_MAX];
    struct text is = TEXT(room);

    if (!utf8_valid(value) || (!smtputf8 && !span_is_ascii(value)))
        return false;
    while (value.n > 0) {
        size_t n = 1;

        if (value.p[0] == '\\') {
            n = span_find(value, '}') + 1;
            if (!span_starts_nocase(value, SPAN("\\x{")) || n > value.n ||
                !is_character(span_from(span_first(value, n - 1), 3)))
                return false;
            text_addc(&is, '?');
        } else if (value.p[0] == '+') {
            n = 3;
            if (!smtp_read_xtext(span_first(value, n), &is))
                return false;
        } else {
            text_addc(&is, value.p[0]);
        }
        value = span_from(value, n);
    }
    return utf8_valid(text_span(&is)) && !has_control(text_span(&is));
}

/* addr-type ";" xtext (RFC 3461 4.2); addr-type is an atom, as IANA registers them. */
enum smtp_reply_id smtp_extra_orcpt(struct smtp_session *s, struct span value)
{
    const struct span type = span_first(value, span_find(value, ';'));
    const struct span address = span_from(value, type.n + 1);
    char room[SMTP_ORCPT_MAX];
    struct text is = TEXT(room);

    if (!s->options->dsn)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (value.n > SMTP_ORCPT_MAX || type.n == 0 || address.n == 0)
        return SMTP_REPLY_BAD_PARAMETERS;
    for (size_t i = 0; i < type.n; i++)
        if (!byte_is_alpha(type.p[i]) && !byte_is_digit(type.p[i]) && type.p[i] != '-')
            return SMTP_REPLY_BAD_PARAMETERS;
    if (span_eq_nocase(type, SPAN("utf-8")))
        return unless(!is_utf8_address(address, s->transaction.smtputf8));
    return unless(!smtp_read_xtext(address, &is) || !span_is_ascii(text_span(&is)));
}

/* priority-value = (["-"] NZDIGIT) / "0" (RFC 6710 6) */
enum smtp_reply_id smtp_extra_priority(struct smtp_session *s, struct span value)
{
    const bool negative = value.n == 2 && value.p[0] == '-';
    const struct span digit = span_from(value, negative);

    if (!s->options->mt_priority)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    return unless(digit.n != 1 || !byte_is_digit(digit.p[0]) || (negative && digit.p[0] == '0'));
}

/* by-time ";" by-mode [by-trace]: seconds, at most nine digits, "N" or "R", "T" (RFC 2852 4); with
 * R, a time that is over is no value. */
enum smtp_reply_id smtp_extra_by(struct smtp_session *s, struct span value)
{
    struct span time = span_first(value, span_find(value, ';'));
    const struct span mode = span_from(value, time.n + 1);
    const bool negative = time.n > 0 && time.p[0] == '-', positive = time.n > 0 && time.p[0] == '+';
    const bool returns = span_starts_nocase(mode, SPAN("R"));
    uint64_t seconds = 0;

    if (!s->options->deliver_by)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    time = span_from(time, negative || positive);
    if (time.n > 9 || number_parse(time, UINT64_MAX, &seconds) != NUMBER_OK)
        return SMTP_REPLY_BAD_PARAMETERS;
    if (!(returns || span_starts_nocase(mode, SPAN("N"))) ||
        !(mode.n == 1 || span_eq_nocase(span_from(mode, 1), SPAN("T"))))
        return SMTP_REPLY_BAD_PARAMETERS;
    return unless(returns && (negative || seconds == 0));
}

/* future-release-integer: at most nine digits, and no zero before them; longer than was announced
 * is as wrong as what is no time (RFC 4865 3, 4). */
enum smtp_reply_id smtp_extra_hold_for(struct smtp_session *s, struct span value)
{
    uint64_t seconds;

    if (longest(s) == 0)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (value.n > 9 || span_starts_nocase(value, SPAN("0")) ||
        number_parse(value, longest(s), &seconds) != NUMBER_OK)
        return SMTP_REPLY_BAD_PARAMETERS;
    s->transaction.release = s->now + seconds;
    return SMTP_REPLY_OK;
}

enum smtp_reply_id smtp_extra_hold_until(struct smtp_session *s, struct span value)
{
    uint64_t until;

    if (longest(s) == 0)
        return SMTP_REPLY_UNKNOWN_PARAMETER;
    if (!smtp_read_date(value, &until) || until > s->now + longest(s))
        return SMTP_REPLY_BAD_PARAMETERS;
    s->transaction.release = until;
    return SMTP_REPLY_OK;
}

/* RFC 4865 3: HOLDFOR or HOLDUNTIL. The fraction of a second has no longest length (RFC 3339 5.6),
 * so it is the whole list that is limited. */
bool smtp_extra_fits(struct span extras)
{
    return extras.n <= SMTP_EXTRAS_MAX && (smtp_extra(extras, SPAN("HOLDFOR")).p == NULL ||
                                           smtp_extra(extras, SPAN("HOLDUNTIL")).p == NULL);
}

struct span smtp_extra(struct span extras, struct span keyword)
{
    struct span word;

    while (span_word(&extras, " ", &word))
        if (span_starts_nocase(word, keyword) && word.n > keyword.n && word.p[keyword.n] == '=')
            return span_from(word, keyword.n + 1);
    return (struct span){0};
}

void smtp_extra_announce(const struct smtp_session *s)
{
    const struct smtp_options *o = s->options;
    struct text *out = s->out;

    if (o->dsn)
        text_add(out, SPAN("\r\n250-DSN"));
    if (o->mt_priority)
        text_add(out, SPAN("\r\n250-MT-PRIORITY"));
    if (o->deliver_by)
        text_add(out, SPAN("\r\n250-DELIVERBY"));
    if (longest(s) == 0)
        return;
    text_add(out, SPAN("\r\n250-FUTURERELEASE "));
    text_addn(out, longest(s), 1);
    text_addc(out, ' ');
    smtp_add_date(out, s->now + longest(s));
}
