/* The side of the wall that reads the client's bytes: it asks. Where no answer comes any more, the
 * answer is a temporary failure. */
#ifndef SMTPIN_WALL_ASK_H
#define SMTPIN_WALL_ASK_H

#include "adapters/recorder.h"
#include "record.h"
#include "wall/request.h"

struct ask {
    int fd;            /* the other side; -1: there is no wall */
    struct text room;  /* for packets: PACKET_MAX */
    size_t filled;     /* of it, at its beginning: a message's octets that are still to be sent */
    size_t most;       /* so many at once: more than REQUEST_OCTETS_FEW */
    struct text added; /* recipients that the other side has not heard of: REQUEST_ADDED_MAX */
    bool tells;        /* somebody is told of a session that lasts */
    uint64_t next;     /* clock_now from when on */
    bool begins;       /* a message, whose envelope has not been sent */
    bool reporting;    /* the results of one, which the other side knows */
    bool quick;        /* they were there after milliseconds */
};

/* What the other side's rules say of an address. The reply is kept in the transaction's arena. */
struct smtp_verdict ask_decide(struct ask *a, struct smtp_session *s, struct span address);
/* The transaction has another recipient. */
void ask_add(struct ask *a, const struct smtp_session *s, struct span address);
void ask_begin(struct ask *a);
/* Where the next octets go. */
char *ask_room(struct ask *a, const struct smtp_session *s, size_t *room);
void ask_finish(struct ask *a, const struct smtp_session *s, const struct smtp_data *data);
/* Results and what they point to are in `arena`. False: the message could not be stored. */
bool ask_deliver(struct ask *a, struct smtp_session *s, uint64_t size, struct recorder *recorder,
                 struct arena *arena);
/* After each step; `news`: there is something for the log. */
void ask_after(struct ask *a, const struct record *r, enum smtp_want want, bool news);
void ask_tell(struct ask *a, const struct record *r, const char *doing);
void ask_close(struct ask *a, const struct record *r);
void ask_no_filter(struct ask *a);

#endif
