/* The trace header fields of RFC 5321 4.4, and Delivered-To: (RFC 9228): their text, from facts
 * that the caller has. */
#ifndef SMTPIN_SMTP_TRACE_H
#define SMTPIN_SMTP_TRACE_H

#include "base/text.h"

struct smtp_trace {
    struct span hostname;
    struct span helo;           /* empty: none was given */
    struct span client_name;    /* empty: not known */
    struct span client_address; /* IPv4 or IPv6 as text; empty: none, as on a pipe */
    struct span protocol;       /* smtp_session_protocol */
    struct span id;
    struct span original;  /* the recipient of RCPT, where an alias stands for it; else empty */
    struct span recipient; /* for the "for" clause and Delivered-To: empty where naming one would
                              tell it of the others (RFC 5321 7.2) */
    struct span sender;    /* the reverse-path, empty for the null one */
    /* Inside TLS: version, IANA's names of cipher and group, the host name that the client asked
     * for, the client's own name where a certificate authority vouches for it. Empty: not known. */
    struct span tls_version, tls_cipher, tls_group, tls_sni, tls_client;
    uint64_t time; /* seconds since 1970 */
    bool crlf;     /* line ends */
};

/* The name of EHLO as a word of Received: and of replies: a blank and an octet outside ASCII, which
 * SMTP_TOLERATE_HELO lets through, become =NN (hexadecimal), and a final dot goes. */
void smtp_add_helo_name(struct text *out, struct span name);
void smtp_trace_return_path(struct text *out, const struct smtp_trace *t);
/* Nothing when t->recipient is empty. */
void smtp_trace_delivered_to(struct text *out, const struct smtp_trace *t);
/* X-Original-To:, as Postfix has it. Nothing when t->original is empty. */
void smtp_trace_original_to(struct text *out, const struct smtp_trace *t);
void smtp_trace_received(struct text *out, const struct smtp_trace *t);
/* "Mon, 23 Nov 2026 19:10:00 +0000": RFC 5322 3.3, always in UTC, which costs no zone file. */
void smtp_trace_date(struct text *out, uint64_t time);

#endif
