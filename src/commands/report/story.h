/* All that the log knows of one message, of one session, or of mail for one recipient: in the order
 * of the log, in words. */
#ifndef SMTPIN_COMMANDS_REPORT_STORY_H
#define SMTPIN_COMMANDS_REPORT_STORY_H

#include "commands/report/source.h"

#include <stdio.h>

enum {
    STORY_SESSIONS = 4096,
    STORY_SLOTS = 2 * STORY_SESSIONS, /* a power of two */
    STORY_ID_MAX = 64,
};

struct story {
    FILE *out;
    struct span id, session; /* of --id: of a message, empty where it is a session's; its session */
    struct span recipient;   /* of --recipient */
    uint64_t told;           /* records */
    bool found;              /* the message: a record with its id was there */
    uint64_t at;             /* records of the session that were read so far */
    uint64_t first, last;    /* the message's records: behind the transaction before, up to its own;
                                counted as `at` is */
    uint64_t forgotten;      /* records with the recipient, of sessions that had no room */
    uint64_t cut;            /* messages without the recipient, whose record does not name all */
    size_t sessions;         /* that the recipient is in */
    uint16_t slot[STORY_SLOTS]; /* by a session id's hash, or behind it: 1 + its place in of[]; 0:
                                   empty */
    struct {
        unsigned char n;
        char p[STORY_ID_MAX];
    } of[STORY_SESSIONS];
};

void story_open(struct story *s, FILE *out, const struct options *o);
/* Reads the source up to three times. False: it can't be read. */
bool story_tell(struct story *s, struct source *from);

#endif
