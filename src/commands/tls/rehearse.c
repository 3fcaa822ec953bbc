#include "commands/tls/rehearse.h"

#include "commands/tls/facts.h"
#include "commands/tls/handshake.h"
#include "syntax/tls_talk.h"

#include <openssl/err.h>

enum { TURNS = 20 };

/* A client of that version alone, which asks for nothing. */
static SSL *client_of(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;

    if (ctx != NULL && SSL_CTX_set_min_proto_version(ctx, version) == 1 &&
        SSL_CTX_set_max_proto_version(ctx, version) == 1)
        ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    return ssl;
}

static bool shake_hands(SSL *server, SSL *client)
{
    for (int i = 0; i < TURNS; i++) {
        const int c = SSL_do_handshake(client), s = SSL_do_handshake(server);

        if (c == 1 && s == 1)
            return true;
    }
    return false;
}

static void exchange(SSL *server, SSL *client, const struct handshake *h)
{
    char room[TLS_PACKET_MAX];
    struct text t = TEXT(room);

    facts_of(&t, server, h);
    if (SSL_write(client, "x", 1) == 1 && SSL_read(server, room, 1) == 1)
        SSL_write(server, "x", 1);
    SSL_shutdown(server);
}

static void rehearse_version(SSL_CTX *ctx, const struct certificates *c, int version)
{
    struct handshake h = {.certificates = c, .in = -1, .out = -1, .control = -1};
    SSL *server = handshake_new(ctx, &h, NULL), *client = client_of(version);
    BIO *ours, *theirs;

    if (server != NULL && client != NULL && BIO_new_bio_pair(&ours, 0, &theirs, 0) == 1) {
        SSL_set_bio(server, ours, ours);
        SSL_set_bio(client, theirs, theirs);
        SSL_set_connect_state(client);
        if (shake_hands(server, client))
            exchange(server, client, &h);
    }
    SSL_free(client);
    SSL_free(server);
    ERR_clear_error();
}

void rehearse(SSL_CTX *ctx, const struct certificates *c)
{
    if (ctx == NULL)
        return;
    rehearse_version(ctx, c, TLS1_3_VERSION);
    rehearse_version(ctx, c, TLS1_2_VERSION);
}
