/* The header of a message, as far as a receiver looks at it: where it begins, whether it ends as it
 * should (RFC 5322 2.1, 2.2), and Delivered-To: fields of our own (RFC 9228). It is looked at, and
 * not changed. */
#ifndef SMTPIN_SMTP_HEADER_H
#define SMTPIN_SMTP_HEADER_H

#include "base/arena.h"

enum smtp_start {
    SMTP_START_MORE,   /* more octets are needed to tell */
    SMTP_START_HEADER, /* a field, the empty line of a message without any, or no octet at all */
    SMTP_START_TEXT,   /* text: it has no header, or a first line that goes on with another */
};

enum {
    SMTP_FIELD_NAME_MAX = 998, /* a line has no more octets (RFC 5322 2.1.1) */
    SMTP_OWN_MAX = 100,        /* Delivered-To: fields of our own that are kept */
};

/* What a message that begins with `bytes` begins with; `whole`: there are no more. Line ends are LF
 * or CRLF. At most 2 * SMTP_FIELD_NAME_MAX + 8 octets are needed to tell. The mark of an mbox
 * file ("From " or ">From ") before a field is taken for a part of the header, as it always was. */
enum smtp_start smtp_header_start(struct span bytes, bool whole);

struct smtp_header {
    bool none;   /* there is none: the first line is no field */
    bool broken; /* it ends with a line that is no field, and no empty line is between */
    struct span delivered_to[SMTP_OWN_MAX]; /* the values of those that count */
    size_t n;
};

/* The octets of an mbox file's mark, with its line end, where a message begins with one and a field
 * follows; else 0. */
size_t smtp_header_mark(struct span bytes);
/* The next field of a header that *bytes begins with: whole, with the lines that it goes on in and
 * their ends. *bytes is what follows. False: there is none, and *bytes begins with the empty line,
 * or with text. */
bool smtp_header_next(struct span *bytes, struct span *field);
/* Has the field that name (in small letters or capitals, and blanks may follow it)? */
bool smtp_header_is(struct span field, struct span name);

/* Reads the header at the start of `bytes`, which may be cut behind it. A Delivered-To: counts when
 * the next Received: below it was written by smtpin on `hostname`; with an empty `hostname` each
 * counts. Spans are in `bytes`. */
void smtp_header_read(struct smtp_header *h, struct span bytes, struct span hostname);
/* Is the address among those? */
bool smtp_header_has(const struct smtp_header *h, struct span address);

#endif
