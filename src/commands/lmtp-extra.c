#include "commands/lmtp.h"

#include "smtp/extra.h"
#include "smtp/param.h"

#include <stdio.h>
#include <stdlib.h>

/* Is it a value as a client may send it to smtpin? The environment may be anybody's by hand. */
static bool is_value(bool rcpt, const char *keyword, struct span value)
{
    static const struct smtp_options all = {.dsn = true, .mt_priority = true, .deliver_by = true};
    char memory[2 * SMTP_EXTRAS_MAX], room[SMTP_EXTRAS_MAX];
    struct arena arena = {.base = memory, .cap = sizeof memory};
    struct smtp_session s = {.options = &all, .transaction = {.arena = &arena, .smtputf8 = true}};
    struct text extra = TEXT(room);
    struct span out = {0};

    text_adds(&extra, keyword);
    text_addc(&extra, '=');
    text_add(&extra, value);
    /* A space would make two parameters of it. */
    return !extra.cut && span_find(value, ' ') == value.n &&
           smtp_parameters_again(&s, rcpt, text_span(&extra), &out) == SMTP_REPLY_OK;
}

static void reject(const char *name)
{
    fprintf(stderr, "smtpin-lmtp: %s is no value for each recipient: not handed on\n", name);
}

/* One for the whole message; .p is NULL: there is none. */
static struct span read_one(const char *name, const char *keyword)
{
    const char *value = getenv(name);

    if (value == NULL)
        return (struct span){0};
    if (is_value(false, keyword, span_of(value)))
        return span_of(value);
    fprintf(stderr, "smtpin-lmtp: %s is no value of %s: not handed on\n", name, keyword);
    return (struct span){0};
}

/* A line for each recipient, empty where that one has none. Where they are not as many, nobody
 * knows whose they are, and none is handed on. */
static void read_each(struct lmtp_mail *m, const char *name, const char *keyword,
                      struct span *(*of)(struct lmtp_address *a))
{
    const char *value = getenv(name);
    struct span rest = span_of(value); /* empty where there is none */
    bool good = value != NULL, more = good;

    for (size_t i = 0; good && i < m->n; i++) {
        const struct span line = span_first(rest, span_find(rest, '\n'));

        good = more && (line.n == 0 || is_value(true, keyword, line));
        more = line.n < rest.n;
        rest = span_from(rest, line.n + 1);
        *of(&m->recipient[i]) = line;
    }
    if (good && !more)
        return;
    if (value != NULL)
        reject(name);
    for (size_t i = 0; i < m->n; i++)
        *of(&m->recipient[i]) = (struct span){0};
}

static struct span *notify_of(struct lmtp_address *a)
{
    return &a->notify;
}

static struct span *orcpt_of(struct lmtp_address *a)
{
    return &a->orcpt;
}

void lmtp_read_extras(struct lmtp_mail *m)
{
    m->ret = read_one("SMTPIN_DSN_RET", "RET");
    m->envid = read_one("SMTPIN_DSN_ENVID", "ENVID");
    m->priority = read_one("SMTPIN_MT_PRIORITY", "MT-PRIORITY");
    m->by = read_one("SMTPIN_DELIVER_BY", "BY");
    read_each(m, "SMTPIN_DSN_NOTIFY", "NOTIFY", notify_of);
    read_each(m, "SMTPIN_DSN_ORCPT", "ORCPT", orcpt_of);
}

bool lmtp_must_be_in_time(const struct lmtp_mail *m)
{
    const struct span mode = span_from(m->by, span_find(m->by, ';') + 1);

    return m->smtp && span_starts_nocase(mode, SPAN("R"));
}

static bool put(struct lmtp_session *s, bool announced, const char *keyword, struct span value)
{
    return !announced || value.n == 0 ||
           (lmtp_puts(s, " ") && lmtp_puts(s, keyword) && lmtp_puts(s, "=") && lmtp_put(s, value));
}

bool lmtp_put_extras(struct lmtp_session *s)
{
    const struct lmtp_mail *m = s->mail;

    return put(s, s->dsn, "RET", m->ret) && put(s, s->dsn, "ENVID", m->envid) &&
           put(s, s->mt_priority, "MT-PRIORITY", m->priority) && put(s, s->deliver_by, "BY", m->by);
}

/* EmbeddedUnicodeChar (RFC 6533 3) of a character outside ASCII. */
static void add_hexadecimal(struct text *out, uint32_t c)
{
    unsigned digits = 2;

    while (c >> 4 * digits > 0)
        digits++;
    text_adds(out, "\\x{");
    while (digits-- > 0)
        text_addc(out, "0123456789ABCDEF"[c >> 4 * digits & 15]);
    text_addc(out, '}');
}

/* RFC 6533 3: UTF-8 stands in ORCPT only where MAIL has SMTPUTF8; \x{...} says the same. Empty: it
 * becomes longer than ORCPT may be. */
static struct span as_ascii(struct span orcpt, struct text *out)
{
    for (size_t i = 0; i < orcpt.n;) {
        const unsigned char lead = (unsigned char)orcpt.p[i++];
        uint32_t c = lead;

        if (lead >= 0xc0) {
            c = lead & (lead >= 0xf0 ? 0x07u : lead >= 0xe0 ? 0x0fu : 0x1fu);
            while (i < orcpt.n && ((unsigned char)orcpt.p[i] & 0xc0) == 0x80)
                c = c << 6 | ((unsigned char)orcpt.p[i++] & 0x3fu);
        }
        if (c < 0x80)
            text_addc(out, (char)c);
        else
            add_hexadecimal(out, c);
    }
    if (out->cut)
        out->n = 0;
    return text_span(out);
}

bool lmtp_put_recipient_extras(struct lmtp_session *s, const struct lmtp_address *a)
{
    char room[SMTP_ORCPT_MAX];
    struct text ascii = TEXT(room);
    const bool utf8 = s->mail->utf8 && s->utf8;

    return put(s, s->dsn, "NOTIFY", a->notify) &&
           put(s, s->dsn, "ORCPT", utf8 ? a->orcpt : as_ascii(a->orcpt, &ascii));
}
