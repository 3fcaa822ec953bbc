/* What auth.h and those that it asks share: a session's logins, and what can be said of one. */
#ifndef SMTPIN_ADAPTERS_AUTH_STATE_H
#define SMTPIN_ADAPTERS_AUTH_STATE_H

#include "adapters/peer.h"
#include "config/config.h"

enum {
    AUTH_RESPONSE_MAX = SMTP_AUTH_LINE_MAX,
    AUTH_LINE_MAX = 16384,         /* octets of a line of Dovecot's */
    AUTH_USER_MAX = SMTP_USER_MAX, /* a longer one is no login */
    AUTH_MECHANISMS_MAX = SMTP_MECHANISMS_MAX,
    AUTH_MECHANISM_MAX = SMTP_MECHANISM_MAX,
    AUTH_MECHANISMS_N = 32, /* how many of a server's are known; others are left out */
};

enum auth_result {
    AUTH_DONE,      /* `text` is the user's name */
    AUTH_CHALLENGE, /* `text` is base64, for the client: its response is wanted */
    AUTH_WRONG,     /* the login is not right, or not allowed */
    AUTH_MALFORMED, /* the response is no response of this mechanism, or no base64 */
    AUTH_UNKNOWN,   /* there is no such mechanism */
    AUTH_LATER,     /* nobody could say: `text` is why, for the log */
};

struct auth_answer {
    enum auth_result result;
    struct span text; /* in struct auth, until the next call */
};

/* A mechanism that a server has, and what it says of it. */
struct auth_mechanism {
    char name[AUTH_MECHANISM_MAX + 1];
    bool plaintext;       /* the password itself is sent */
    bool channel_binding; /* it wants to know of the client's TLS session */
};

/* Of a session. Zeroed; auth_open sets it, and connects to nobody. */
struct auth {
    const struct config *config;
    const struct peer *peer;
    struct span id;         /* the session's */
    int fd;                 /* to Dovecot; -1: there is no connection */
    unsigned minor;         /* the version of the protocol that was said there */
    bool active;            /* a login is going on */
    struct text mechanisms; /* "PLAIN LOGIN": those that can be had now */
    struct text mechanism;  /* of the login */
    unsigned request;       /* Dovecot's id of it */
    struct span binding;    /* what Dovecot wants to know with the next response: hexadecimal */
    struct auth_mechanism known[AUTH_MECHANISMS_N];
    size_t knows;    /* how many of them */
    size_t from, to; /* of `room`: what Dovecot has said, and nobody has read yet */
    size_t user;     /* of `room`: octets of the user's name that LOGIN has been told */
    bool has_user;
    size_t dirty; /* octets of `room` that have been written since it was wiped */
    char mechanisms_room[AUTH_MECHANISMS_MAX + 1];
    char mechanism_room[AUTH_MECHANISM_MAX + 1];
    char room[AUTH_LINE_MAX + 1]; /* what a server says, or what is decoded; wiped behind a login */
};

/* Is it a user's name that others can be told? Not empty, not too long, UTF-8, and no blank or
 * control octet in it: it goes into the log, the environment, header fields. */
bool auth_is_user(struct span name);
/* Nobody could say, for that reason, which lives as long as the program. */
void auth_later(struct auth_answer *out, const char *why);
/* Wipes `room`, where it has been written: most sessions never touch it. */
void auth_wipe(struct auth *a);
/* Adds a name behind a blank. One that does not fit is left out whole. */
void auth_add_mechanism(struct auth *a, struct span name);

#endif
