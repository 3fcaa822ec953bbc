/* A listening process, from within: listen.c, with listen_penalty.c for sources that behave badly
 * and listen_seat.c for clients behind a proxy. */
#ifndef SMTPIN_LISTEN_STATE_H
#define SMTPIN_LISTEN_STATE_H

#include "adapters/penalty.h"
#include "generation.h"
#include "refusals.h"

struct listen_given;

/* The parent's alone: a mapping that no child gets (madvise(2), MADV_DONTFORK). So no session sees
 * who else is there, and what is written here after a fork is not copied first. */
struct listening {
    const struct listen_given *given;
    struct generation *now; /* NULL: none; a child has it too */
    bool available;
    bool dropped; /* root has been, for now.config[0].user */
    struct admission guests;
    struct refusals refused;
    const struct manager *manager; /* NULL: nobody is told */
    int stop, events;              /* SIGTERM; SIGCHLD, SIGHUP */
    int asking, asked;             /* adapters/seat.h: the sessions' end, and ours; -1: none yet */
    bool stopping;
    bool news; /* since the last status */
    uint64_t next_status, next_complaint, paused_until, idle_since;
    uint64_t accepted, rejected;
    uint64_t sign_interval, next_sign; /* of life, for the manager; 0: it waits for none */
    int oom_score;                     /* this process's own; INT_MIN: not known */
    struct admission_seat seats[CONFIG_CONNECTIONS_MAX];
    struct penalties penalties;
};

/* Is the source turned away for now? */
bool listen_has_penalty(const struct listening *l, const struct config *c,
                        const struct admission_guest *guest);
/* What the end of a session says of its client. */
void listen_judge(struct listening *l, const struct admission_guest *guest, int status);

/* Does the connection come from a proxy, which is no source itself? */
bool listen_is_proxy(const struct config *c, const struct admission_guest *guest);
/* Where a configuration needs it: the way by which sessions ask. */
void listen_open_seats(struct listening *l);
/* Answers those who have asked. */
void listen_answer_seats(struct listening *l);

#endif
