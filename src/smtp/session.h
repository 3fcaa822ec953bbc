/* The SMTP session, without I/O: no system call, no clock, no environment, no log, no malloc.
 *
 * Each call tells the session what has happened and returns what it wants next; a shell (serve.c,
 * a test, a fuzzer) does that one thing and answers with the next call. Replies are appended to
 * `out`, which the shell empties: before each call there must be room for SMTP_REPLY_MAX bytes.
 *
 * Two lifetimes: the session, and within it one transaction at a time, whose memory is the arena
 * and goes with it. (A transaction's bytes stay readable until the call after the one that ended
 * it, for the log.) */
#ifndef SMTPIN_SMTP_SESSION_H
#define SMTPIN_SMTP_SESSION_H

#include "smtp/data.h"
#include "smtp/line.h"
#include "smtp/state.h"

/* `options`, `out` and `arena` stay the caller's and must outlive the session. With available =
 * false the client is sent away with 421. */
enum smtp_want smtp_session_open(struct smtp_session *s, const struct smtp_options *options,
                                 struct text *out, struct arena *arena, bool available);
/* TLS was there before the session: `want` is what smtp_session_open has said. */
enum smtp_want smtp_session_is_secure(struct smtp_session *s, enum smtp_want want);
/* The greeting was held back; early: the client has spoken meanwhile. */
enum smtp_want smtp_session_greet(struct smtp_session *s, bool early);
/* The reply to a mistake has waited. */
enum smtp_want smtp_session_paused(struct smtp_session *s);
/* `line` is without its CRLF; it need live only for the call. */
enum smtp_want smtp_session_line(struct smtp_session *s, struct span line);
enum smtp_want smtp_session_bad_line(struct smtp_session *s, enum smtp_line_result fault);
enum smtp_want smtp_session_decided(struct smtp_session *s, const struct smtp_verdict *verdict);
/* READY: TLS can begin. NOT_ALONE: octets of the client stand behind its STARTTLS, in plain text;
 * whoever put them there, they must not be taken for what it says inside TLS (CVE-2011-0411). */
enum smtp_tls_offer { SMTP_TLS_READY, SMTP_TLS_UNAVAILABLE, SMTP_TLS_NOT_ALONE };
enum smtp_want smtp_session_tls(struct smtp_session *s, enum smtp_tls_offer offer);
/* The handshake is over. With secure = false nothing more can be said. */
enum smtp_want smtp_session_secured(struct smtp_session *s, bool secure);
/* The mechanisms that can be had (empty: none), with blanks between. */
enum smtp_want smtp_session_mechanisms(struct smtp_session *s, struct span mechanisms);
enum smtp_login_result {
    SMTP_LOGIN_DONE,      /* `text` is the user */
    SMTP_LOGIN_CHALLENGE, /* `text` is base64 */
    SMTP_LOGIN_WRONG,
    SMTP_LOGIN_MALFORMED,
    SMTP_LOGIN_UNKNOWN,
    SMTP_LOGIN_LATER,
};
/* The answer to `login`; of a login that was cancelled it does not matter. `out` has room for
 * SMTP_AUTH_LINE_MAX octets and a few. */
enum smtp_want smtp_session_login(struct smtp_session *s, enum smtp_login_result result,
                                  struct span text);
/* XCLIENT: SMTP_REPLY_OK where its client has been taken over; SMTP_REPLY_BAD_PARAMETERS where it
 * is none; else why it is turned away. */
enum smtp_want smtp_session_client(struct smtp_session *s, enum smtp_reply_id answer);
/* Prepares the decoder for this session's limits: after DATA, or for the first chunk. */
void smtp_session_decoder(const struct smtp_session *s, struct smtp_data *data);
/* The decoder has ended or was left: `data` says how. */
enum smtp_want smtp_session_collected(struct smtp_session *s, const struct smtp_data *data);
/* The octets of `chunk` have been read. `data` is the decoder that has them and those of the chunks
 * before; finished, where this was the last one and nothing is wrong. Not looked at where they were
 * refused. */
enum smtp_want smtp_session_chunk(struct smtp_session *s, const struct smtp_data *data);
enum smtp_want smtp_session_delivered(struct smtp_session *s);
enum smtp_want smtp_session_more(struct smtp_session *s);
/* The client is gone: nothing more is said. */
enum smtp_want smtp_session_gone(struct smtp_session *s);
/* The shell ends the session with a 421 of its own reason (RFC 5321 3.8). */
enum smtp_want smtp_session_interrupt(struct smtp_session *s, enum smtp_reply_id why);

/* Does the client hear each recipient's own result (LMTP, PRDR, a single recipient)? Else it hears
 * one reply for all. */
bool smtp_session_hears_each(const struct smtp_session *s);
/* The "with" protocol of Received: (RFC 3848, RFC 6531 4.3). */
struct span smtp_session_protocol(const struct smtp_session *s, bool smtputf8);

#endif
