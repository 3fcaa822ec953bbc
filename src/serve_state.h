/* A connection that is served, from within: serve.c, with serve_wire.c for its waits and its end,
 * serve_message.c for messages, serve_manners.c for waits that see how a client behaves,
 * serve_secure.c for TLS and logins, and serve_client.c for what a proxy says. */
#ifndef SMTPIN_SERVE_STATE_H
#define SMTPIN_SERVE_STATE_H

#include "io/wire.h"
#include "services.h"

struct serve {
    const struct config *config;
    struct smtp_session session;
    struct smtp_line line;
    struct arena arena, delivery;
    struct wire wire;
    struct services services;
    struct smtp_data data;    /* of the message that is being collected */
    bool collecting;          /* it has begun, and was neither finished nor abandoned */
    uint64_t chunks_deadline; /* of a message in chunks, with min_data_rate; 0: not begun */
    uint64_t credit; /* milliseconds times min_data_rate that came in pieces too small to count */
    size_t spoken;   /* octets of wire.send that were there before this step */
    uint64_t session_deadline;
    uint64_t late;        /* once that is over: until when replies may still go out */
    uint64_t decided;     /* milliseconds that decisions took since the clock was looked at */
    bool stopping;        /* this process is asked to end */
    unsigned brief_fills; /* since the clock and the stop were looked at */
};

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What the session says to a wire that does not go on. Nobody hears a reply to an end of file. */
enum smtp_want serve_give_up(struct serve *s, enum wire_result why, enum smtp_reply_id slow);
/* Sends what has been said. */
enum wire_result serve_flush(struct serve *s);
/* From here on the stop is seen; where it can't be had now, the next time. */
void serve_watch_stop(struct serve *s);

/* Asked to end: a message that is being sent may still come to its end, for drain_timeout. */
void serve_begin_to_stop(struct serve *s);
/* Waits for the client, until *deadline. Where that is 0, it is set once somebody is really waited
 * for: `timeout` from then. A client that keeps us waiting is worth a line to the service manager.
 */
enum wire_result serve_fill(struct serve *s, uint64_t *deadline, uint64_t timeout,
                            const char *doing);

/* The steps of a message that comes. */
enum smtp_want serve_collect(struct serve *s);
enum smtp_want serve_take_chunk(struct serve *s);
/* While a message is half there, after each step: where its transaction or the session has ended
 * without it, it is thrown away. */
void serve_drop_unfinished(struct serve *s, enum smtp_want want);

/* The step of a greeting that is held back (greet_delay). */
enum smtp_want serve_hold_greeting(struct serve *s);
/* The step of a reply to a mistake, which is held back (error_delay). */
enum smtp_want serve_hold_error(struct serve *s);
/* What nobody will read any more is recorded, before the reply that is about it. */
void serve_record_unread(struct serve *s);

/* Before the client is read: what TLS needs. Where whoever started us does it, it is there already.
 */
void serve_open_tls(struct serve *s, struct peer *peer, struct tls *tls);
/* For smtpin-tls, the end of what it gets from us. */
void serve_close_tls(struct serve *s);
/* The steps of TLS and of logins. */
enum smtp_want serve_prepare_tls(struct serve *s);
enum smtp_want serve_shake_hands(struct serve *s);
enum smtp_want serve_mechanisms(struct serve *s);
enum smtp_want serve_login(struct serve *s);

/* Before the session: reads the PROXY header. False: there is none, and the session ends without a
 * word. *answer: SMTP_REPLY_OK, or why the client is turned away. */
bool serve_take_header(struct serve *s, enum smtp_reply_id *answer);
/* The step of XCLIENT. */
enum smtp_want serve_take_client(struct serve *s);

#endif
