/* Command lines out of a byte stream, strictly: only CRLF ends a line (RFC 5321 2.3.8). Holds no
 * bytes of its own: the caller keeps what has not been used and offers it again. */
#ifndef SMTPIN_SMTP_LINE_H
#define SMTPIN_SMTP_LINE_H

#include "base/span.h"

enum {
    /* RFC 5321 4.5.3.1.4 asks for 512 octets with the CRLF, more with each extension; this holds
     * any mailbox that path.h accepts with every parameter that param.c knows. */
    SMTP_LINE_MAX = 2048,
    /* RFC 4954 4: a challenge, or a response, without the CRLF. */
    SMTP_AUTH_LINE_MAX = 12288,
};

enum smtp_line_result {
    SMTP_LINE_MORE,     /* no whole line yet; *used bytes may be dropped */
    SMTP_LINE_READY,    /* *line is the line without its CRLF */
    SMTP_LINE_TOO_LONG, /* a line of more than `most` octets has ended */
    SMTP_LINE_BARE_LF,
    SMTP_LINE_BARE_CR,
    SMTP_LINE_LONG_CHUNK, /* too long, and BDAT: how many octets behind it are no lines, is lost */
};

struct smtp_line {
    size_t most;     /* octets with the CRLF; 0: SMTP_LINE_MAX */
    bool discarding; /* within a line that is too long already */
    bool chunk;      /* which begins with BDAT */
};

/* Looks for one line at the start of `in`, which holds all unused bytes. *used is what is done
 * with, up to the byte that shows a bare CR or LF; nothing behind it can be trusted. */
enum smtp_line_result smtp_line_scan(struct smtp_line *l, struct span in, struct span *line,
                                     size_t *used);

/* Talk of another protocol: an HTTP request that a web page or a forged link sends to our port, or
 * a TLS record. Whatever follows is not SMTP either, so the first such line ends the session. */
bool smtp_line_is_foreign(struct span line);

#endif
