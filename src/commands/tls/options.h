/* The command line of smtpin-tls(8). */
#ifndef SMTPIN_COMMANDS_TLS_OPTIONS_H
#define SMTPIN_COMMANDS_TLS_OPTIONS_H

#include "base/span.h"

#include <stdint.h>

enum {
    TLS_CERTIFICATES_MAX = 64, /* --certificate */
    TLS_SETTINGS_MAX = 32,     /* --option */
};

enum tls_mode {
    TLS_NO_MODE,
    TLS_SESSION,
    TLS_CLIENT,
    TLS_SERVE,
    TLS_WRAP,
    TLS_UCSPI,
    TLS_CHECK,
};

/* The words are those of argv. */
struct tls_options {
    enum tls_mode mode;
    const char *certificate[TLS_CERTIFICATES_MAX];
    size_t certificates;
    const char *setting[TLS_SETTINGS_MAX]; /* NAME=VALUE */
    size_t settings;
    char hostname[256];    /* --hostname, or this host's */
    const char *client_ca; /* a file; NULL: none */
    bool ask_client;       /* a certificate of the client is wanted */
    uint64_t timeout;      /* milliseconds for the handshake */
    uint64_t max_sessions; /* at once, of --serve */
    const char *place;     /* of --serve: SOCKET; of --client: NAME; NULL: none */
    char *const *command;  /* of --wrap and --ucspi */
};

enum tls_options_result { TLS_OPTIONS_OK, TLS_OPTIONS_WRONG, TLS_OPTIONS_DONE };

/* WRONG: it has said what is wrong. DONE: it has printed what was asked for (--help, --version). */
enum tls_options_result tls_options_read(struct tls_options *o, int argc, char **argv);

#endif
