/* A client of the policy protocol of Postfix (SMTPD_POLICY_README): it asks a server about one step
 * of a session, and reads its answer. There is one connection to a server in a session. What an
 * action leads to is not decided here: rules_asked.c. */
#ifndef SMTPIN_ADAPTERS_POLICY_H
#define SMTPIN_ADAPTERS_POLICY_H

#include "adapters/peer.h"
#include "smtp/result.h"
#include "smtp/session.h"

enum {
    POLICY_REQUEST_MAX = 8191, /* octets: servers lose what is longer (postfwd) */
    POLICY_VALUE_MAX = 600,    /* octets of a value; the longest is an address */
    POLICY_ANSWER_MAX = 4096,  /* octets of an answer */
    POLICY_FIELD_MAX = 998,    /* octets of a header field (RFC 5322 2.1.1) */
};

/* In the order in which a session comes to them. */
enum policy_state {
    POLICY_CONNECT,
    POLICY_EHLO,
    POLICY_MAIL,
    POLICY_RCPT,
    POLICY_DATA,
    POLICY_END_OF_MESSAGE,
};

struct policy_facts {
    enum policy_state state;
    const struct smtp_session *session; /* its greeting, its transaction */
    const struct peer *peer;
    struct span id;                       /* the session's */
    const struct smtp_mailbox *recipient; /* POLICY_RCPT: who is asked about; else NULL */
    uint64_t size;                        /* octets, declared; POLICY_END_OF_MESSAGE: counted */
};

struct policy_server {
    struct span name;  /* syntax/policy_server.h */
    int fd;            /* -1: there is no connection */
    const char *wrong; /* why there was no usable answer */
};

enum policy_action {
    POLICY_OK,
    POLICY_DUNNO,
    POLICY_REPLY, /* REJECT, DEFER, 4yz, 5yz */
    POLICY_DEFER_IF_PERMIT,
    POLICY_DEFER_IF_REJECT,
    POLICY_PREPEND,
    POLICY_REDIRECT,
    POLICY_DISCARD,
    POLICY_HOLD,
    POLICY_WARN,
    POLICY_INFO,
    POLICY_UNKNOWN, /* what smtpin can't do, or nobody knows */
};

struct policy_answer {
    enum policy_action action;
    struct smtp_reply reply; /* of POLICY_REPLY, POLICY_DEFER_IF_*: what the client would hear */
    struct span text;        /* what follows the action's word; of POLICY_UNKNOWN, all of it */
    struct span said;        /* all of it */
};

/* `name` stays the caller's. Connects to nobody yet. */
void policy_open(struct policy_server *s, struct span name);
/* Asks, and waits for the answer, which is kept in `a`. `timeout`: milliseconds for all of it.
 * False: there is no usable answer, s->wrong says why, and the connection is closed. */
bool policy_ask(struct policy_server *s, const struct policy_facts *f, uint64_t timeout,
                struct arena *a, struct policy_answer *out);
void policy_close(struct policy_server *s);

/* Writes the request. All attributes are there, and empty where they are not known: a server may
 * take a line that is missing for one of the request before. */
void policy_write(struct text *out, const struct policy_facts *f);
/* How long the answer is that `in` begins with, to the end of its empty line; 0: that has not come
 * yet. */
size_t policy_answer_length(struct span in);
/* The value of its first line "action=..."; other lines are nobody's (as in Postfix, a second
 * action is such a line). NULL, or what is wrong with it. */
const char *policy_find_action(struct span answer, struct span *action);
/* field-name ":" text (RFC 5322 2.2), at most POLICY_FIELD_MAX octets. */
bool policy_is_field(struct span s);
/* Reads an action: "REJECT Go away". Words are as good in small letters. Without memory for it, it
 * is POLICY_UNKNOWN. */
void policy_read_action(struct span action, struct arena *a, struct policy_answer *out);

#endif
