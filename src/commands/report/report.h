/* The report of a span of time, in each of its forms. */
#ifndef SMTPIN_COMMANDS_REPORT_REPORT_H
#define SMTPIN_COMMANDS_REPORT_REPORT_H

#include "commands/report/tally.h"

#include <stdio.h>

struct report {
    const struct tally *tally;
    uint64_t since, until;     /* what was asked for; 0: no such bound */
    uint64_t foreign, skipped; /* lines that are no records; entries and values too long to read */
    size_t top;                /* rows of each list */
};

void report_text(FILE *out, const struct report *r);
void report_json(FILE *out, const struct report *r);
void report_html(FILE *out, const struct report *r);

/* What each list of the most frequent is called: for people, and in JSON. */
struct report_list {
    enum tally_top top;
    const char *title, *name;
};
extern const struct report_list report_lists[TOP_KINDS];

/* A rule, and how often it refused for now and for good: the most frequent first. */
struct report_rule {
    const char *name, *meaning;
    uint64_t later, good;
};
/* Those that refused; how many. */
size_t report_rules(const struct totals *t, struct report_rule out[TOTAL_RULES_MAX + 1]);

/* An end that is worth a look, and how many sessions ended so. */
struct report_end {
    const char *name, *meaning;
    uint64_t n;
};
size_t report_ends(const struct totals *t,
                   struct report_end out[TOTAL_ENDS_MAX + TOTAL_RULES_MAX + 1]);

/* What an administrator should look at before all else, other than crashes: a line for each. */
struct report_trouble {
    const char *what;
    uint64_t n;
};
size_t report_troubles(const struct totals *t, struct report_trouble out[TOTAL_SINGLES]);

#endif
