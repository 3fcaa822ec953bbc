/* What the rules know: of a session, its sources (tables, commands, policy servers) and what they
 * have said; of a question, what was found on the way. Nothing is asked here: rules_tables.h and
 * rules_asked.h do that, and rules.h has their order. */
#ifndef SMTPIN_ADAPTERS_RULES_STATE_H
#define SMTPIN_ADAPTERS_RULES_STATE_H

#include "adapters/head.h"
#include "adapters/policy.h"
#include "adapters/table.h"

enum {
    RULES_PREPENDED_MAX = HEAD_PREPENDED_MAX, /* octets of a message's PREPEND fields */
    RULES_LAST_MAX = 256, /* octets of a source, a key, words that are kept for the log */
};

/* An opinion that holds for a session, or for a transaction. */
struct rules_kept {
    bool known;
    struct smtp_verdict verdict;
    struct text room;
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    struct text said; /* for the record */
    char said_room[RULES_LAST_MAX];
};

/* Touched only once one of them is asked. */
struct rules_sources {
    /* What each question touches stands together: in one page, as a rule. */
    bool open;
    size_t domain_tables, servers;
    uint64_t transaction; /* the one that the next three are about */
    bool hold, discard;
    bool client_secure; /* the client was inside TLS when check_client was asked */
    struct text prepended;
    const char *last; /* the rule that had the last opinion against */
    struct text last_source, last_key, last_said;
    struct policy_server server[CONFIG_POLICY_SERVERS_MAX];
    struct table recipients, aliases, senders, sender_login;
    struct table domains[CONFIG_DOMAIN_TABLES_MAX];
    struct rules_kept client, sender;
    char last_room[3][RULES_LAST_MAX];
    char prepended_room[RULES_PREPENDED_MAX];
};

struct recorder;

/* A thing worth a record that is no refusal. Spans live for the call. */
struct rules_note {
    struct span source;    /* "unix:/run/x", "cdb:/y", or the setting of a command */
    struct span recipient; /* empty: it is not about one */
    const char *what;      /* "warn", "hold", "failed" ... */
    struct span text;
};

/* Of a session. Set by the caller; `sources` is zeroed memory that is not touched before a table, a
 * command or a server is asked. */
struct rules {
    const struct config *config;
    const struct peer *peer;
    const struct smtp_session *session; /* its greeting, its transaction; what is found is kept in
                                           the transaction's arena */
    struct span id;                     /* the session's */
    struct rules_sources *sources;
    struct recorder *recorder; /* of what commands and servers answer; NULL: there is none */
    void (*note)(void *context, const struct rules_note *note); /* NULL: nobody hears of it */
    void *context;
    unsigned set; /* bits: the rules whose setting is not empty; 0: nobody has looked yet */
};

struct rules_question {
    struct rules *rules;
    const struct smtp_mailbox *recipient;
    bool
        only_listed; /* VRFY: the tables alone are asked, and what they do not know is no opinion */
    struct span domain; /* the recipient's, in ASCII where it can be had; rules_ask_about */
    bool no_idn;        /* it could not: there is no libidn2 */
    char room[SMTP_DOMAIN_MAX + 1];
    /* Found on the way. */
    const char *gate; /* the rule by which mail may go there; NULL: none yet */
    bool trusted;     /* the client may send anywhere */
    enum { RULES_DOMAIN_UNKNOWN, RULES_DOMAIN_OURS, RULES_DOMAIN_FOREIGN, RULES_DOMAIN_LOST } whose;
    bool listed, exactly;           /* in `recipients`; by the address itself */
    struct smtp_recipient *aliased; /* who is in its place */
    /* Of the rule that was asked last. */
    struct smtp_reply reply; /* code 0: the rule's own */
    struct span source, key, said;
};

/* Opens nothing but the record of what there is. */
struct rules_sources *rules_sources(struct rules *r);
/* May the client send anywhere? */
bool rules_trusts(const struct rules *r);
/* May it, or is it on this machine: on loopback, a pipe, a local socket? Its manners are not looked
 * at. */
bool rules_is_near(const struct rules *r);
/* A recipient in the place of q->recipient. False: no memory. */
bool rules_alias_to(struct rules_question *q, const struct smtp_mailbox *mailbox);
/* The recipient gets those who were found to be in its place. */
void rules_give_aliases(const struct rules_question *q, struct smtp_recipient *recipient);
/* Copies the reply into the transaction's arena as q's own. Its opinion. */
enum smtp_opinion rules_take_reply(struct rules_question *q, const struct smtp_reply *reply);
void rules_tell(struct rules *r, struct span source, const struct smtp_mailbox *recipient,
                const char *what, struct span text);
/* What a refusal by `rule` is about, for its record: rules_last. */
void rules_keep_last(struct rules *r, const char *rule, struct span source, struct span key,
                     struct span said);
/* Which source, key and words the last refusal was about, for its record; false: `rule` is not the
 * one that it was about. */
bool rules_last(const struct rules *r, const char *rule, struct span *source, struct span *key,
                struct span *said);
/* Descriptors and connections are closed. */
void rules_close(struct rules *r);

#endif
