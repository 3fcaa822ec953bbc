/* What the parts of the reader of transcripts share (read.c, read_reply.c, read_delivery.c): the
 * file's lines, and how they are written. Which kinds of lines there are it does not know. */
#ifndef SMTPIN_REPLAY_READER_H
#define SMTPIN_REPLAY_READER_H

#include "base/text.h"
#include "commands/replay/transcript.h"

struct reader {
    struct transcript *t;
    struct arena *a;
    struct span left; /* of the file */
    unsigned line;
    const char *wrong; /* what is wrong in that line; NULL: nothing */
    bool trust;        /* settings may name programs, users and files */
    bool in_delivery;  /* the last line was a D: line: the next one belongs to the same run */
    bool in_reply;     /* the last line was an S: or S| line: an S| line may follow */
    struct accepted *last_accepted; /* what it said */
    bool missing;                   /* a run has been told of whose program is missing */
    struct told *asked[TOLD_KINDS]; /* a check or a question that has no answer yet */
    /* read_tls.h */
    char sent_room[32];
    struct text sent;          /* the client's last line, or its beginning */
    bool in_sent_line;         /* which has no end yet */
    bool starttls;             /* it is STARTTLS, and */
    struct step *starttls_end; /* the last that is expected of its reply; NULL: nothing yet */
};

void reader_too_large(struct reader *r);
/* The next line, without LF or CRLF. */
struct span reader_line(struct reader *r);
/* \r \n \t \\ and \xNN become bytes; then `end`. */
struct span reader_unescape(struct reader *r, struct span s, const char *end);
/* The lines up to `end` alone, each with `eol`. */
struct span reader_block(struct reader *r, struct span end, const char *eol);
/* A further step; NULL: r->wrong says why not. */
struct step *reader_step(struct reader *r, enum step_kind kind);

#endif
