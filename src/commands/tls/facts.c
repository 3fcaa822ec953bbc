#include "commands/tls/facts.h"

#include "syntax/tls_talk.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

enum { EXPORTER_OCTETS = 32 };

void facts_add(struct text *out, const char *name, struct span value)
{
    value = span_first(value, TLS_VALUE_MAX);
    text_adds(out, name);
    text_addc(out, '=');
    for (size_t i = 0; i < value.n; i++)
        text_addc(out, byte_is_control(value.p[i]) || byte_is_high(value.p[i]) ? '?' : value.p[i]);
    text_addc(out, '\0');
}

static void add(struct text *out, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        facts_add(out, name, span_of(value));
}

/* Small digits without anything between, or capitals with colons. */
static void add_octets(struct text *out, const char *name, const unsigned char *p, size_t n,
                       bool colons)
{
    const char *digits = colons ? "0123456789ABCDEF" : "0123456789abcdef";
    char room[3 * EVP_MAX_MD_SIZE];
    struct text t = TEXT(room);

    for (size_t i = 0; i < n; i++) {
        if (colons && i > 0)
            text_addc(&t, ':');
        text_addc(&t, digits[p[i] >> 4]);
        text_addc(&t, digits[p[i] & 15]);
    }
    facts_add(out, name, text_span(&t));
}

/* What has been printed into the BIO, which is freed. */
static void add_bio(struct text *out, const char *name, BIO *bio)
{
    char *p = NULL;
    const long n = BIO_get_mem_data(bio, &p);

    if (n > 0)
        facts_add(out, name, (struct span){.p = p, .n = (size_t)n});
    BIO_free(bio);
}

static void add_name(struct text *out, const char *name, const X509_NAME *dn)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL)
        return;
    X509_NAME_print_ex(bio, dn, 0, XN_FLAG_RFC2253);
    add_bio(out, name, bio);
}

static void add_string(struct text *out, const char *name, const ASN1_STRING *s)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL)
        return;
    ASN1_STRING_print_ex(bio, s,
                         ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB | ASN1_STRFLGS_UTF8_CONVERT);
    add_bio(out, name, bio);
}

/* The first DNS name of the certificate, or its CN. */
static void add_client_name(struct text *out, const X509 *x)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    X509_NAME *subject = X509_get_subject_name(x);
    const ASN1_STRING *name = NULL;
    int at;

    for (int i = 0; all != NULL && name == NULL && i < sk_GENERAL_NAME_num(all); i++)
        if (sk_GENERAL_NAME_value(all, i)->type == GEN_DNS)
            name = sk_GENERAL_NAME_value(all, i)->d.dNSName;
    at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (name == NULL && at >= 0)
        name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    if (name != NULL)
        add_string(out, TLS_FACT_NAME, name);
    GENERAL_NAMES_free(all);
}

static void add_client(struct text *out, SSL *ssl)
{
    X509 *x = SSL_get0_peer_certificate(ssl);
    const long result = SSL_get_verify_result(ssl);
    unsigned char md[EVP_MAX_MD_SIZE], *spki = NULL;
    unsigned n;
    int octets;

    if (x == NULL) {
        add(out, TLS_FACT_VERIFY, "NONE");
        return;
    }
    if (result == X509_V_OK) {
        add(out, TLS_FACT_VERIFY, "SUCCESS");
    } else {
        char room[200];
        struct text t = TEXT(room);

        text_add(&t, SPAN("FAILED:"));
        text_adds(&t, X509_verify_cert_error_string(result));
        facts_add(out, TLS_FACT_VERIFY, text_span(&t));
    }
    add_name(out, TLS_FACT_SUBJECT, X509_get_subject_name(x));
    add_name(out, TLS_FACT_ISSUER, X509_get_issuer_name(x));
    add_client_name(out, x);
    if (X509_digest(x, EVP_sha256(), md, &n) == 1)
        add_octets(out, TLS_FACT_FINGERPRINT, md, n, true);
    octets = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
    if (octets > 0 && EVP_Digest(spki, (size_t)octets, md, &n, EVP_sha256(), NULL) == 1)
        add_octets(out, TLS_FACT_KEY_FINGERPRINT, md, n, true);
    OPENSSL_free(spki);
}

/* RFC 9266: in TLS 1.2 only with the extended master secret. */
static void add_exporter(struct text *out, SSL *ssl)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    unsigned char value[EXPORTER_OCTETS];

    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
        return;
    if (SSL_export_keying_material(ssl, value, sizeof value, label, sizeof label - 1,
                                   (const unsigned char *)"", 0, 1) == 1)
        add_octets(out, TLS_FACT_EXPORTER, value, sizeof value, false);
}

/* RFC 5929 4.1: the hash of the signature, but SHA-256 for MD5 and SHA-1; none for a signature
 * without (Ed25519). */
static void add_end_point(struct text *out, X509 *server)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    const EVP_MD *hash;
    unsigned n;
    int nid;

    if (X509_get_signature_info(server, &nid, NULL, NULL, NULL) != 1 || nid == NID_undef)
        return;
    hash = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
    if (hash != NULL && X509_digest(server, hash, md, &n) == 1)
        add_octets(out, TLS_FACT_END_POINT, md, n, false);
}

static void add_end(struct text *out, const X509 *server)
{
    char room[40];
    struct tm t;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(server), &t) == 1 &&
        strftime(room, sizeof room, "%Y-%m-%dT%H:%M:%SZ", &t) > 0)
        add(out, TLS_FACT_SERVER_END, room);
}

void facts_of(struct text *out, SSL *ssl, const struct handshake *h)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const int group = (int)SSL_get_negotiated_group(ssl);
    const bool client = h->certificates == NULL;
    X509 *server = client ? SSL_get0_peer_certificate(ssl) : SSL_get_certificate(ssl);
    char bits[16];

    add(out, TLS_FACT_PROTOCOL, SSL_get_version(ssl));
    add(out, TLS_FACT_CIPHER, SSL_CIPHER_get_name(cipher));
    add(out, TLS_FACT_CIPHER_IANA, SSL_CIPHER_standard_name(cipher));
    snprintf(bits, sizeof bits, "%d", SSL_CIPHER_get_bits(cipher, NULL));
    add(out, TLS_FACT_BITS, bits);
    if (group != NID_undef)
        add(out, TLS_FACT_GROUP, SSL_group_to_name(ssl, group));
    if (client)
        add(out, TLS_FACT_SNI, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    else
        add(out, TLS_FACT_SNI, h->sni);
    if (!client)
        add_client(out, ssl);
    if (server != NULL) {
        add_end(out, server);
        add_end_point(out, server);
    }
    add_exporter(out, ssl);
}
