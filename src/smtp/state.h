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
    SMTP_NEXT_GREETING,   /* hold it back, see whether the client speaks: smtp_session_greet */
    SMTP_NEXT_LINE,       /* read a line:     smtp_session_line or smtp_session_bad_line */
    SMTP_NEXT_DECISION,   /* judge what `about` says:       smtp_session_decided */
    SMTP_NEXT_DATA,       /* collect the message to its end: smtp_session_collected */
    SMTP_NEXT_CHUNK,      /* take `chunk`, all its octets:  smtp_session_chunk */
    SMTP_NEXT_DELIVERY,   /* deliver it, give each recipient its result: smtp_session_delivered */
    SMTP_NEXT_TLS,        /* get TLS ready, if nothing is unread: smtp_session_tls */
    SMTP_NEXT_HANDSHAKE,  /* write what is in `out`, then do it:  smtp_session_secured */
    SMTP_NEXT_MECHANISMS, /* ask which there are:            smtp_session_mechanisms */
    SMTP_NEXT_LOGIN,      /* ask about `login`; `out` is empty: smtp_session_login */
    SMTP_NEXT_CLIENT,     /* take over what `xclient` says:  smtp_session_client */
    SMTP_NEXT_MORE,       /* empty `out`, there are more replies: smtp_session_more */
    SMTP_NEXT_PAUSE,      /* wait, then write what is in `out`: smtp_session_paused */
    SMTP_NEXT_CLOSE,      /* write what is in `out`, then hang up */
};

/* Legal phases are a column of the table of verbs, so these are bits. */
enum smtp_phase {
    SMTP_CONNECTED = 1,
    SMTP_GREETED = 2,
    SMTP_MAIL = 4,
    SMTP_RCPT = 8,
    SMTP_CHUNKS = 16, /* behind the first BDAT of a message */
};

/* What SMTP_NEXT_DECISION is about. Bits of smtp_options.decide_at; a recipient is always decided.
 */
enum smtp_subject {
    SMTP_ABOUT_CLIENT = 1,    /* before the greeting */
    SMTP_ABOUT_GREETING = 2,  /* EHLO, HELO, LHLO */
    SMTP_ABOUT_SENDER = 4,    /* MAIL */
    SMTP_ABOUT_RECIPIENT = 8, /* RCPT: the candidate */
    SMTP_ABOUT_DATA = 16,     /* DATA, before 354; the first BDAT, before its octets are read */
    SMTP_ABOUT_USER = 32,     /* VRFY: the candidate, of whom nothing is kept */
};

/* RFC 3207; IMPLICIT: RFC 8314 3 */
enum smtp_tls { SMTP_TLS_OFF, SMTP_TLS_MAY, SMTP_TLS_REQUIRED, SMTP_TLS_IMPLICIT };

/* What the administrator decides; constant while the session lives. */
struct smtp_options {
    unsigned decide_at;    /* enum smtp_subject */
    bool vrfy;             /* SMTP_ABOUT_USER: else each VRFY gets 252 */
    bool lmtp;             /* RFC 2033: LHLO, and a reply for each recipient after the message */
    uint64_t tls;          /* enum smtp_tls */
    bool requiretls;       /* announce it under TLS: the delivery command honours it (RFC 8689) */
    bool auth;             /* somebody checks logins */
    bool auth_plaintext;   /* outside TLS too */
    bool auth_old_clients; /* announce it in the old spelling, too: "AUTH=" */
    bool auth_required;    /* no mail without it */
    bool xclient_login;    /* LOGIN= of XCLIENT is a login */
    uint64_t max_auth_errors;
    bool prdr; /* announce it: each recipient's result is known */
    /* One recipient a transaction, so that each has its own reply (but for LMTP and PRDR). */
    bool single;
    struct span hostname; /* at most SMTP_DOMAIN_MAX */
    bool helo_required;
    /* Milliseconds; here, whether the greeting, or a reply to a mistake, is held back at all. */
    uint64_t greet_delay, error_delay;
    uint64_t unexpected_pipelining;    /* 1: refuse (RFC 2920 3.1) */
    bool normalize;                    /* bare line ends in a message: see smtp/data.h */
    bool dsn, mt_priority, deliver_by; /* the delivery command honours them: extra.h */
    uint64_t future_release;     /* the same: so many milliseconds at the most; 0: not at all */
    bool smtputf8;               /* announce it, and take its parameter (RFC 6531) */
    bool chunking;               /* RFC 3030: BDAT */
    bool binarymime;             /* the delivery command takes octets that are no lines */
    uint64_t max_message_size;   /* octets */
    uint64_t max_discarded_size; /* octets of refused chunks, for each session */
    uint64_t max_recipients;     /* for each transaction */
    uint64_t max_errors;         /* since the last message that was taken, as the next one */
    uint64_t max_refused_recipients;
    uint64_t max_commands; /* for each session, as the next one */
    uint64_t max_transactions;
    uint64_t max_received; /* hops */
    uint64_t max_text_line;
    struct smtp_tolerance tolerate;
};

/* A recipient of RCPT, or one of those that an alias puts in its place: these have a list of their
 * own, which the core does not look at. The client hears of its own recipients alone. */
struct smtp_recipient {
    struct smtp_mailbox mailbox;
    struct smtp_reply result; /* set by the shell before smtp_session_delivered */
    struct smtp_recipient *next;
    struct smtp_recipient *aliased; /* who gets the message in its place; NULL: itself */
    struct smtp_recipient *of;      /* the one in whose place this one is; NULL: the client's own */
    const char *extras;             /* extra.h, terminated; of the client's own; NULL: none */
};

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };

/* What BDAT says of the octets behind it. These are read, whatever the reply will be: they must
 * never be taken for commands (RFC 3030 2). */
struct smtp_chunk {
    bool comes;
    bool last;
    uint64_t size;           /* octets that come */
    bool refused;            /* they are thrown away, and then there is this reply: */
    struct smtp_reply reply; /* its text is foreign, unless `keeps` */
    bool keeps;              /* the transaction stays as it is: the command was out of place */
    struct span argument;    /* of such a reply */
};

struct smtp_transaction {
    struct smtp_mailbox reverse_path;
    struct smtp_recipient *first, *last;
    size_t recipients;
    size_t targets;  /* smtp_first_target */
    size_t attempts; /* RCPT commands, the refused ones too */
    uint64_t declared_size;
    uint64_t chunked; /* octets of its chunks so far */
    enum smtp_body body;
    bool smtputf8;
    bool requiretls;
    struct span auth;   /* MAIL's AUTH=, decoded; empty: nobody, or nobody whom we believe */
    struct span extras; /* extra.h */
    uint64_t release;   /* not before that time, seconds since 1970; 0: now */
    bool prdr;          /* the client takes a reply for each recipient */
    struct arena *arena;
};

enum smtp_opinion { SMTP_NO_OPINION, SMTP_ACCEPT, SMTP_REFUSE, SMTP_DEFER };

/* What a rule says of a recipient, or of what else is decided. A reply code of 0 stands for the
 * opinion's usual reply. */
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

enum {
    SMTP_MECHANISMS_MAX = 400, /* octets of the names of all, with blanks between */
    SMTP_MECHANISM_MAX = 20,   /* RFC 4422 3.1 */
    SMTP_USER_MAX = 255,
};

/* Who logs in. Lives outside the session, which has it only where somebody checks logins. */
struct smtp_login {
    bool going_on; /* the client's next line is a response */
    /* What SMTP_NEXT_LOGIN is about. */
    enum { SMTP_LOGIN_BEGINS, SMTP_LOGIN_GOES_ON, SMTP_LOGIN_CANCELLED } step;
    enum smtp_reply_id why; /* of SMTP_LOGIN_CANCELLED */
    struct span mechanism;
    /* Base64, until smtp_session_login: .p is NULL where there is no initial response. */
    struct span response;
    uint64_t errors;
    bool mechanisms_known;
    struct span mechanisms;   /* that are offered */
    struct span user, method; /* who has logged in, and how */
    char mechanism_room[SMTP_MECHANISM_MAX], mechanisms_room[SMTP_MECHANISMS_MAX];
    char user_room[SMTP_USER_MAX], method_room[SMTP_MECHANISM_MAX];
};

/* What a proxy says of its client (Postfix's XCLIENT). */
enum smtp_xclient_attribute {
    SMTP_XCLIENT_NAME = 1,
    SMTP_XCLIENT_ADDR = 2,
    SMTP_XCLIENT_PORT = 4,
    SMTP_XCLIENT_PROTO = 8,
    SMTP_XCLIENT_HELO = 16,
    SMTP_XCLIENT_LOGIN = 32,
    SMTP_XCLIENT_DESTADDR = 64,
    SMTP_XCLIENT_DESTPORT = 128,
    /* Each of these two says whether there is a login. */
    SMTP_XCLIENT_NEW_LOGIN = SMTP_XCLIENT_LOGIN | SMTP_XCLIENT_ADDR,
};

/* Spans are in the transaction's arena, and empty where an attribute is unavailable. The core does
 * not look at addresses and ports, nor at the name. */
struct smtp_xclient {
    unsigned given; /* enum smtp_xclient_attribute */
    struct span name, addr, port, helo, login, destaddr, destport;
    bool esmtp;
};

struct smtp_session {
    const struct smtp_options *options;
    struct text *out;
    struct smtp_transaction transaction;
    enum smtp_subject about;          /* of SMTP_NEXT_DECISION */
    struct smtp_recipient *candidate; /* the recipient, or user, that it is about */
    size_t mark;                      /* the arena before the candidate */
    /* The address that the last smtp_session_decided was about, for the log: the reverse-path with
     * SMTP_ABOUT_SENDER, else a forward-path. */
    struct span judged;
    struct smtp_recipient *reporting; /* the next one to hear its result */
    enum smtp_phase phase;
    bool esmtp;       /* greeted with EHLO: enhanced status codes */
    bool turned_away; /* 554 was in the place of 220: only QUIT is taken */
    bool utf8_reply;  /* SMTP_ABOUT_USER: the client takes UTF-8 in this reply */
    /* Set before smtp_session_line, where that is to be refused: octets behind the line were there
     * before its reply. */
    bool followed;
    bool secure;          /* the client speaks inside TLS */
    bool tls_unavailable; /* it could not be had once: nobody is asked again */
    bool authenticated;
    struct smtp_login *login;     /* set behind smtp_session_open; NULL: nobody can log in */
    struct smtp_xclient *xclient; /* the same; NULL: not of this client */
    struct smtp_chunk chunk;      /* of SMTP_NEXT_CHUNK */
    uint64_t discarded;           /* octets of chunks that were refused */
    uint64_t
        chunk_failed; /* the command that was the last one of a row of chunks behind a failure */
    uint64_t now;     /* seconds since 1970; set before each line, where future_release is not 0 */
    uint64_t commands, transactions, messages;
    uint64_t errors, refused_recipients; /* since the last message that was taken */
    char helo_room[SMTP_DOMAIN_MAX];
    struct span helo; /* empty before EHLO or HELO */
    struct smtp_said said;
};

/* A reply that was no mistake of the client's: `errors` is what was counted before it. */
static inline enum smtp_want smtp_forgive(struct smtp_session *s, uint64_t errors,
                                          enum smtp_want want)
{
    s->errors = errors;
    return want == SMTP_NEXT_PAUSE ? SMTP_NEXT_LINE : want;
}

/* Appends the reply to s->out. What comes next: a line, or the end where the reply closes. */
enum smtp_want smtp_say(struct smtp_session *s, enum smtp_reply_id id, struct span argument);
enum smtp_want smtp_say_reply(struct smtp_session *s, const struct smtp_reply *r,
                              struct span argument);
/* The same, with a text that is not ours: no '%' is looked for in it. */
enum smtp_want smtp_say_foreign(struct smtp_session *s, const struct smtp_reply *r);
/* Nothing has been said yet, and of nobody. */
static inline void smtp_begin_step(struct smtp_session *s)
{
    s->said = (struct smtp_said){0};
    s->judged = (struct span){0};
}
void smtp_forget_transaction(struct smtp_session *s);
/* RFC 3207 4.2: as after the greeting. What counts towards a limit goes on counting. */
void smtp_forget_client(struct smtp_session *s);
/* The recipient, which lives in the transaction's arena, is its last one. */
void smtp_add_recipient(struct smtp_transaction *t, struct smtp_recipient *r);
/* SMTP_NEXT_DECISION about that. */
enum smtp_want smtp_ask(struct smtp_session *s, enum smtp_subject about);

/* Who gets the message: each recipient, or those that are in its place. NULL: there are no more. */
struct smtp_recipient *smtp_first_target(const struct smtp_transaction *t);
struct smtp_recipient *smtp_next_target(const struct smtp_recipient *r);
/* One reply for the results of `first` and those behind it. All succeeded: the first one's reply;
 * all failed: the gravest, but nothing permanent while one may still succeed; some succeeded and
 * some failed: try again (smtpin.conf(5), partial). */
const struct smtp_reply *smtp_merged_result(const struct smtp_recipient *first);

#endif
