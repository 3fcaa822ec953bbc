/* Behind a proxy, the process that listens knows its clients only once their sessions do: these
 * tell it, and ask whether there is room for one more of that source. Both ends are here; one local
 * socket (SOCK_SEQPACKET) is for all sessions, and each answer comes by one of its own. */
#ifndef SMTPIN_ADAPTERS_SEAT_H
#define SMTPIN_ADAPTERS_SEAT_H

#include "base/span.h"

#include <sys/types.h>

enum seat_answer { SEAT_OPEN, SEAT_SOURCE_FULL, SEAT_PENALTY };

/* The session: its client has this address (empty: none). Where no answer can be had, there is
 * room. */
enum seat_answer seat_ask(int fd, struct span address);

struct seat_question {
    pid_t pid;                 /* of the process that serves it */
    bool local;                /* no address */
    unsigned char address[16]; /* as admission.h has it */
    int answer;                /* for seat_give, which closes it */
};

/* The listening process: the next question, if there is one. */
bool seat_take(int fd, struct seat_question *q);
void seat_give(const struct seat_question *q, enum seat_answer answer);

#endif
