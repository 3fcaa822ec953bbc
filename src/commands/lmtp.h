/* The parts of smtpin-lmtp: envelope (lmtp-envelope.c), the client's parameters (lmtp-extra.c),
 * message (lmtp-message.c), connection (lmtp-wire.c), conversation (lmtp-talk.c), and what is
 * printed (lmtp-answer.c). smtpin itself has none of them. */
#ifndef SMTPIN_COMMANDS_LMTP_H
#define SMTPIN_COMMANDS_LMTP_H

#include "io/wire.h"
#include "smtp/line.h"
#include "syntax/idn.h"

#include <stdint.h>

enum {
    LMTP_REPLY_MAX = 512, /* of a reply's last line; the rest of a longer one is dropped */
    LMTP_USAGE = 64,
    LMTP_TEMPORARY = 75,
};

/* A server's reply, or one of our own. */
struct lmtp_reply {
    unsigned code;             /* 0: none yet */
    bool after_data;           /* it answers the message, not RCPT */
    char line[LMTP_REPLY_MAX]; /* the last line, with its code, terminated */
};

/* What a message can't do without, and a server has not. */
enum lmtp_lack {
    LMTP_LACKS_NOTHING,
    LMTP_LACKS_SMTPUTF8,
    LMTP_LACKS_DELIVERBY,
    LMTP_LACKS_BINARYMIME,
};

/* Can the message go to a server without SMTPUTF8? */
enum lmtp_plain {
    LMTP_PLAIN_YES,    /* with the A-labels of its domains */
    LMTP_PLAIN_LATER,  /* there is no libidn2 to make A-labels */
    LMTP_PLAIN_HEADER, /* the header is not ASCII: a message, and nobody's address, can't go */
    LMTP_PLAIN_NEVER,  /* a local-part is not ASCII */
};

struct lmtp_address {
    const char *given;
    char *ascii; /* with its domain as A-labels, from malloc; NULL: has none, or `given` is ASCII */
    struct span notify, orcpt; /* of a recipient: see lmtp_read_extras */
};

/* What is to be delivered. */
struct lmtp_mail {
    bool smtp;        /* EHLO, and one reply for all */
    uint64_t timeout; /* for each answer, milliseconds */
    const char *helo;
    struct lmtp_address sender, *recipient;
    size_t n;
    bool binary; /* it is BODY=BINARYMIME, and has no lines */
    bool high;   /* the content has octets outside ASCII */
    bool utf8;   /* SMTPUTF8 is needed (RFC 6531 3.4) */
    enum lmtp_plain plain;
    struct idn idn;                       /* questions about domains */
    struct span ret, envid, priority, by; /* see lmtp_read_extras */
};

/* One connection. */
struct lmtp_session {
    const struct lmtp_mail *mail;
    struct wire wire;
    struct smtp_line line;
    char in[16384], out[65536];
    /* What the server announces. */
    bool pipelining, eight_bit, chunking, binarymime, utf8, dsn, mt_priority, deliver_by;
    enum lmtp_lack lack;
    bool sent; /* the end-of-data has been written, or may have been */
    bool over; /* no QUIT: the server has gone, or is going */
};

/* Reads an address as it stands on the command line into *a; the sender may be empty (the null
 * reverse-path) and may have an underscore in its domain. What it means for a server without
 * SMTPUTF8 goes into *mail. False: it is no address, or there is no memory. */
bool lmtp_read_address(struct lmtp_mail *mail, struct lmtp_address *a, const char *given,
                       bool is_sender);

/* Reads the parameters of MAIL and RCPT that the client has sent, as smtpin(8) sets them in the
 * environment (smtpin-delivery(7)), which keeps them. The recipients are there. One that is no
 * value is said on standard error and is not there: an empty span, as for one that is not set. */
void lmtp_read_extras(struct lmtp_mail *mail);
/* May the message only go to an SMTP server with DELIVERBY (RFC 2852, by-mode R)? An LMTP server
 * has delivered it when it says 250. */
bool lmtp_must_be_in_time(const struct lmtp_mail *mail);
/* Sends those that the server announces, of MAIL and of one RCPT, each with a space before it.
 * False: see lmtp_put. */
bool lmtp_put_extras(struct lmtp_session *s);
bool lmtp_put_recipient_extras(struct lmtp_session *s, const struct lmtp_address *a);

/* Looks through the message on descriptor 0, from its start. *high: it has octets outside ASCII;
 * *header_high: its header has, but for the trace fields at its top. False and errno: it could not
 * be read. */
bool lmtp_look(bool *high, bool *header_high);
/* Sends the message on descriptor 0, from its start, up to the last line end; not the final dot.
 * False: it could not be read, or the connection failed. */
bool lmtp_send_message(struct lmtp_session *s);
/* Sends it as the one chunk that there is (BDAT), each octet as it is. */
bool lmtp_send_chunk(struct lmtp_session *s);

/* The session of a connected descriptor that does not block; it is not closed here. */
void lmtp_open(struct lmtp_session *s, const struct lmtp_mail *mail, int fd);
/* Sends, or keeps to be sent. False: the connection failed, or the time is over. */
bool lmtp_put(struct lmtp_session *s, struct span bytes);
bool lmtp_puts(struct lmtp_session *s, const char *text);
bool lmtp_flush(struct lmtp_session *s);
/* The whole next reply into *r; `is_hello`: its lines tell what the server announces. False: the
 * server has gone, is late, or sends what is no reply. */
bool lmtp_read_reply(struct lmtp_session *s, struct lmtp_reply *r, bool is_hello);
/* Has the server said nothing that nobody has asked for? One reply too many, and every later one
 * would be taken for another's. */
bool lmtp_in_step(const struct lmtp_session *s);
/* The same once the last reply is there. A 421 may come at any time (RFC 5321 3.8), also cut short:
 * for the rest of a line that may be one, it waits for two seconds. */
bool lmtp_ended_in_step(struct lmtp_session *s);
/* QUIT, and two seconds for its answer, which changes nothing: in a process of its own, since this
 * one has said all and is waited for. Not to be used for anything else afterwards. */
void lmtp_quit(struct lmtp_session *s);

/* The whole conversation up to the last result; result[] has room for every recipient. True: each
 * has its result. False: nothing has happened, the next server may be tried. */
bool lmtp_talk(struct lmtp_session *s, struct lmtp_reply *result);
/* 2yz. */
bool lmtp_is_good(const struct lmtp_reply *r);
/* Makes *r a reply of our own: `line` begins with the code. */
void lmtp_say(struct lmtp_reply *r, const char *line);

/* What becomes of what is printed: SMTPIN_REPLIES (smtpin-delivery(7)). */
enum lmtp_lines {
    LMTP_LINES_UNKNOWN, /* it is not set: by hand, or the environment was cleaned on the way */
    LMTP_LINES_ONE,     /* one line and the exit status are for all */
    LMTP_LINES_READ,    /* a line for each recipient is read */
};

/* Prints a line for each recipient, or the one that fits them all, and flushes it; n > 0. The exit
 * status that goes with it. Where lines are not known to be read, none of them, and no status, is
 * permanent unless all were refused, and the status is 0 only when all have the message. */
int lmtp_answer(const struct lmtp_reply *result, size_t n, enum lmtp_lines lines);

#endif
