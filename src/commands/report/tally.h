/* What the report says of a span of time, gathered record by record in memory that does not grow.
 */
#ifndef SMTPIN_COMMANDS_REPORT_TALLY_H
#define SMTPIN_COMMANDS_REPORT_TALLY_H

#include "commands/report/sketch.h"
#include "commands/report/top.h"
#include "commands/report/totals.h"

enum {
    TALLY_SLOWEST = 10,
    TALLY_ALARMS = 20,
    TALLY_DAYS = 400,
    TALLY_WORD = 255, /* octets of a value that are kept */
};

enum tally_top {
    TOP_SENDERS,    /* domains of senders, of transactions */
    TOP_RECIPIENTS, /* of transactions */
    TOP_CLIENTS,    /* addresses, of sessions */
    TOP_NETWORKS,   /* /24 and /64, of sessions */
    TOP_HELOS,      /* of sessions */
    TOP_REFUSED,    /* addresses of clients, of refusals */
    TOP_KINDS
};

/* A value out of the log, as far as it is kept. */
struct tally_word {
    unsigned char n;
    char p[TALLY_WORD];
};

struct tally_slow {
    uint64_t milliseconds, time;
    struct tally_word id, command, recipient, result;
};

/* A crash, a violation or a mistake, of which the last are shown. */
struct tally_alarm {
    uint64_t time;
    bool violation;
    struct tally_word client, session, what, where;
};

/* All that there were; the last TALLY_ALARMS of them are kept, in a ring. */
struct tally_alarms {
    uint64_t n;
    struct tally_alarm last[TALLY_ALARMS];
};

struct tally_day {
    int key; /* year * 10000 + month * 100 + day, local */
    uint64_t result[RESULTS];
};

struct tally {
    struct totals totals;
    uint64_t first, last;       /* microseconds since 1970; 0: no record had a time */
    uint64_t undated;           /* records without any time, not even that of the one before */
    uint64_t skipped;           /* values that had no room */
    uint64_t hour[24][RESULTS]; /* of the day, local time */
    size_t days;
    struct tally_day day[TALLY_DAYS];
    uint64_t earlier[RESULTS]; /* of days that had no room */
    struct top top[TOP_KINDS];
    struct sketch delivery;
    size_t slow; /* of slowest[], the slowest first */
    struct tally_slow slowest[TALLY_SLOWEST];
    struct tally_alarms crashes, mistakes;
    struct tally_word certificate; /* when ours ends, where the last session with TLS said so */
    uint64_t certificate_time;     /* of that session */
    uint64_t hour_from, hour_to;   /* the hour that was last looked up, in seconds */
    unsigned hour_is;
    int day_is;
};

void tally_open(struct tally *t, uint64_t seed);
void tally_add(struct tally *t, const struct entry *e);

static inline struct span tally_span(const struct tally_word *w)
{
    return (struct span){.p = w->p, .n = w->n};
}

#endif
