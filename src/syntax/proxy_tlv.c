#include "syntax/proxy_tlv.h"

#include "base/sha256.h"
#include "syntax/tls_talk.h"

#include <stdint.h>

/* Types of values; those above CLIENT, and some of the others, are within SSL's. */
enum {
    AUTHORITY = 0x02,
    CRC32C = 0x03,
    SSL = 0x20,
    SSL_VERSION = 0x21,
    SSL_CN = 0x22,
    SSL_CIPHER = 0x23,
    SSL_GROUP = 0x26,
    SSL_CERTIFICATE = 0x28,
    SSL_FIXED = 5,
};

/* Bits of SSL's first octet. */
enum {
    CLIENT_SSL = 1,
    CLIENT_CERTIFICATE = 2 | 4, /* in this connection, or in its session */
};

struct value {
    unsigned type;
    struct span octets;
};

/* Each once; one that comes again takes the place of the first. */
struct said {
    bool has_checksum, has_ssl, secure, certified;
    struct span checksum, ssl, authority, version, cn, cipher, group, certificate;
    uint32_t verify; /* 0: the certificate is good */
};

static bool take_value(struct span *left, struct value *v)
{
    size_t n;

    if (left->n < 3)
        return false;
    n = (size_t)(unsigned char)left->p[1] << 8 | (unsigned char)left->p[2];
    v->type = (unsigned char)left->p[0];
    v->octets = span_first(span_from(*left, 3), n);
    *left = span_from(*left, 3 + v->octets.n);
    return v->octets.n == n;
}

static uint32_t four_octets(struct span s)
{
    uint32_t n = 0;

    for (size_t i = 0; i < 4; i++)
        n = n << 8 | (unsigned char)s.p[i];
    return n;
}

/* Castagnoli's polynomial, low bits first (RFC 3720 B.4), of the header with zeros in the place of
 * the sum itself. Half an octet at a time: a header is short. */
static uint32_t checksum_of(struct span header, struct span sum)
{
    static const uint32_t half[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                      0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                      0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                      0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const size_t at = (size_t)(sum.p - header.p);
    uint32_t crc = ~(uint32_t)0;

    for (size_t i = 0; i < header.n; i++) {
        crc ^= i >= at && i < at + sum.n ? 0 : (unsigned char)header.p[i];
        crc = half[crc & 15] ^ crc >> 4;
        crc = half[crc & 15] ^ crc >> 4;
    }
    return ~crc;
}

/* The values within SSL's. */
static bool read_ssl(struct said *s)
{
    struct span left;
    struct value v;

    if (s->ssl.n < SSL_FIXED)
        return false;
    s->secure = s->ssl.p[0] & CLIENT_SSL;
    s->certified = s->ssl.p[0] & CLIENT_CERTIFICATE;
    s->verify = four_octets(span_from(s->ssl, 1));
    left = span_from(s->ssl, SSL_FIXED);
    while (left.n > 0) {
        if (!take_value(&left, &v))
            return false;
        if (v.type == SSL_VERSION)
            s->version = v.octets;
        else if (v.type == SSL_CN)
            s->cn = v.octets;
        else if (v.type == SSL_CIPHER)
            s->cipher = v.octets;
        else if (v.type == SSL_GROUP)
            s->group = v.octets;
        else if (v.type == SSL_CERTIFICATE)
            s->certificate = v.octets;
    }
    return true;
}

/* A fact as tls_facts_read takes it; one whose form is no text is left out, and so is one for which
 * there is no room. */
static void add_fact(struct text *facts, const char *name, struct span value)
{
    if (value.n == 0 || span_has_control(value) ||
        facts->cap - facts->n < span_of(name).n + value.n + sizeof "=")
        return;
    text_adds(facts, name);
    text_addc(facts, '=');
    text_add(facts, value);
    text_addc(facts, '\0');
}

static void add_fingerprint(struct text *facts, struct span certificate)
{
    char hex[64], room[96];
    struct text words = TEXT(room);
    struct sha256 h;

    if (certificate.n == 0)
        return;
    sha256_open(&h);
    sha256_add(&h, certificate);
    sha256_close(&h, hex);
    for (size_t i = 0; i < sizeof hex; i++) {
        if (i > 0 && i % 2 == 0)
            text_addc(&words, ':');
        text_addc(&words, hex[i] >= 'a' ? (char)(hex[i] - 'a' + 'A') : hex[i]);
    }
    add_fact(facts, TLS_FACT_FINGERPRINT, text_span(&words));
}

static void add_facts(struct text *facts, const struct said *s)
{
    char room[32];
    struct text verify = TEXT(room);

    /* That the value is there says nothing, and neither does a result of 0. */
    if (!s->secure)
        return;
    add_fact(facts, TLS_FACT_PROTOCOL, s->version.n > 0 ? s->version : SPAN("TLS"));
    add_fact(facts, TLS_FACT_CIPHER, s->cipher);
    add_fact(facts, TLS_FACT_GROUP, s->group);
    add_fact(facts, TLS_FACT_SNI, s->authority);
    text_adds(&verify, !s->certified ? "NONE" : s->verify == 0 ? "SUCCESS" : "FAILED:");
    if (s->certified && s->verify != 0)
        text_addn(&verify, s->verify, 1);
    add_fact(facts, TLS_FACT_VERIFY, text_span(&verify));
    if (!s->certified)
        return;
    add_fact(facts, TLS_FACT_NAME, s->cn);
    add_fingerprint(facts, s->certificate);
}

const char *proxy_read_values(struct span header, struct span values, struct text *facts)
{
    struct said said = {.has_ssl = false};
    struct value v;

    while (values.n > 0) {
        if (!take_value(&values, &v))
            return "proxy_values";
        if (v.type == CRC32C) {
            said.has_checksum = true;
            said.checksum = v.octets;
        } else if (v.type == SSL) {
            said.has_ssl = true;
            said.ssl = v.octets;
        } else if (v.type == AUTHORITY) {
            said.authority = v.octets;
        }
    }
    if (said.has_checksum &&
        (said.checksum.n != 4 || four_octets(said.checksum) != checksum_of(header, said.checksum)))
        return "proxy_checksum";
    if (said.has_ssl && !read_ssl(&said))
        return "proxy_values";
    add_facts(facts, &said);
    return NULL;
}
