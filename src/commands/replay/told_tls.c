#include "commands/replay/told_tls.h"

static void add(struct text *out, const char *word, struct span value)
{
    if (value.n == 0)
        return;
    text_adds(out, word);
    text_add(out, value);
}

/* What `like` has. */
static void show(struct text *out, const struct tls_facts *f, const struct tls_facts *like)
{
    text_add(out, f->protocol);
    add(out, " cipher=", like->cipher_iana.n > 0 ? f->cipher_iana : SPAN(""));
    add(out, " group=", like->group.n > 0 ? f->group : SPAN(""));
    add(out, " sni=", like->sni.n > 0 ? f->sni : SPAN(""));
}

static bool is_as(struct span stated, struct span is)
{
    return stated.n == 0 || span_eq(stated, is);
}

void told_tls_compare(const struct told_tls *stated, const struct tls_facts *is,
                      struct differences *d)
{
    const struct tls_facts *f = &stated->facts;
    char expected_room[800], room[800];
    struct text expected = TEXT(expected_room), got = TEXT(room);

    if (stated->line == 0 ||
        ((span_eq(f->protocol, SPAN("TLS")) || is_as(f->protocol, is->protocol)) &&
         is_as(f->cipher_iana, is->cipher_iana) && is_as(f->group, is->group) &&
         is_as(f->sni, is->sni)))
        return;
    show(&expected, f, f);
    show(&got, is, f);
    differ(d, stated->line, text_span(&expected), text_span(&got));
}

bool told_tls_is_suite(struct span iana)
{
    for (size_t i = 0; i + 6 <= iana.n; i++)
        if (span_eq(span_first(span_from(iana, i), 6), SPAN("_WITH_")))
            return false;
    return true;
}

/* Words between '_', of which TLS and WITH are left out; AES_128 is one of OpenSSL's words, and
 * ChaCha20's hash is none. */
void told_tls_cipher(struct text *out, struct span iana)
{
    struct span left = iana, word, before = SPAN("");
    bool chacha = false;

    if (told_tls_is_suite(iana)) {
        text_add(out, iana);
        return;
    }
    while (span_word(&left, "_", &word)) {
        if (span_eq(word, SPAN("TLS")) || span_eq(word, SPAN("WITH")) ||
            (chacha && span_eq(word, SPAN("SHA256"))))
            continue;
        if (before.n > 0 && !span_eq(before, SPAN("AES")))
            text_addc(out, '-');
        text_add(out, word);
        chacha = chacha || span_eq(word, SPAN("CHACHA20"));
        before = word;
    }
}

bool told_tls_same_cipher(struct span iana, struct span other)
{
    struct span mine, theirs;
    bool more;

    while ((more = span_word(&iana, "_", &mine)) == span_word(&other, "_", &theirs) && more)
        if (!span_eq(mine, theirs) &&
            ((!span_eq(mine, SPAN("RSA")) && !span_eq(mine, SPAN("ECDSA"))) ||
             (!span_eq(theirs, SPAN("RSA")) && !span_eq(theirs, SPAN("ECDSA")))))
            return false;
    return !more && iana.n == 0 && other.n == 0;
}
