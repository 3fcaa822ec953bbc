#include "commands/tls/handshake.h"

#include "io/clock.h"
#include "smtp/path.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>

/* The versions that a client may offer, of which OpenSSL knows the last two. */
static const char *version_name(unsigned version)
{
    static const char *const names[] = {"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};

    return version >= SSL3_VERSION && version <= TLS1_3_VERSION ? names[version - SSL3_VERSION]
                                                                : NULL;
}

static void add_version(struct text *offered, unsigned version)
{
    const char *name = version_name(version);

    if (name == NULL)
        return;
    if (offered->n > 0)
        text_addc(offered, ' ');
    text_adds(offered, name);
}

/* RFC 8446 4.2.1: supported_versions, and where there is none, legacy_version. */
static void note_versions(SSL *ssl, struct handshake *h)
{
    struct text offered = {.p = h->offered, .cap = sizeof h->offered};
    const unsigned char *list;
    size_t n;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &list, &n) == 1) {
        for (size_t i = 1; i + 1 < n; i += 2)
            add_version(&offered, (unsigned)list[i] << 8 | list[i + 1]);
    } else {
        add_version(&offered, SSL_client_hello_get0_legacy_version(ssl));
    }
    text_string(&offered);
}

/* RFC 6066 3: a list (its length in two octets) of a kind (0: a host), a length and a name. */
static void note_name(SSL *ssl, struct handshake *h)
{
    const unsigned char *list;
    size_t n, length;
    struct span name;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &list, &n) != 1 || n < 5 ||
        list[2] != TLSEXT_NAMETYPE_host_name)
        return;
    length = (size_t)list[3] << 8 | list[4];
    if (length == 0 || length > n - 5 || length >= sizeof h->sni)
        return;
    name = (struct span){.p = (const char *)list + 5, .n = length};
    if (!smtp_is_domain(name, false))
        return;
    memcpy(h->sni, name.p, name.n);
    h->sni[name.n] = '\0';
}

/* Instead of those of the context, which are set 0's. */
static bool use_set(SSL *ssl, const struct certificates *c, size_t set)
{
    bool done = true;

    SSL_certs_clear(ssl);
    for (size_t i = 0; i < c->n; i++)
        if (c->pair[i].set == set)
            done = SSL_use_cert_and_key(ssl, c->pair[i].leaf, c->pair[i].key, c->pair[i].more, 1) ==
                       1 &&
                   done;
    return done;
}

static int look_at_hello(SSL *ssl, int *alert, void *arg)
{
    struct handshake *h = SSL_get_app_data(ssl);
    size_t set = 0;

    (void)arg;
    if (h == NULL)
        return SSL_CLIENT_HELLO_SUCCESS;
    note_versions(ssl, h);
    note_name(ssl, h);
    if (h->sni[0] != '\0' && h->certificates != NULL && h->certificates->sets > 1)
        set = certificates_choose(h->certificates, h->sni);
    if (set == 0 || use_set(ssl, h->certificates, set))
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* Who the client is never decides here: smtpin hears the result, and decides. */
static int verify(X509_STORE_CTX *v, void *arg)
{
    (void)arg;
    if (X509_verify_cert(v) != 1 && X509_STORE_CTX_get_error(v) == X509_V_OK)
        X509_STORE_CTX_set_error(v, X509_V_ERR_UNSPECIFIED);
    return 1;
}

void handshake_prepare(SSL_CTX *ctx)
{
    SSL_CTX_set_client_hello_cb(ctx, look_at_hello, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
}

SSL *handshake_new(SSL_CTX *ctx, struct handshake *h, const char *name)
{
    SSL *ssl = SSL_new(ctx);

    h->sni[0] = h->offered[0] = h->reason[0] = '\0';
    if (ssl == NULL)
        return NULL;
    if (SSL_set_app_data(ssl, h) != 1 || SSL_set_rfd(ssl, h->in) != 1 ||
        SSL_set_wfd(ssl, h->out) != 1 ||
        (name != NULL && SSL_set_tlsext_host_name(ssl, name) != 1)) {
        SSL_free(ssl);
        return NULL;
    }
    if (h->certificates != NULL)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

static void say(struct handshake *h, const char *reason)
{
    struct text t = {.p = h->reason, .cap = sizeof h->reason};

    text_adds(&t, reason);
    text_string(&t);
}

/* Why SSL_do_handshake has failed; OpenSSL has one error for the cause, and may have more for what
 * that led to. */
static void explain(struct handshake *h, int error)
{
    const unsigned long e = ERR_peek_error();
    const char *text = e == 0 ? NULL : ERR_reason_error_string(e);

    if (e != 0 && ERR_GET_LIB(e) == ERR_LIB_SSL &&
        ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        text = NULL;
    if (text != NULL)
        say(h, text);
    else if (error == SSL_ERROR_SYSCALL && errno != 0)
        say(h, strerror(errno));
    else
        say(h, "the connection was closed");
}

/* False: `h` says why nothing has come. */
static bool wait_for(struct handshake *h, int error)
{
    const bool reads = error == SSL_ERROR_WANT_READ;
    struct pollfd p[2] = {
        {.fd = reads ? h->in : h->out, .events = reads ? POLLIN : POLLOUT},
        {.fd = h->control, .events = POLLIN},
    };
    int ready;

    do
        ready = poll(p, 2, clock_left(h->deadline));
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        say(h, "timed out");
    else if (ready < 0)
        say(h, strerror(errno));
    else if (p[1].revents != 0)
        say(h, "smtpin has closed its end");
    return ready > 0 && p[1].revents == 0;
}

/* In TLS 1.3 the client has the last word of the handshake, and nothing answers it. A client
 * without TCP_NODELAY holds its EHLO back until that word is acknowledged, which the kernel does by
 * itself after 40 ms only. */
static void acknowledge(int fd)
{
    const int now = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &now, sizeof now);
}

bool handshake_run(SSL *ssl, struct handshake *h)
{
    int result, error;

    for (;;) {
        ERR_clear_error();
        errno = 0;
        result = SSL_do_handshake(ssl);
        if (result == 1) {
            acknowledge(h->in);
            return true;
        }
        error = SSL_get_error(ssl, result);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            explain(h, error);
            return false;
        }
        if (!wait_for(h, error))
            return false;
    }
}
