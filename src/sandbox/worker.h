/* The worker reads the client's bytes, and asks the monitor for what takes more. It opens, runs and
 * logs nothing. Where no answer comes any more, the answer is a temporary failure. */
#ifndef SMTPIN_SANDBOX_WORKER_H
#define SMTPIN_SANDBOX_WORKER_H

#include "adapters/proxied.h"
#include "adapters/recorder.h"
#include "backend/record.h"
#include "sandbox/request.h"

struct worker {
    int fd;              /* to the monitor; -1: there is no sandbox */
    struct text room;    /* for packets: PACKET_MAX */
    size_t filled;       /* of it, at its beginning: a message's octets that are still to be sent */
    size_t most;         /* so many at once: more than REQUEST_OCTETS_FEW */
    struct text added;   /* recipients that the monitor has not heard of: REQUEST_ADDED_MAX */
    bool asks_for_seat;  /* a process listens, and says whether a client may come in */
    bool status_is_read; /* the service manager hears of a session that lasts */
    uint64_t next_status; /* clock_now from when on */
    bool begins;          /* a message, whose envelope has not been sent */
    bool reporting;       /* the results of one, which the monitor knows */
    bool quick;           /* they were there after milliseconds */
};

/* What the monitor's rules say: of a recipient, which it has added where it accepts it; of a user;
 * of a step of the session (address empty). The reply is kept in the transaction's arena. What was
 * asked for it is recorded. */
struct smtp_verdict worker_decide(struct worker *w, struct smtp_session *s, enum smtp_subject about,
                                  struct span address, struct recorder *recorder);
/* TLS: can it begin? Then, the handshake, which is recorded. */
bool worker_prepare_tls(struct worker *w, const struct smtp_session *s);
bool worker_start_tls(struct worker *w, const struct smtp_session *s, struct recorder *recorder);
/* What a proxy says of its client: services.h. */
enum smtp_reply_id worker_take_header(struct worker *w, const struct proxied_client *client,
                                      struct span facts);
enum smtp_reply_id worker_take_client(struct worker *w, const struct smtp_session *s,
                                      const struct proxied_client *client,
                                      const struct smtp_xclient *said);
/* Logins: the mechanisms (in w->room); what the monitor says to the session's `login`. */
struct span worker_mechanisms(struct worker *w, const struct smtp_session *s);
enum smtp_login_result worker_login(struct worker *w, const struct smtp_session *s,
                                    struct span *text);
/* The transaction has another recipient. */
void worker_add_recipient(struct worker *w, const struct smtp_session *s,
                          const struct smtp_recipient *recipient);
void worker_begin_message(struct worker *w);
/* Where the next octets go. Then, how many came. */
char *worker_message_room(struct worker *w, const struct smtp_session *s, size_t *room);
void worker_add_octets(struct worker *w, size_t n);
/* More may come only when its transaction is over: the monitor hears of it now. */
void worker_announce_message(struct worker *w, const struct smtp_session *s);
void worker_finish_message(struct worker *w, const struct smtp_session *s,
                           const struct smtp_data *data);
/* Results and what they point to are in `arena`. False: the message could not be stored. */
bool worker_deliver(struct worker *w, struct smtp_session *s, uint64_t size,
                    struct recorder *recorder, struct arena *arena);
/* After each step; `news`: there is something for the log. */
void worker_after_step(struct worker *w, const struct record *r, enum smtp_want want, bool news);
void worker_send_status(struct worker *w, const struct record *r, const char *doing);
void worker_close(struct worker *w, const struct record *r);
void worker_report_no_filter(struct worker *w);

#endif
