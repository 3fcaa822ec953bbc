/* All that the log knows of one message, of one session, or of mail for one recipient: in the order
 * of the log, in words. */
#ifndef SMTPIN_COMMANDS_REPORT_STORY_H
#define SMTPIN_COMMANDS_REPORT_STORY_H

#include "commands/report/source.h"

#include <stdio.h>

enum { STORY_SESSIONS = 4096, STORY_ID_MAX = 64 };

struct story {
    FILE *out;
    struct span id, session; /* of --id: of a message, empty where it is a session's; its session */
    struct span recipient;   /* of --recipient */
    uint64_t told;           /* records */
    uint64_t forgotten;      /* sessions that had no room */
    size_t sessions;         /* that the recipient is in */
    struct {
        unsigned char n;
        char p[STORY_ID_MAX];
    } of[STORY_SESSIONS];
};

void story_open(struct story *s, FILE *out, const struct options *o);
/* False: the source can't be read. */
bool story_tell(struct story *s, struct source *from);

#endif
