/* The monitor from within: what it knows of the session, and a function for each kind of request.
 * Each function checks the request against what is known, and believes nothing. It returns NULL, or
 * what is wrong: no honest session asks for such a thing, and this one is ended. */
#ifndef SMTPIN_SANDBOX_HANDLERS_H
#define SMTPIN_SANDBOX_HANDLERS_H

#include "backend/backend.h"
#include "sandbox/request.h"

#include <sys/types.h>

struct monitor {
    struct backend *backend;
    int fd;            /* to the worker */
    int in, out;       /* the connection, which this process never reads: for smtpin-tls */
    pid_t worker;      /* its process */
    int stop;          /* readable once this one is asked to end; -1: never, or it has been told */
    uint64_t slack;    /* milliseconds for last words when its time is over */
    uint64_t deadline; /* when the session ends at the latest, but for what `delivering` counts */
    struct text room;  /* for packets: PACKET_MAX */
    struct arena *arena;  /* of the transaction */
    size_t arena_max;     /* octets of it, and of what a delivery may have behind it */
    uint64_t transaction; /* the one that is known */
    bool proxied;         /* the PROXY header has come */
    bool unfiltered;      /* and should not be: no transaction */
    bool over;            /* it has ended */
    bool begun;           /* its message, of which there is one */
    unsigned asked;       /* enum smtp_subject: steps of which a session, or transaction, has one */
    unsigned passed;      /* and those that were not refused, for this name of EHLO */
    uint64_t requests[REQUEST_KIND_COUNT]; /* how many of each kind */
    const struct request_about *last;      /* request; NULL: none yet, or it was none */
    uint64_t stored, ends;                 /* of this message: octets, line ends among them */
    enum { MONITOR_IDLE, MONITOR_MESSAGE } state;
    bool refused;        /* the message could not be stored */
    uint64_t delivering; /* milliseconds that do not count: that storing and delivering took */
    bool overtime;       /* a decision has lasted beyond the session's end */
    uint64_t errors;     /* refusals with 5yz */
    uint64_t refused_recipients; /* and of recipients, among those that were asked about */
    uint64_t refused_questions;  /* and of what else was asked about */
    bool closed;                 /* the session has ended as it should */
    bool pressed;                /* an answer was not taken at once: the clock is to be looked at */
    char end[REQUEST_WORD_MAX + 1];
};

#define MONITOR_HANDLER(kind, handler, pace, fields)                                               \
    const char *monitor_##handler(struct monitor *m, const struct request *r);
REQUEST_KINDS(MONITOR_HANDLER)
#undef MONITOR_HANDLER

/* Where the next request is received: `room.cap` octets, of `room` or of the message that comes. */
char *monitor_receiving_room(const struct monitor *m);

/* monitor-worker.c: the process on the other end. */

/* Is this process asked to end? Then the worker is asked too, and has less time. */
void monitor_check_stop(struct monitor *m);
/* What the worker has waited for, in milliseconds. The time of decisions, and of TLS, is the
 * session's. Where it goes beyond the session's end, it leaves the worker the time for its last
 * words; an honest one does not ask again. */
void monitor_count_time(struct monitor *m, uint64_t took);
/* Sends the worker one packet of an answer, which is in m->room. *deadline, 0 at first, is for all
 * packets of the answer; it is set once one has to wait. */
const char *monitor_send_answer(struct monitor *m, uint64_t *deadline);

/* monitor-envelope.c: the monitor's own transaction. */

struct smtp_transaction *monitor_transaction_of(const struct monitor *m);
/* May somebody be added now? (Its message may have been: see `begun`.) */
bool monitor_has_open_transaction(const struct monitor *m);
void monitor_end_transaction(struct monitor *m);
/* Parses the address once more, as a path of its own. What *out points to is in m->arena. */
enum smtp_path_result monitor_read_address(struct monitor *m, struct span address, bool forward,
                                           struct smtp_mailbox *out);
/* The name of EHLO, once it has been checked: trace fields and variables of the command say it. */
const char *monitor_keep_greeting(struct monitor *m, const struct request *r);
/* The transaction as far as MAIL has said. Its reverse-path is parsed at the first request that has
 * it, and is the same in the others. *full: there is no memory for it. */
const char *monitor_keep_envelope(struct monitor *m, const struct request *r, struct span sender,
                                  bool *full);
/* `before`: enum smtp_subject. Those of them that the configuration decides on must have been asked
 * about, and must not have been refused: what the worker does not ask, it can't get round. */
const char *monitor_check_steps(const struct monitor *m, unsigned before);
/* Adds the recipients of a request to the transaction: each is decided here once more. */
const char *monitor_add_recipients(struct monitor *m, struct span added);

/* monitor-login.c: has nobody logged in, without which there is no mail? */
bool monitor_lacks_login(const struct monitor *m);

/* monitor-tls.c: is there no TLS yet, without which there is no mail? */
bool monitor_lacks_tls(const struct monitor *m);

/* monitor-log.c: what the log and the service manager hear. */

/* The session's own words on the results of a message, as the worker will say them. */
void monitor_log_results(struct monitor *m, const struct smtp_data *data);

#endif
