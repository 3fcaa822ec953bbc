/* Does what a session needs that takes more than its own bytes: decisions, a spool, the hand-over,
 * the log, the service manager. It never reads from the connection, and knows nothing of the
 * sandbox: there, the monitor calls it; elsewhere the session's own process does (services.h). */
#ifndef SMTPIN_BACKEND_BACKEND_H
#define SMTPIN_BACKEND_BACKEND_H

#include "adapters/auth.h"
#include "adapters/digest.h"
#include "adapters/proxied.h"
#include "adapters/recorder.h"
#include "adapters/rules.h"
#include "adapters/seat.h"
#include "adapters/tls.h"
#include "backend/record.h"
#include "backend/status.h"
#include "io/spool.h"

/* The first seven, rules.sources, recorder.out, and the spool's buffer, are set by the caller. */
struct backend {
    const struct config *config;
    struct peer *peer;
    struct tls *tls;              /* opened; NULL: `tls` is off */
    struct smtp_session *session; /* whose envelope is meant */
    struct auth *auth;            /* opened; NULL: nobody checks logins */
    struct proxied *proxied;      /* room for what a proxy says */
    int seat;                     /* to the listening process (adapters/seat.h); -1: none */
    struct record record;
    struct rules rules;
    struct recorder recorder;
    struct status status;
    struct spool spool;
    struct digest digest;
    size_t head;      /* octets of ours before the message */
    bool start_known; /* how the message begins is known, or does not matter */
};

/* The session begins; it has an id from here on. `title`: the process's, or NULL. */
void backend_open(struct backend *b, struct log *log, struct title *title);
/* Around each step of the session: what belongs into the log gets there. True: there was something.
 */
void backend_before_step(struct backend *b);
bool backend_after_step(struct backend *b, enum smtp_want want);
/* Why the session ends; the first reason stays. */
void backend_end(struct backend *b, const char *why);
void backend_close(struct backend *b);
/* How the client has behaved, once the session has ended: for the source's penalty. */
enum backend_conduct { BACKEND_WELL, BACKEND_LOGINS_FAILED, BACKEND_ABUSED };
enum backend_conduct backend_conduct(const struct backend *b);

/* May there be this recipient, this user (VRFY)? Where an alias stands for an accepted recipient,
 * it has its list. At the other steps (recipient NULL): may the session go on? */
struct smtp_verdict backend_decide(struct backend *b, enum smtp_subject about,
                                   struct smtp_recipient *recipient);
/* The session has taken the recipient. */
void backend_add_recipient(struct backend *b, struct smtp_recipient *recipient, struct arena *a);

/* TLS for the connection (adapters/tls.h): can it begin? Then, once the last plain text has been
 * sent, the handshake: where it succeeds the connection is no longer open in this process. */
bool backend_prepare_tls(struct backend *b, int in, int out);
bool backend_start_tls(struct backend *b, int in, int out, int stop);

/* A proxy has said who the client is. `facts` of its TLS: proxied_take_facts; NULL: it was XCLIENT,
 * which says nothing of it. SMTP_REPLY_OK, or why the listening process turns the client away. */
enum smtp_reply_id backend_take_client(struct backend *b, const struct proxied_client *client,
                                       const struct span *facts);

/* Logins (adapters/auth.h): the mechanisms that there are; what `login` of the session leads to.
 * *text is as smtp_session_login has it. The caller wipes the response. */
struct span backend_mechanisms(struct backend *b);
enum smtp_login_result backend_login(struct backend *b, struct span *text);

/* A message begins. False: it can't be stored. */
bool backend_begin_message(struct backend *b);
/* Where the message's next octets go, at least 2; NULL: they can't be stored. Then, how many came.
 */
char *backend_message_room(struct backend *b, size_t *room);
/* The same for n octets in one piece, which may become the message's next as they are; NULL: there
 * is no such place now. */
char *backend_message_piece(struct backend *b, size_t n);
void backend_add_octets(struct backend *b, size_t n);
/* The message is there, or its end has not come: `data` says how, and is told when it could not be
 * stored. */
void backend_finish_message(struct backend *b, struct smtp_data *data);
/* Delivers it: each recipient has its result. `a` is for what the results point to. */
void backend_deliver(struct backend *b, struct arena *a);
/* Did that take next to no time? */
bool backend_was_quick(const struct backend *b);

/* What the session is about, for ps(1) and systemctl status (status.h). */
void backend_refresh_status(struct backend *b, const char *doing);
void backend_send_status(struct backend *b, const char *doing);

#endif
