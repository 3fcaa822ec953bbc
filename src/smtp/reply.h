/* Replies: named data in one table, formatted in one place (RFC 5321 4.2, RFC 2034, RFC 3463).
 * Which one a client hears is not decided here. */
#ifndef SMTPIN_SMTP_REPLY_H
#define SMTPIN_SMTP_REPLY_H

#include "base/text.h"

enum {
    SMTP_REPLY_LINE_MAX = 512, /* RFC 5321 4.5.3.1.5, with the CRLF */
    /* What one call of the session writes at the most: the reply to EHLO is the longest. */
    SMTP_REPLY_MAX = 4 * SMTP_REPLY_LINE_MAX,
};

enum smtp_reply_id {
    SMTP_REPLY_GREETING,
    SMTP_REPLY_GREETING_LMTP,
    SMTP_REPLY_EARLY_TALKER,
    SMTP_REPLY_BYE,
    SMTP_REPLY_HELLO,
    SMTP_REPLY_OK,
    SMTP_REPLY_SENDER_OK,
    SMTP_REPLY_RECIPIENT_OK,
    SMTP_REPLY_START_DATA,
    SMTP_REPLY_START_REPORT,
    SMTP_REPLY_START_TLS,
    SMTP_REPLY_VRFY,
    SMTP_REPLY_VRFY_NEEDS_UTF8,
    SMTP_REPLY_USER,
    SMTP_REPLY_HELP,
    SMTP_REPLY_NO_EXPN,
    SMTP_REPLY_NOT_IMPLEMENTED,
    SMTP_REPLY_UNKNOWN_COMMAND,
    SMTP_REPLY_PIPELINED,
    SMTP_REPLY_BAD_BYTES,
    SMTP_REPLY_BAD_BYTES_ARGUMENT,
    SMTP_REPLY_LINE_TOO_LONG,
    SMTP_REPLY_BARE_LF,
    SMTP_REPLY_BARE_CR,
    SMTP_REPLY_FOREIGN,
    SMTP_REPLY_NO_ARGUMENT,
    SMTP_REPLY_WANTS_ARGUMENT,
    SMTP_REPLY_BAD_NAME,
    SMTP_REPLY_HELO_IS_US,
    SMTP_REPLY_HELO_BARE_NAME,
    SMTP_REPLY_BAD_REVERSE_PATH,
    SMTP_REPLY_BAD_FORWARD_PATH,
    SMTP_REPLY_LONG_REVERSE_PATH,
    SMTP_REPLY_LONG_FORWARD_PATH,
    SMTP_REPLY_SENDER_NEEDS_UTF8,
    SMTP_REPLY_RECIPIENT_NEEDS_UTF8,
    SMTP_REPLY_BAD_PARAMETERS,
    SMTP_REPLY_UNKNOWN_PARAMETER,
    SMTP_REPLY_NO_SUCH_PARAMETER,
    SMTP_REPLY_HELLO_FIRST,
    SMTP_REPLY_TURNED_AWAY,
    SMTP_REPLY_LOGIN,
    SMTP_REPLY_LOGIN_FIRST,
    SMTP_REPLY_LOGIN_TWICE,
    SMTP_REPLY_LOGIN_NEEDS_TLS,
    SMTP_REPLY_LOGIN_CANCELLED,
    SMTP_REPLY_LOGIN_MALFORMED,
    SMTP_REPLY_LOGIN_TOO_LONG,
    SMTP_REPLY_LOGIN_MECHANISM,
    SMTP_REPLY_LOGIN_WRONG,
    SMTP_REPLY_LOGIN_LATER,
    SMTP_REPLY_TOO_MANY_LOGINS,
    SMTP_REPLY_TLS_FIRST,
    SMTP_REPLY_TLS_TWICE,
    SMTP_REPLY_TLS_UNAVAILABLE,
    SMTP_REPLY_TLS_NOT_ALONE,
    SMTP_REPLY_IN_TRANSACTION,
    SMTP_REPLY_MAIL_TWICE,
    SMTP_REPLY_MAIL_FIRST,
    SMTP_REPLY_RCPT_FIRST,
    SMTP_REPLY_IN_CHUNKS,
    SMTP_REPLY_BDAT_FIRST,
    SMTP_REPLY_NO_BDAT,
    SMTP_REPLY_BAD_CHUNK,
    SMTP_REPLY_MUCH_DISCARDED,
    SMTP_REPLY_NO_VALID_RECIPIENTS,
    SMTP_REPLY_TOO_MANY_RECIPIENTS,
    SMTP_REPLY_ONE_RECIPIENT,
    SMTP_REPLY_REFUSED_LATER,
    SMTP_REPLY_NO_MEMORY,
    SMTP_REPLY_TOO_LARGE,
    SMTP_REPLY_DATA_LOOP,
    SMTP_REPLY_DATA_BARE_LF,
    SMTP_REPLY_DATA_BARE_CR,
    SMTP_REPLY_DATA_LONG_LINE,
    SMTP_REPLY_DATA_HEADER_END,
    SMTP_REPLY_NO_AUTHOR,
    SMTP_REPLY_NO_SPOOL,
    SMTP_REPLY_REFUSED,
    SMTP_REPLY_DEFERRED,
    SMTP_REPLY_NO_LOOKUP,
    SMTP_REPLY_DELIVERY_FAILED,
    SMTP_REPLY_DELIVERED_BEFORE,
    SMTP_REPLY_TOO_MANY_ERRORS,
    SMTP_REPLY_TOO_MANY_REFUSED,
    SMTP_REPLY_TOO_MANY_COMMANDS,
    SMTP_REPLY_TOO_MANY_TRANSACTIONS,
    SMTP_REPLY_TIMEOUT,
    SMTP_REPLY_TOO_SLOW,
    SMTP_REPLY_SESSION_OVER,
    SMTP_REPLY_UNAVAILABLE,
    SMTP_REPLY_SHUTDOWN,
    SMTP_REPLY_TOO_MANY_CONNECTIONS,
    SMTP_REPLY_TOO_MANY_OF_SOURCE,
    SMTP_REPLY_PENALTY,
    SMTP_REPLY_COUNT
};

struct smtp_reply {
    unsigned code;
    bool close;           /* the connection ends after it */
    bool utf8;            /* the argument may be UTF-8 on the wire: said with SMTPUTF8 alone */
    struct span enhanced; /* "5.1.1"; empty where none belongs (RFC 2034 4: not with 3yz) */
    struct span text;     /* '%' stands for the argument */
    const char *rule;     /* the name that the log gives to this refusal; NULL: no refusal */
};

const struct smtp_reply *smtp_reply(enum smtp_reply_id id);

/* Appends one line of a reply: code, ' ' or '-', enhanced code, text with '%' replaced, CRLF. Cut
 * to SMTP_REPLY_LINE_MAX; control bytes become spaces, so nothing can break the syntax. Octets
 * outside ASCII become '?', but for r->utf8 (RFC 6531 3.7.4.2: other replies have none). */
void smtp_reply_line(struct text *out, const struct smtp_reply *r, bool last, bool enhanced,
                     struct span argument);

#endif
