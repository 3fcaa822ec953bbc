#include "secure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

static SSL *ssl;

static SSL_CTX *context(int version)
{
    static SSL_CTX *made[2];
    SSL_CTX **const c = &made[version == TLS1_3_VERSION];

    if (*c == NULL) {
        *c = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(*c, version);
        SSL_CTX_set_max_proto_version(*c, version);
    }
    return *c;
}

bool secure_start(int fd, const char *version)
{
    ssl = SSL_new(context(strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION));
    if (SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, "mx.example.org") == 1 &&
        SSL_connect(ssl) == 1)
        return true;
    ERR_print_errors_fp(stderr);
    return false;
}

ssize_t secure_read(int fd, void *room, size_t n)
{
    return ssl == NULL ? read(fd, room, n) : SSL_read(ssl, room, (int)n);
}

ssize_t secure_write(int fd, const void *octets, size_t n)
{
    return ssl == NULL ? write(fd, octets, n) : SSL_write(ssl, octets, (int)n);
}

void secure_end(bool wait)
{
    if (ssl != NULL && SSL_shutdown(ssl) == 0 && wait)
        SSL_shutdown(ssl);
    SSL_free(ssl);
    ssl = NULL;
}
