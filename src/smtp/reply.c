#include "smtp/reply.h"

#define ROW(c, e, t) .code = (c), .enhanced = SPAN_INIT(e), .text = SPAN_INIT(t)
#define SPAN_INIT(literal)                                                                         \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

/* Each code stands in RFC 5321 4.3.2 for the command that gets it. Each enhanced code is in IANA's
 * registry (RFC 5248), beside the code that it is said with: tests/enhanced_codes.h has the list
 * and what differs from it. */
static const struct smtp_reply replies[SMTP_REPLY_COUNT] = {
    [SMTP_REPLY_GREETING] = {ROW(220, "", "% ESMTP smtpin")},
    [SMTP_REPLY_GREETING_LMTP] = {ROW(220, "", "% LMTP smtpin")},
    /* RFC 5321 3.1: 554 in the place of 220. */
    [SMTP_REPLY_EARLY_TALKER] =
        {ROW(554, "5.5.1", "% Client has not waited for the greeting; closing connection"),
         .close = true, .rule = "early_talker"},
    [SMTP_REPLY_BYE] = {ROW(221, "2.0.0", "% closing connection"), .close = true},
    [SMTP_REPLY_HELLO] = {ROW(250, "", "%")},
    [SMTP_REPLY_OK] = {ROW(250, "2.0.0", "OK")},
    [SMTP_REPLY_SENDER_OK] = {ROW(250, "2.1.0", "<%> Sender ok")},
    [SMTP_REPLY_RECIPIENT_OK] = {ROW(250, "2.1.5", "<%> Recipient ok")},
    [SMTP_REPLY_START_DATA] = {ROW(354, "", "Enter mail, end with \".\" on a line by itself")},
    [SMTP_REPLY_START_REPORT] = {ROW(353, "", "A reply for each recipient follows")},
    [SMTP_REPLY_START_TLS] = {ROW(220, "2.0.0", "Ready to start TLS")},
    [SMTP_REPLY_VRFY] = {ROW(252, "2.0.0",
                             "Cannot VRFY user, but will accept message and attempt "
                             "delivery")},
    /* RFC 6531 3.7.4.2 */
    [SMTP_REPLY_VRFY_NEEDS_UTF8] = {ROW(252, "2.6.8",
                                        "Cannot show user without SMTPUTF8, but will accept "
                                        "message and attempt delivery")},
    [SMTP_REPLY_USER] = {ROW(250, "2.1.5", "<%>"), .utf8 = true},
    [SMTP_REPLY_HELP] = {ROW(214, "2.0.0", "%")},
    [SMTP_REPLY_NO_EXPN] = {ROW(502, "5.5.0", "EXPN is not implemented")},
    /* RFC 5321 4.2.4: 502 for a command that is recognized, 500 for one that is not. */
    [SMTP_REPLY_NOT_IMPLEMENTED] = {ROW(502, "5.5.0", "% is not implemented"),
                                    .rule = "unknown_command"},
    [SMTP_REPLY_UNKNOWN_COMMAND] = {ROW(500, "5.5.1", "Command not recognized"),
                                    .rule = "unknown_command"},
    [SMTP_REPLY_PIPELINED] = {ROW(503, "5.5.1",
                                  "Next command sent before this reply; closing connection"),
                              .close = true, .rule = "unexpected_pipelining"},
    [SMTP_REPLY_BAD_BYTES] = {ROW(500, "5.5.2", "Control character in command"),
                              .rule = "control_character"},
    /* RFC 5321 4.1.2 names the code. */
    [SMTP_REPLY_BAD_BYTES_ARGUMENT] = {ROW(501, "5.5.2", "Control character in command"),
                                       .rule = "control_character"},
    [SMTP_REPLY_LINE_TOO_LONG] = {ROW(500, "5.5.2", "Line too long"), .rule = "line_too_long"},
    [SMTP_REPLY_BARE_LF] = {ROW(500, "5.5.2", "Bare LF; lines end with CRLF"), .close = true,
                            .rule = "bare_lf"},
    [SMTP_REPLY_BARE_CR] = {ROW(500, "5.5.2", "Bare CR; lines end with CRLF"), .close = true,
                            .rule = "bare_cr"},
    [SMTP_REPLY_FOREIGN] = {ROW(421, "4.7.0", "% This is an SMTP server; closing connection"),
                            .close = true, .rule = "not_smtp"},
    [SMTP_REPLY_NO_ARGUMENT] = {ROW(501, "5.5.4", "% takes no argument"), .rule = "syntax"},
    [SMTP_REPLY_WANTS_ARGUMENT] = {ROW(501, "5.5.4", "Syntax: %"), .rule = "syntax"},
    [SMTP_REPLY_BAD_NAME] = {ROW(501, "5.5.4", "% wants a domain or an address literal"),
                             .rule = "syntax"},
    [SMTP_REPLY_HELO_IS_US] = {ROW(550, "5.7.1",
                                   "The name after EHLO or HELO is this server's own"),
                               .rule = "helo_is_us"},
    [SMTP_REPLY_HELO_BARE_NAME] = {ROW(550, "5.7.1", "The name after EHLO or HELO has no domain"),
                                   .rule = "helo_bare_name"},
    [SMTP_REPLY_BAD_REVERSE_PATH] = {ROW(501, "5.1.7", "Bad sender address syntax"),
                                     .rule = "syntax"},
    [SMTP_REPLY_BAD_FORWARD_PATH] = {ROW(501, "5.1.3", "Bad recipient address syntax"),
                                     .rule = "syntax"},
    [SMTP_REPLY_LONG_REVERSE_PATH] = {ROW(501, "5.1.7", "Sender address too long"),
                                      .rule = "path_too_long"},
    [SMTP_REPLY_LONG_FORWARD_PATH] = {ROW(501, "5.1.3", "Recipient address too long"),
                                      .rule = "path_too_long"},
    /* RFC 6531 3.5: 550 for MAIL, 553 for RCPT. */
    [SMTP_REPLY_SENDER_NEEDS_UTF8] = {ROW(550, "5.6.7", "Sender address needs SMTPUTF8"),
                                      .rule = "smtputf8_needed"},
    [SMTP_REPLY_RECIPIENT_NEEDS_UTF8] = {ROW(553, "5.6.7", "Recipient address needs SMTPUTF8"),
                                         .rule = "smtputf8_needed"},
    [SMTP_REPLY_BAD_PARAMETERS] = {ROW(501, "5.5.4", "Bad parameter"), .rule = "syntax"},
    [SMTP_REPLY_UNKNOWN_PARAMETER] = {ROW(555, "5.5.4", "Parameter not recognized"),
                                      .rule = "unknown_parameter"},
    /* RFC 5321 4.3.2: VRFY and EXPN know no 555. */
    [SMTP_REPLY_NO_SUCH_PARAMETER] = {ROW(504, "5.5.4", "Parameter not implemented"),
                                      .rule = "unknown_parameter"},
    [SMTP_REPLY_HELLO_FIRST] = {ROW(503, "5.5.1", "EHLO or HELO first"), .rule = "helo_required"},
    /* RFC 5321 3.1, after 554 in the place of the greeting */
    [SMTP_REPLY_TURNED_AWAY] = {ROW(503, "5.5.1", "No mail is taken here; QUIT"),
                                .rule = "turned_away"},
    /* RFC 4954 6 names these codes. */
    [SMTP_REPLY_LOGIN] = {ROW(235, "2.7.0", "Authentication succeeded")},
    [SMTP_REPLY_LOGIN_FIRST] = {ROW(530, "5.7.0", "Authentication required"),
                                .rule = "auth_required"},
    [SMTP_REPLY_LOGIN_TWICE] = {ROW(503, "5.5.1", "Already authenticated"), .rule = "sequence"},
    [SMTP_REPLY_LOGIN_NEEDS_TLS] = {ROW(538, "5.7.11", "Authentication needs TLS"),
                                    .rule = "auth_needs_tls"},
    [SMTP_REPLY_LOGIN_CANCELLED] = {ROW(501, "5.7.0", "Authentication cancelled"),
                                    .rule = "auth_cancelled"},
    [SMTP_REPLY_LOGIN_MALFORMED] = {ROW(501, "5.5.2", "Not the base64 of a response"),
                                    .rule = "auth_syntax"},
    [SMTP_REPLY_LOGIN_TOO_LONG] = {ROW(500, "5.5.6", "Authentication line too long"),
                                   .rule = "auth_syntax"},
    [SMTP_REPLY_LOGIN_MECHANISM] = {ROW(504, "5.5.4", "Authentication mechanism not offered"),
                                    .rule = "auth_mechanism"},
    [SMTP_REPLY_LOGIN_WRONG] = {ROW(535, "5.7.8", "Authentication failed"), .rule = "auth"},
    [SMTP_REPLY_LOGIN_LATER] = {ROW(454, "4.7.0", "Authentication is not available now"),
                                .rule = "auth_unavailable"},
    [SMTP_REPLY_TOO_MANY_LOGINS] = {ROW(421, "4.7.0",
                                        "% Too many failed logins; closing connection"),
                                    .close = true, .rule = "max_auth_errors"},
    /* RFC 3207 4 names the codes 530 and 454, RFC 3463 3.8 what goes with them. */
    [SMTP_REPLY_TLS_FIRST] = {ROW(530, "5.7.0", "Must issue a STARTTLS command first"),
                              .rule = "tls_required"},
    [SMTP_REPLY_TLS_TWICE] = {ROW(503, "5.5.1", "TLS is active already"), .rule = "sequence"},
    [SMTP_REPLY_TLS_UNAVAILABLE] = {ROW(454, "4.7.0", "TLS is not available now"),
                                    .rule = "tls_unavailable"},
    [SMTP_REPLY_TLS_NOT_ALONE] = {ROW(554, "5.5.0", "Text behind STARTTLS; closing connection"),
                                  .close = true, .rule = "starttls_not_alone"},
    [SMTP_REPLY_IN_TRANSACTION] = {ROW(503, "5.5.1", "Not in the middle of a transaction"),
                                   .rule = "sequence"},
    [SMTP_REPLY_MAIL_TWICE] = {ROW(503, "5.5.1", "Sender already specified"), .rule = "sequence"},
    [SMTP_REPLY_MAIL_FIRST] = {ROW(503, "5.5.1", "MAIL first"), .rule = "sequence"},
    [SMTP_REPLY_RCPT_FIRST] = {ROW(503, "5.5.1", "RCPT first"), .rule = "sequence"},
    /* RFC 3030 2 and 3 name the code. */
    [SMTP_REPLY_IN_CHUNKS] = {ROW(503, "5.5.1", "The message has begun with BDAT"),
                              .rule = "sequence"},
    [SMTP_REPLY_BDAT_FIRST] = {ROW(503, "5.5.1", "BODY=BINARYMIME needs BDAT"), .rule = "sequence"},
    [SMTP_REPLY_NO_BDAT] = {ROW(502, "5.5.0", "BDAT is not implemented"),
                            .rule = "unknown_command"},
    /* How many octets are no commands can't be known. */
    [SMTP_REPLY_BAD_CHUNK] = {ROW(501, "5.5.4", "Syntax: %; closing connection"), .close = true,
                              .rule = "bdat_syntax"},
    [SMTP_REPLY_MUCH_DISCARDED] = {ROW(552, "5.3.4", "Too many octets refused; closing connection"),
                                   .close = true, .rule = "max_discarded_size"},
    [SMTP_REPLY_NO_VALID_RECIPIENTS] = {ROW(554, "5.5.1", "No valid recipients"),
                                        .rule = "sequence"},
    [SMTP_REPLY_TOO_MANY_RECIPIENTS] = {ROW(452, "4.5.3", "Too many recipients"),
                                        .rule = "max_recipients"},
    [SMTP_REPLY_ONE_RECIPIENT] = {ROW(452, "4.5.3", "One recipient a message, please"),
                                  .rule = "partial"},
    [SMTP_REPLY_REFUSED_LATER] = {ROW(452, "4.5.3", "Too many refused recipients"),
                                  .rule = "max_refused_recipients"},
    [SMTP_REPLY_NO_MEMORY] = {ROW(452, "4.3.1", "Insufficient memory for this transaction"),
                              .rule = "transaction_memory"},
    [SMTP_REPLY_TOO_LARGE] = {ROW(552, "5.3.4", "Message too large"), .rule = "max_message_size"},
    [SMTP_REPLY_DATA_LOOP] = {ROW(554, "5.4.6", "Too many hops"), .rule = "max_received"},
    [SMTP_REPLY_DATA_BARE_LF] = {ROW(554, "5.6.0", "Bare LF in message; lines end with CRLF"),
                                 .close = true, .rule = "bare_lf"},
    [SMTP_REPLY_DATA_BARE_CR] = {ROW(554, "5.6.0", "Bare CR in message; lines end with CRLF"),
                                 .close = true, .rule = "bare_cr"},
    [SMTP_REPLY_DATA_LONG_LINE] = {ROW(554, "5.6.0", "Text line too long"),
                                   .rule = "max_text_line"},
    [SMTP_REPLY_DATA_HEADER_END] = {ROW(554, "5.6.0", "Header ends with a line that is no field"),
                                    .rule = "header_end"},
    /* RFC 6409 8, RFC 5322 3.6. */
    [SMTP_REPLY_NO_AUTHOR] = {ROW(554, "5.6.0", "Message has no From: field"),
                              .rule = "require_from"},
    [SMTP_REPLY_NO_SPOOL] = {ROW(452, "4.3.1", "Insufficient system storage"), .rule = "spool"},
    [SMTP_REPLY_REFUSED] = {ROW(550, "5.7.1", "Access denied"), .rule = "refused"},
    [SMTP_REPLY_DEFERRED] = {ROW(450, "4.7.0", "Try again later"), .rule = "deferred"},
    /* A table that can't be read, a value in it that is none. */
    [SMTP_REPLY_NO_LOOKUP] = {ROW(451, "4.3.0", "Address can't be looked up"), .rule = "lookup"},
    [SMTP_REPLY_DELIVERY_FAILED] = {ROW(451, "4.3.0", "Delivery failed, try again later"),
                                    .rule = "delivery"},
    [SMTP_REPLY_DELIVERED_BEFORE] = {ROW(554, "5.4.6", "Delivered here before: a loop"),
                                     .rule = "delivered_to"},
    [SMTP_REPLY_TOO_MANY_ERRORS] = {ROW(421, "4.7.0", "% Too many errors; closing connection"),
                                    .close = true, .rule = "max_errors"},
    [SMTP_REPLY_TOO_MANY_REFUSED] = {ROW(421, "4.7.0",
                                         "% Too many refused recipients; closing connection"),
                                     .close = true, .rule = "max_refused_recipients"},
    [SMTP_REPLY_TOO_MANY_COMMANDS] = {ROW(421, "4.7.0", "% Too many commands; closing connection"),
                                      .close = true, .rule = "max_commands"},
    [SMTP_REPLY_TOO_MANY_TRANSACTIONS] = {ROW(421, "4.7.0",
                                              "% Too many transactions; closing connection"),
                                          .close = true, .rule = "max_transactions"},
    [SMTP_REPLY_TIMEOUT] = {ROW(421, "4.4.2", "% Timeout; closing connection"), .close = true,
                            .rule = "timeout"},
    [SMTP_REPLY_TOO_SLOW] = {ROW(421, "4.4.2", "% Message comes too slowly; closing connection"),
                             .close = true, .rule = "min_data_rate"},
    [SMTP_REPLY_SESSION_OVER] = {ROW(421, "4.4.2", "% Session too long; closing connection"),
                                 .close = true, .rule = "session_timeout"},
    [SMTP_REPLY_UNAVAILABLE] = {ROW(421, "4.3.0", "% Service not available; closing connection"),
                                .close = true, .rule = "unavailable"},
    [SMTP_REPLY_SHUTDOWN] = {ROW(421, "4.3.2", "% Service shutting down; closing connection"),
                             .close = true, .rule = "shutdown"},
    [SMTP_REPLY_TOO_MANY_CONNECTIONS] = {ROW(421, "4.3.2", "% Too many connections, try later"),
                                         .close = true, .rule = "max_connections"},
    [SMTP_REPLY_PENALTY] = {ROW(421, "4.7.0", "% Too many offences from your network, try later"),
                            .close = true, .rule = "penalty"},
    [SMTP_REPLY_TOO_MANY_OF_SOURCE] = {ROW(421, "4.7.0",
                                           "% Too many connections from your network, try later"),
                                       .close = true, .rule = "max_connections_per_source"},
};

const struct smtp_reply *smtp_reply(enum smtp_reply_id id)
{
    return &replies[id];
}

static void clean(char *p, size_t n, bool utf8)
{
    if (span_is_printable((struct span){.p = p, .n = n}))
        return;
    for (size_t i = 0; i < n; i++) {
        if (byte_is_control(p[i]))
            p[i] = ' ';
        else if (byte_is_high(p[i]) && !utf8)
            p[i] = '?';
    }
}

void smtp_reply_line(struct text *out, const struct smtp_reply *r, bool last, bool enhanced,
                     struct span argument)
{
    /* Straight into its place: the line alone may be cut, its end not. */
    struct text line = {.p = out->p + out->n, .cap = SMTP_REPLY_LINE_MAX - 2};
    const size_t place = span_find(r->text, '%');

    if (out->cap - out->n < SMTP_REPLY_LINE_MAX) {
        out->cut = true;
        return;
    }
    line.p[0] = (char)('0' + r->code / 100);
    line.p[1] = (char)('0' + r->code / 10 % 10);
    line.p[2] = (char)('0' + r->code % 10);
    line.p[3] = last ? ' ' : '-';
    line.n = 4;
    if (enhanced && r->enhanced.n > 0) {
        text_add(&line, r->enhanced);
        text_addc(&line, ' ');
    }
    text_add(&line, span_first(r->text, place));
    if (place < r->text.n) {
        const size_t start = line.n;

        text_add(&line, argument);
        clean(line.p + start, line.n - start, r->utf8); /* the rest is our own */
        text_add(&line, span_from(r->text, place + 1));
    }
    line.p[line.n] = '\r';
    line.p[line.n + 1] = '\n';
    out->n += line.n + 2;
}
