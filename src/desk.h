/* What a session asks for that needs more than its own bytes: decisions, a spool, the hand-over,
 * the log, the service manager. Behind the wall (`sandbox`) these functions send the question to
 * the process that may do such things, where the same functions do them. */
#ifndef SMTPIN_DESK_H
#define SMTPIN_DESK_H

#include "adapters/digest.h"
#include "adapters/recorder.h"
#include "io/spool.h"
#include "record.h"
#include "serve.h"
#include "status.h"
#include "wall/ask.h"

struct desk {
    const struct config *config;
    const struct peer *peer;
    struct smtp_session *session; /* whose envelope is meant */
    struct record record;
    struct recorder recorder;
    struct status status;
    struct spool spool;
    struct digest digest;
    size_t head;    /* octets of ours before the message */
    bool begun;     /* how the message begins is known, or does not matter */
    struct ask ask; /* where there is a wall, and this is its inner side */
};

/* The session begins; it has an id from here on. */
void desk_open(struct desk *d, const struct config *c, const struct serve_connection *connection,
               struct smtp_session *session, struct log *log, struct serve_memory *memory);
/* Around each step of the session: what belongs into the log gets there. */
void desk_before(struct desk *d);
void desk_after(struct desk *d, enum smtp_want want);
/* Why the session ends; the first reason stays. */
void desk_end(struct desk *d, const char *why);
void desk_close(struct desk *d);

struct smtp_verdict desk_decide(struct desk *d, const struct smtp_mailbox *recipient);
/* The session has taken the recipient. */
void desk_accept(struct desk *d, struct smtp_mailbox *recipient, struct arena *a);

/* A message begins. False: it can't be stored. */
bool desk_begin(struct desk *d);
/* Where the message's next octets go, at least 2; NULL: they can't be stored. Then, how many came.
 */
char *desk_room(struct desk *d, size_t *room);
void desk_add(struct desk *d, size_t n);
/* The message is there, or its end has not come: `data` says how, and is told when it could not be
 * stored. */
void desk_finish(struct desk *d, struct smtp_data *data);
/* Delivers it: each recipient has its result. `a` is for what the results point to. False: behind
 * the wall it turns out only now that it could not be stored. */
bool desk_deliver(struct desk *d, struct arena *a);
/* Did that take next to no time? */
bool desk_was_quick(const struct desk *d);

/* What the session is about, for ps(1) and systemctl status (see status.h). */
void desk_show(struct desk *d, const char *doing);
void desk_tell(struct desk *d, const char *doing);
/* Somebody is told: worth a wake-up in a long wait. */
bool desk_tells(const struct desk *d);

#endif
