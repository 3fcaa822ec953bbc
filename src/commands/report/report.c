#include "commands/report/report.h"

#include "commands/report/words.h"

#include <stdlib.h>

const struct report_list report_lists[TOP_KINDS] = {
    [TOP_SENDERS] = {TOP_SENDERS, "Domains of senders, by messages", "sender_domains"},
    [TOP_RECIPIENTS] = {TOP_RECIPIENTS, "Recipients, by messages", "recipients"},
    [TOP_CLIENTS] = {TOP_CLIENTS, "Clients, by sessions", "clients"},
    [TOP_NETWORKS] = {TOP_NETWORKS, "Networks of clients (/24, /64), by sessions", "networks"},
    [TOP_HELOS] = {TOP_HELOS, "Names after EHLO, by sessions", "helo_names"},
    [TOP_REFUSED] = {TOP_REFUSED, "Clients, by refused commands", "refused_clients"},
};

static int compare_rules(const void *a, const void *b)
{
    const struct report_rule *x = a, *y = b;
    const uint64_t m = x->later + x->good, n = y->later + y->good;

    return m != n ? (m < n ? 1 : -1) : strcmp(x->name, y->name);
}

size_t report_rules(const struct totals *t, struct report_rule out[TOTAL_RULES_MAX + 1])
{
    size_t n = 0;

    for (size_t i = 0; i <= words_rules_n; i++) {
        const bool known = i < words_rules_n;
        const uint64_t *count = t->refusal[known ? i : TOTAL_RULES_MAX];

        if (count[0] + count[1] > 0)
            out[n++] = (struct report_rule){
                .name = known ? words_rules[i].name : "other",
                .meaning = known ? words_rules[i].meaning : "rules that this program does not know",
                .later = count[0],
                .good = count[1]};
    }
    qsort(out, n, sizeof *out, compare_rules);
    return n;
}

static int compare_ends(const void *a, const void *b)
{
    const struct report_end *x = a, *y = b;

    return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->name, y->name);
}

size_t report_ends(const struct totals *t,
                   struct report_end out[TOTAL_ENDS_MAX + TOTAL_RULES_MAX + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < words_ends_n; i++)
        if (words_ends[i].odd && t->end[i] > 0)
            out[n++] = (struct report_end){words_ends[i].name, words_ends[i].meaning, t->end[i]};
    for (size_t i = 0; i < words_rules_n; i++)
        if (t->end_rule[i] > 0)
            out[n++] =
                (struct report_end){words_rules[i].name, words_rules[i].meaning, t->end_rule[i]};
    if (t->end[TOTAL_ENDS_MAX] > 0)
        out[n++] = (struct report_end){"other", "ends that this program does not know",
                                       t->end[TOTAL_ENDS_MAX]};
    qsort(out, n, sizeof *out, compare_ends);
    return n;
}

size_t report_troubles(const struct totals *t, struct report_trouble out[TOTAL_SINGLES])
{
    static const struct {
        enum total_single total;
        const char *what;
    } rows[] = {
        {TOTAL_CRASHES, "processes of sessions died"},
        {TOTAL_VIOLATIONS, "processes asked for what no session asks for"},
        {TOTAL_MISTAKES, "mistakes in the configuration (smtpin --check)"},
        {TOTAL_TLS_UNAVAILABLE, "times there was no TLS (smtpin --check)"},
        {TOTAL_OPINIONS_FAILED, "times a policy server or a check command gave no answer"},
        {TOTAL_DROPPED, "records were dropped, because nobody took them"},
    };
    size_t n = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (t->single[rows[i].total] > 0)
            out[n++] = (struct report_trouble){rows[i].what, t->single[rows[i].total]};
    return n;
}
