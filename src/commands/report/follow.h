/* One line for each session as it ends. What its messages came to is remembered until then, for a
 * bounded number of sessions. */
#ifndef SMTPIN_COMMANDS_REPORT_FOLLOW_H
#define SMTPIN_COMMANDS_REPORT_FOLLOW_H

#include "commands/report/source.h"
#include "commands/report/totals.h"

#include <stdio.h>

enum { FOLLOW_SESSIONS = 1024, FOLLOW_WORD = 255 };

struct follow_word {
    unsigned char n;
    char p[FOLLOW_WORD];
};

struct follow_session {
    struct follow_word id, sender, recipient, rule;
    uint64_t result[RESULTS], refusals;
    bool for_good; /* a reply to a refused command began with 5 */
};

struct follow {
    FILE *out;
    bool colours;
    size_t next; /* the slot that is used for the next session that is new */
    struct follow_session session[FOLLOW_SESSIONS];
};

void follow_open(struct follow *f, FILE *out, bool colours);
/* An input_taker, whose context is the follow. */
bool follow_entry(void *follow, const struct entry *e);

#endif
