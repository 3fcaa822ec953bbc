/* What is counted and never forgotten: numbers that only grow, each with a name. They are what the
 * metrics say, and what a state file keeps. Their names come from this program's own tables, never
 * from the log: there are no more of them than these. */
#ifndef SMTPIN_COMMANDS_REPORT_TOTALS_H
#define SMTPIN_COMMANDS_REPORT_TOTALS_H

#include "base/text.h"
#include "commands/report/entry.h"

enum total_result {
    RESULT_ACCEPTED,
    RESULT_DEFERRED,
    RESULT_REFUSED,
    RESULT_MIXED,
    RESULT_ABANDONED,
    RESULT_OTHER, /* of a newer smtpin */
    RESULTS
};

enum total_single {
    TOTAL_RECORDS,
    TOTAL_SESSIONS,
    TOTAL_SESSIONS_TLS,
    TOTAL_SESSIONS_LOGIN,
    TOTAL_OCTETS,     /* of accepted messages */
    TOTAL_RECIPIENTS, /* of accepted messages */
    TOTAL_CRASHES,
    TOTAL_VIOLATIONS,
    TOTAL_MISTAKES,        /* in the configuration */
    TOTAL_TLS_FAILED,      /* handshakes */
    TOTAL_TLS_UNAVAILABLE, /* on our side */
    TOTAL_OPINIONS_FAILED, /* policy servers and check commands that gave no answer */
    TOTAL_PENALTIES,
    TOTAL_DROPPED, /* records that nobody took */
    TOTAL_DELIVERIES,
    TOTAL_DELIVERY_MILLISECONDS,
    TOTAL_LAST_RECORD, /* when the newest was written, microseconds since 1970 */
    TOTAL_SINGLES
};

enum {
    TOTAL_RULES_MAX = 96,
    TOTAL_ENDS_MAX = 48, /* those of words_ends; a rule is counted as a rule */
    TOTAL_BUCKETS = 14,
};

/* Upper bounds of the buckets of delivery times, in milliseconds. */
extern const uint64_t totals_bucket[TOTAL_BUCKETS];

struct totals {
    uint64_t single[TOTAL_SINGLES];
    uint64_t result[RESULTS];
    uint64_t refusal[TOTAL_RULES_MAX + 1][2]; /* by rule, the last: others; 4yz, 5yz */
    uint64_t end[TOTAL_ENDS_MAX + 1];         /* the last: others */
    uint64_t end_rule[TOTAL_RULES_MAX];
    uint64_t delivery[TOTAL_BUCKETS + 1]; /* how many were in each bucket alone */
};

const char *totals_result_name(enum total_result result);
enum total_result totals_result(struct span name);
void totals_add(struct totals *t, const struct entry *e);
/* Each with its name, as a state file has it ("rule.relay.5"). Begin with *at 0. False: that was
 * the last. `name` is terminated. */
bool totals_next(struct totals *t, size_t *at, struct text *name, uint64_t **value);

#endif
