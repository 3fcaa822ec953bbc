/* The state of a session and of its transaction, and what changes it whoever speaks: a reply that
 * is said, a transaction that ends, a recipient that is added. Which of these a command or an event
 * brings about is never decided here: session.h and verbs.h do that. */
#ifndef SMTPIN_SMTP_STATE_H
#define SMTPIN_SMTP_STATE_H

#include "base/arena.h"
#include "base/text.h"
#include "smtp/path.h"
#include "smtp/reply.h"

enum smtp_want {
    SMTP_NEXT_LINE,     /* read a line:     smtp_session_line or smtp_session_bad_line */
    SMTP_NEXT_DECISION, /* judge a recipient:             smtp_session_decided */
    SMTP_NEXT_DATA,     /* collect the message to its end: smtp_session_collected */
    SMTP_NEXT_DELIVERY, /* deliver it, give each recipient its result: smtp_session_delivered */
    SMTP_NEXT_MORE,     /* empty `out`, there are more replies: smtp_session_more */
    SMTP_NEXT_CLOSE,    /* write what is in `out`, then hang up */
};

/* Legal phases are a column of the table of verbs, so these are bits. */
enum smtp_phase {
    SMTP_CONNECTED = 1,
    SMTP_GREETED = 2,
    SMTP_MAIL = 4,
    SMTP_RCPT = 8,
};

/* What the administrator decides; constant while the session lives. */
struct smtp_options {
    bool lmtp; /* RFC 2033: LHLO, and a reply for each recipient after the message */
    bool prdr; /* announce it: each recipient's result is known */
    /* One recipient a transaction, so that each has its own reply (but for LMTP and PRDR). */
    bool single;
    struct span hostname; /* at most SMTP_DOMAIN_MAX */
    bool helo_required;
    bool normalize;            /* bare line ends in a message: see smtp/data.h */
    bool smtputf8;             /* announce it, and take its parameter (RFC 6531) */
    uint64_t max_message_size; /* octets */
    uint64_t max_recipients;   /* for each transaction */
    uint64_t max_errors;       /* since the last message that was taken, as the next one */
    uint64_t max_refused_recipients;
    uint64_t max_commands; /* for each session, as the next one */
    uint64_t max_transactions;
    uint64_t max_received; /* hops */
    uint64_t max_text_line;
    struct smtp_tolerance tolerate;
};

struct smtp_recipient {
    struct smtp_mailbox mailbox;
    struct smtp_reply result; /* set by the shell before smtp_session_delivered */
    struct smtp_recipient *next;
};

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };

struct smtp_transaction {
    struct smtp_mailbox reverse_path;
    struct smtp_recipient *first, *last;
    size_t recipients;
    size_t attempts; /* RCPT commands, the refused ones too */
    uint64_t declared_size;
    enum smtp_body body;
    bool smtputf8;
    bool prdr; /* the client takes a reply for each recipient */
    struct arena *arena;
};

enum smtp_opinion { SMTP_NO_OPINION, SMTP_ACCEPT, SMTP_REFUSE, SMTP_DEFER };

/* What a rule says of a recipient. A reply code of 0 stands for the opinion's usual reply. */
struct smtp_verdict {
    enum smtp_opinion opinion;
    struct smtp_reply reply;
};

/* What the last call said, for the shell's log. reply.code is 0 when it said nothing; reply.rule is
 * not NULL when it was a refusal. */
struct smtp_said {
    struct smtp_reply reply;
    struct span argument; /* of the reply's text */
};

struct smtp_session {
    const struct smtp_options *options;
    struct text *out;
    struct smtp_transaction transaction;
    struct smtp_recipient *candidate; /* the recipient that SMTP_NEXT_DECISION is about */
    size_t mark;                      /* the arena before the candidate */
    struct span judged; /* the address that the last smtp_session_decided was about, for the log */
    struct smtp_recipient *reporting; /* the next one to hear its result */
    enum smtp_phase phase;
    bool esmtp; /* greeted with EHLO: enhanced status codes */
    bool secure;
    bool authenticated;
    uint64_t commands, transactions, messages;
    uint64_t errors, refused_recipients; /* since the last message that was taken */
    char helo_room[SMTP_DOMAIN_MAX];
    struct span helo; /* empty before EHLO or HELO */
    struct smtp_said said;
};

/* Appends the reply to s->out. What comes next: a line, or the end where the reply closes. */
enum smtp_want smtp_say(struct smtp_session *s, enum smtp_reply_id id, struct span argument);
enum smtp_want smtp_say_reply(struct smtp_session *s, const struct smtp_reply *r,
                              struct span argument);
void smtp_forget_transaction(struct smtp_session *s);
/* The recipient, which lives in the transaction's arena, is its last one. */
void smtp_add_recipient(struct smtp_transaction *t, struct smtp_recipient *r);

#endif
