/* The facts that a delivery command can be told: as macros in its words (named as in Postfix
 * pipe(8)) and as variables of its environment (named as in Postfix local(8)). Here are their names
 * and how a word is taken apart. Nothing is expanded here: adapters/command.h. */
#ifndef SMTPIN_SYNTAX_MACRO_H
#define SMTPIN_SYNTAX_MACRO_H

#include "base/arena.h"
#include "base/span.h"

enum macro_id {
    MACRO_SENDER,
    MACRO_RECIPIENT,
    MACRO_ORIGINAL_RECIPIENT,
    MACRO_MAILBOX,
    MACRO_USER,
    MACRO_EXTENSION,
    MACRO_DOMAIN,
    MACRO_SIZE,
    MACRO_QUEUE_ID,
    MACRO_DIGEST,
    MACRO_BODY,
    MACRO_REPLIES,
    MACRO_HOLD,
    MACRO_CLIENT_ADDRESS,
    MACRO_CLIENT_PORT,
    MACRO_CLIENT_HOSTNAME,
    MACRO_CLIENT_HELO,
    MACRO_CLIENT_PROTOCOL,
    MACRO_CREDENTIALS_DIRECTORY,
    MACRO_DSN_NOTIFY, /* from here on: empty where the client has no such parameter */
    MACRO_DSN_ORCPT,
    MACRO_DSN_RET,
    MACRO_DSN_ENVID,
    MACRO_MT_PRIORITY,
    MACRO_DELIVER_BY,
    MACRO_RELEASE,
    MACRO_SASL_USERNAME, /* from here on: empty without a login */
    MACRO_SASL_METHOD,
    MACRO_SASL_SENDER,
    MACRO_TLS_PROTOCOL, /* from here on: empty outside TLS */
    MACRO_TLS_CIPHER,
    MACRO_TLS_SNI,
    MACRO_TLS_CLIENT_VERIFY,
    MACRO_TLS_CLIENT_NAME,
    MACRO_TLS_CLIENT_SUBJECT,
    MACRO_TLS_CLIENT_FINGERPRINT,
    MACRO_REQUIRETLS,
    MACROS, /* how many there are; none of them */
};

struct macro {
    struct tag name;
    struct tag variable; /* in the environment, with its '='; empty: none */
    bool per_recipient;
    bool optional; /* an empty one is no variable */
};

extern const struct macro macros[MACROS];

/* One piece of a word: *literal up to the next macro, then *m (MACROS: none is left). False when a
 * '$' begins no macro. */
bool macro_next_piece(struct span *word, struct span *literal, enum macro_id *m);

/* NULL, or what is wrong with the macros of a word. "$$" stands for a dollar sign. */
const char *macro_check(struct span word);

bool macro_has_any(struct span word);
/* Is the word repeated for each recipient? */
bool macro_is_per_recipient(struct span word);
/* A word that expands to `word` itself; .p is NULL when the arena is full. */
struct span macro_literal(struct span word, struct arena *a);

#endif
