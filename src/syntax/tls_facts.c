#include "syntax/tls_facts.h"

#include "smtp/date.h"
#include "smtp/path.h"
#include "syntax/tls_talk.h"

#include <stddef.h>

enum { DAY = 24 * 60 * 60 };

/* The form of a value. */
enum form {
    WORD, /* letters, digits and ". _ -" */
    DIGITS,
    HEX,    /* with colons perhaps */
    DOMAIN, /* a host's name */
    NAME,   /* printable, and no comment's end (RFC 5322 3.2.2) */
    TEXT,   /* printable ASCII */
};

struct fact {
    struct tag name;
    enum form form;
    size_t most;  /* octets */
    size_t place; /* in struct tls_facts */
};

#define FACT(literal, form, most, place)                                                           \
    {                                                                                              \
        TAG(literal), form, most, offsetof(struct tls_facts, place)                                \
    }

/* Behind ours, those of s6-ucspitlsd. */
static const struct fact facts[] = {
    FACT(TLS_FACT_PROTOCOL, WORD, 32, protocol),
    FACT(TLS_FACT_CIPHER, WORD, 64, cipher),
    FACT(TLS_FACT_CIPHER_IANA, WORD, 64, cipher_iana),
    FACT(TLS_FACT_BITS, DIGITS, 5, bits),
    FACT(TLS_FACT_GROUP, WORD, 64, group),
    FACT(TLS_FACT_SNI, DOMAIN, SMTP_DOMAIN_MAX, sni),
    FACT(TLS_FACT_VERIFY, TEXT, 200, verify),
    FACT(TLS_FACT_SUBJECT, TEXT, TLS_VALUE_MAX, subject),
    FACT(TLS_FACT_ISSUER, TEXT, TLS_VALUE_MAX, issuer),
    FACT(TLS_FACT_NAME, NAME, SMTP_DOMAIN_MAX, name),
    FACT(TLS_FACT_FINGERPRINT, HEX, 200, fingerprint),
    FACT(TLS_FACT_KEY_FINGERPRINT, HEX, 200, key_fingerprint),
    FACT(TLS_FACT_SERVER_END, TEXT, 20, server_end),
    FACT(TLS_FACT_EXPORTER, HEX, 64, exporter),
    FACT(TLS_FACT_END_POINT, HEX, 128, end_point),
    FACT("SSL_TLS_SNI_SERVERNAME", DOMAIN, SMTP_DOMAIN_MAX, sni),
    FACT("SSL_PEER_CERT_HASH", TEXT, 200, fingerprint),
    FACT("SSL_PEER_CERT_SUBJECT", TEXT, TLS_VALUE_MAX, subject),
};

static bool has_form(struct span value, enum form form)
{
    /* Beside digits, and letters in a word. */
    static const char *const more[] = {[WORD] = "._-", [DIGITS] = "", [HEX] = "abcdefABCDEF:"};

    if (form == DOMAIN)
        return smtp_is_domain(value, false);
    for (size_t i = 0; i < value.n; i++) {
        const char c = value.p[i];

        if (form >= NAME) {
            if (byte_is_control(c) || byte_is_high(c) ||
                (form == NAME && (c == '(' || c == ')' || c == '\\')))
                return false;
        } else if (!byte_is_digit(c) && (form != WORD || !byte_is_alpha(c)) &&
                   span_find(span_of(more[form]), c) == span_of(more[form]).n) {
            return false;
        }
    }
    return true;
}

void tls_facts_set(struct tls_facts *f, struct span name, struct span value)
{
    for (const struct fact *k = facts; k < facts + sizeof facts / sizeof *facts; k++)
        if (span_eq(tag_span(&k->name), name) && value.n > 0 && value.n <= k->most &&
            has_form(value, k->form))
            *(struct span *)((char *)f + k->place) = value;
}

bool tls_next_field(struct span *fields, struct span *name, struct span *value)
{
    const struct span field = span_first(*fields, span_find(*fields, '\0'));

    if (field.n == fields->n || field.n == 0)
        return false;
    *fields = span_from(*fields, field.n + 1);
    *name = span_first(field, span_find(field, '='));
    *value = span_from(field, name->n + 1);
    return true;
}

bool tls_facts_read(struct span fields, struct tls_facts *f)
{
    struct span name, value;

    *f = (struct tls_facts){.protocol = {0}};
    while (tls_next_field(&fields, &name, &value))
        tls_facts_set(f, name, value);
    return tls_facts_known(f);
}

bool tls_facts_find(const char *(*get)(const char *name), struct tls_facts *f)
{
    *f = (struct tls_facts){.protocol = {0}};
    for (const struct fact *k = facts; k < facts + sizeof facts / sizeof *facts; k++) {
        const char *value = get(k->name.p);

        if (value != NULL)
            tls_facts_set(f, tag_span(&k->name), span_of(value));
    }
    return tls_facts_known(f);
}

bool tls_days_left(struct span end, uint64_t now, int64_t *days)
{
    uint64_t time;

    if (!smtp_read_date(end, &time))
        return false;
    *days = (int64_t)(time / DAY) - (int64_t)(now / DAY);
    if (*days < 0)
        *days = -1;
    return true;
}
