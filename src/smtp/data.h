/* The message after DATA or BDAT: dot-unstuffing, line ends, size, hops (RFC 5321 4.5.2, 6.3;
 * RFC 3030). A byte machine: any division of the input gives the same output and the same verdict.
 * It keeps no octet of the message. */
#ifndef SMTPIN_SMTP_DATA_H
#define SMTPIN_SMTP_DATA_H

#include "base/span.h"

#include <stdint.h>

enum smtp_data_fault {
    SMTP_DATA_FINE,
    SMTP_DATA_TOO_LARGE,
    SMTP_DATA_LOOP,      /* more than max_received Received: fields */
    SMTP_DATA_LONG_LINE, /* a text line of more than max_line octets */
    SMTP_DATA_NO_SPOOL,  /* set by the caller, who could not store it */
    SMTP_DATA_BARE_LF,   /* after DATA, these two end the message at once: smtp_data_is_over */
    SMTP_DATA_BARE_CR,
};

struct smtp_data {
    /* Set by the caller before the first byte. */
    uint64_t max_size;     /* octets, counted as RFC 1870 5 does: with CRLF, without stuffed dots */
    uint64_t max_line;     /* octets in a text line with its CRLF */
    uint64_t max_received; /* Received: fields */
    bool crlf;             /* keep CRLF in the output; else LF */
    bool normalize;        /* a bare CR or LF is a line end of the message, and never a part of its
                              end; else it is a fault */
    bool chunked;          /* BDAT: no dot is special, and smtp_data_finish ends the message */
    bool exact;            /* BINARYMIME, with `chunked`: each octet is kept as it is */

    /* Results. */
    enum smtp_data_fault fault; /* the first one found; from then on nothing is put out */
    bool ended;                 /* CRLF.CRLF has come */
    uint64_t size;              /* octets so far, counted as above */

    /* The machine's own. */
    unsigned char state;
    bool in_body;     /* the empty line that ends the header has come */
    unsigned matched; /* bytes of "Received:" at the start of this line */
    uint64_t received;
    uint64_t line;  /* octets of this line so far */
    uint64_t lines; /* that have ended */
};

/* Takes bytes off *in and writes message bytes to out, which has room for `room` of them (at
 * least 2); returns how many were written. Stops at the end-of-data, at a bare CR or LF, when
 * *in is empty or when out may be full. Bytes after the end-of-data stay in *in: they are the next
 * command (RFC 2920 3.1). */
size_t smtp_data_decode(struct smtp_data *d, struct span *in, char *out, size_t room);

/* Is what comes put out as it is? Nothing needs to look at the body of an exact message:
 * smtp_data_pass counts its octets in the place of smtp_data_decode. */
bool smtp_data_passes(const struct smtp_data *d);
void smtp_data_pass(struct smtp_data *d, size_t n);

/* The last chunk has been decoded: the message has ended. Writes at most 2 bytes to out and returns
 * how many: a last line without its end gets one, unless the message is `exact`. */
size_t smtp_data_finish(struct smtp_data *d, char *out);

/* No more bytes belong to this message: it has ended, or a bare CR or LF has left it without an
 * end that both sides would agree on. (Chunks have their ends by their sizes.) */
bool smtp_data_is_over(const struct smtp_data *d);

#endif
