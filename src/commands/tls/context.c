#include "commands/tls/context.h"

#include "commands/tls/handshake.h"

#include <openssl/err.h>

/* Mozilla's intermediate list (ssl-config.mozilla.org, version 5.7) without its finite-field
 * Diffie-Hellman: a client that has TLS 1.2 has ECDHE too, and DHE costs the server much (D(HE)at,
 * CVE-2002-20001). */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char groups[] = "X25519:P-256:P-384";

/* Several records in one read(2). */
enum { READ_BUFFER = 68 * 1024 };

/* Of all the names that OpenSSL would enter into its tables, a tenth of what a start costs, only
 * those are looked up by name that certificates of clients are signed with. */
bool context_start(void)
{
    static const uint64_t options = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT;

    return OPENSSL_init_crypto(options | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
                                   OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
                               NULL) == 1 &&
           OPENSSL_init_ssl(options, NULL) == 1 && EVP_add_digest(EVP_sha1()) == 1 &&
           EVP_add_digest(EVP_sha224()) == 1 && EVP_add_digest(EVP_sha256()) == 1 &&
           EVP_add_digest(EVP_sha384()) == 1 && EVP_add_digest(EVP_sha512()) == 1;
}

/* OpenSSL's reason for what has just failed. */
static const char *reason(void)
{
    const unsigned long e = ERR_peek_error();
    const char *text = e == 0 ? NULL : ERR_reason_error_string(e);

    return text != NULL ? text : "OpenSSL can't do it";
}

static bool is_named(const char *setting, const char *name)
{
    const size_t n = strlen(name);

    return strncasecmp(setting, name, n) == 0 && setting[n] == '=';
}

static bool names_groups(const struct tls_options *o)
{
    for (size_t i = 0; i < o->settings; i++)
        if (is_named(o->setting[i], "Groups") || is_named(o->setting[i], "Curves"))
            return true;
    return false;
}

static bool set(SSL_CONF_CTX *conf, const char *setting, struct text *wrong)
{
    const size_t n = span_find(span_of(setting), '=');
    const char *value = setting + n + 1; /* each has one: options.c */
    char *name = OPENSSL_strndup(setting, n);
    int result = 1;

    if (name == NULL)
        result = 0;
    else if (value[0] != '\0' || (!is_named(setting, "Groups") && !is_named(setting, "Curves")))
        result = SSL_CONF_cmd(conf, name, value);
    if (result <= 0) {
        text_adds(wrong, "option ");
        text_adds(wrong, setting);
        text_adds(wrong, ": ");
        text_adds(wrong, result == -2 ? "unknown name" : "wrong value");
    }
    OPENSSL_free(name);
    return result > 0;
}

static bool set_all(SSL_CTX *ctx, const struct tls_options *o, struct text *wrong)
{
    SSL_CONF_CTX *conf;
    bool done = true;

    if (o->settings == 0)
        return true;
    conf = SSL_CONF_CTX_new();
    if (conf == NULL)
        return false;
    SSL_CONF_CTX_set_flags(
        conf,
        SSL_CONF_FLAG_FILE | (o->mode == TLS_CLIENT ? SSL_CONF_FLAG_CLIENT : SSL_CONF_FLAG_SERVER));
    SSL_CONF_CTX_set_ssl_ctx(conf, ctx);
    for (size_t i = 0; done && i < o->settings; i++)
        done = set(conf, o->setting[i], wrong);
    if (done && SSL_CONF_CTX_finish(conf) != 1) {
        text_adds(wrong, "the options do not fit together");
        done = false;
    }
    SSL_CONF_CTX_free(conf);
    if (done && (SSL_CTX_get_min_proto_version(ctx) < TLS1_2_VERSION)) {
        text_adds(wrong, "option MinProtocol: below TLSv1.2 (RFC 8996)");
        done = false;
    }
    return done;
}

/* What no option changes. */
static void insist(SSL_CTX *ctx, const struct tls_options *o)
{
    const bool ask = o->mode != TLS_CLIENT && (o->ask_client || o->client_ca != NULL);

    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER);
    SSL_CTX_set_verify(ctx, ask ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    handshake_prepare(ctx);
}

static bool use(SSL_CTX *ctx, const struct certificates *c, struct text *wrong)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct tls_pair *p = &c->pair[i];

        if (p->set == 0 && SSL_CTX_use_cert_and_key(ctx, p->leaf, p->key, p->more, 1) != 1) {
            text_adds(wrong, p->chain_path);
            text_adds(wrong, ": ");
            text_adds(wrong, reason());
            return false;
        }
    }
    return true;
}

static bool take_client_ca(SSL_CTX *ctx, const char *file, struct text *wrong)
{
    STACK_OF(X509_NAME) * names;

    if (file == NULL)
        return true;
    names = SSL_load_client_CA_file(file);
    if (names != NULL && SSL_CTX_load_verify_file(ctx, file) == 1) {
        SSL_CTX_set_client_CA_list(ctx, names);
        return true;
    }
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    text_adds(wrong, file);
    text_adds(wrong, ": no certificates of CAs can be read from it");
    return false;
}

SSL_CTX *context_new(const struct tls_options *o, const struct certificates *c, struct text *wrong)
{
    SSL_CTX *ctx = SSL_CTX_new(o->mode == TLS_CLIENT ? TLS_client_method() : TLS_server_method());

    ERR_clear_error();
    /* Our order, but for a client that puts ChaCha20 first: it has no AES in its processor. */
    if (ctx != NULL)
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(ctx, ciphers) == 1 && SSL_CTX_set_dh_auto(ctx, 1) == 1 &&
        (names_groups(o) || SSL_CTX_set1_groups_list(ctx, groups) == 1) && set_all(ctx, o, wrong)) {
        insist(ctx, o);
        if (use(ctx, c, wrong) && take_client_ca(ctx, o->client_ca, wrong))
            return ctx;
    }
    if (wrong->n == 0)
        text_adds(wrong, reason());
    SSL_CTX_free(ctx);
    return NULL;
}
