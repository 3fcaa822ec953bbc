#include "commands/report/totals.h"

#include "base/number.h"
#include "commands/report/words.h"
#include "io/clock.h"

static const uint64_t day = 86400 * (uint64_t)1000000; /* microseconds */

const uint64_t totals_bucket[TOTAL_BUCKETS] = {5,    10,   25,   50,    100,   250,   500,
                                               1000, 2500, 5000, 10000, 30000, 60000, 300000};

static const char *const results[RESULTS] = {"accepted", "deferred",  "refused",
                                             "mixed",    "abandoned", "other"};

static const char *const singles[TOTAL_SINGLES] = {
    [TOTAL_RECORDS] = "records",
    [TOTAL_SESSIONS] = "sessions",
    [TOTAL_SESSIONS_TLS] = "sessions_tls",
    [TOTAL_SESSIONS_LOGIN] = "sessions_login",
    [TOTAL_OCTETS] = "octets",
    [TOTAL_RECIPIENTS] = "recipients",
    [TOTAL_CRASHES] = "crashes",
    [TOTAL_VIOLATIONS] = "violations",
    [TOTAL_MISTAKES] = "mistakes",
    [TOTAL_TLS_FAILED] = "tls_failed",
    [TOTAL_TLS_UNAVAILABLE] = "tls_unavailable",
    [TOTAL_OPINIONS_FAILED] = "opinions_failed",
    [TOTAL_PENALTIES] = "penalties",
    [TOTAL_DROPPED] = "dropped",
    [TOTAL_DELIVERIES] = "deliveries",
    [TOTAL_DELIVERY_MILLISECONDS] = "delivery_milliseconds",
    [TOTAL_LAST_RECORD] = "last_record",
};

const char *totals_result_name(enum total_result result)
{
    return results[result];
}

enum total_result totals_result(struct span name)
{
    enum total_result r = 0;

    while (r < RESULT_OTHER && !span_eq(name, span_of(results[r])))
        r++;
    return r;
}

/* 4yz and 5yz are refusals; a 421 that turned many away stands for as many. */
static void add_refusal(struct totals *t, const struct entry *e)
{
    const struct span reply = e->value[FIELD_REPLY], rule = e->value[FIELD_RULE];
    const uint64_t count = entry_number(e, FIELD_COUNT);
    size_t i;

    if (rule.n == 0 || reply.n == 0 || (reply.p[0] != '4' && reply.p[0] != '5'))
        return;
    i = words_rule(rule);
    t->refusal[i < words_rules_n ? i : TOTAL_RULES_MAX][reply.p[0] - '4'] += count > 0 ? count : 1;
}

static void add_transaction(struct totals *t, const struct entry *e)
{
    const enum total_result result = totals_result(e->value[FIELD_RESULT]);
    const uint64_t ms = entry_number(e, FIELD_DELIVERY_MILLISECONDS);
    uint64_t recipients = 0;
    size_t bucket = 0;

    t->result[result]++;
    /* Of a mixed result, some have it: accepted= of recipients=. */
    if (result == RESULT_MIXED)
        recipients = entry_number(e, FIELD_ACCEPTED);
    else if (result == RESULT_ACCEPTED)
        recipients = entry_number(e, FIELD_RECIPIENTS);
    t->single[TOTAL_RECIPIENTS] += recipients;
    if (recipients > 0 || result == RESULT_ACCEPTED)
        t->single[TOTAL_OCTETS] += entry_number(e, FIELD_SIZE);
    add_refusal(t, e);
    if (e->value[FIELD_DELIVERY_MILLISECONDS].n == 0)
        return;
    while (bucket < TOTAL_BUCKETS && ms > totals_bucket[bucket])
        bucket++;
    t->delivery[bucket]++;
    t->single[TOTAL_DELIVERIES]++;
    t->single[TOTAL_DELIVERY_MILLISECONDS] += ms;
}

static void add_session(struct totals *t, const struct entry *e)
{
    const size_t end = words_end(e->value[FIELD_END]), rule = words_rule(e->value[FIELD_END]);

    t->single[TOTAL_SESSIONS]++;
    t->single[TOTAL_SESSIONS_TLS] += e->value[FIELD_TLS].n > 0;
    t->single[TOTAL_SESSIONS_LOGIN] += e->value[FIELD_SASL_USERNAME].n > 0;
    if (end < words_ends_n)
        t->end[end]++;
    else if (rule < words_rules_n)
        t->end_rule[rule]++;
    else
        t->end[TOTAL_ENDS_MAX]++;
}

/* "warn", "info" and the like are answers. */
static bool has_failed(struct span opinion)
{
    return span_eq(opinion, SPAN("failed")) || span_eq(opinion, SPAN("signal")) ||
           span_eq(opinion, SPAN("timeout")) || span_eq(opinion, SPAN("not_started")) ||
           span_eq(opinion, SPAN("bad_output"));
}

/* A time more than a day past now is a mistake of some clock. It is not taken, and one that a state
 * has kept does not stay. */
static void add_time(uint64_t *last, uint64_t time)
{
    const uint64_t latest = clock_wall_micros() + day;

    if (*last > latest)
        *last = 0;
    if (time > *last && time <= latest)
        *last = time;
}

void totals_add(struct totals *t, const struct entry *e)
{
    t->single[TOTAL_RECORDS]++;
    add_time(&t->single[TOTAL_LAST_RECORD], e->time);
    t->single[TOTAL_DROPPED] += entry_number(e, FIELD_DROPPED);
    switch (e->kind) {
    case LOG_SESSION:
        add_session(t, e);
        break;
    case LOG_TRANSACTION:
        add_transaction(t, e);
        break;
    case LOG_REFUSAL:
        add_refusal(t, e);
        break;
    case LOG_CONFIGURATION:
        t->single[TOTAL_MISTAKES] += !span_starts_nocase(e->value[FIELD_MISTAKE], SPAN("note"));
        break;
    case LOG_CRASH:
        t->single[e->value[FIELD_VIOLATION].n > 0 ? TOTAL_VIOLATIONS : TOTAL_CRASHES]++;
        break;
    case LOG_SERVICE:
        t->single[TOTAL_PENALTIES] += span_eq(e->value[FIELD_EVENT], SPAN("penalty"));
        break;
    case LOG_OPINION:
        t->single[TOTAL_OPINIONS_FAILED] += has_failed(e->value[FIELD_OPINION]);
        break;
    case LOG_TLS:
        t->single[span_eq(e->value[FIELD_TLS], SPAN("unavailable")) ? TOTAL_TLS_UNAVAILABLE
                                                                    : TOTAL_TLS_FAILED]++;
        break;
    case LOG_KINDS:
        break;
    }
}

static void name_of(struct text *name, const char *group, const char *word, const char *last)
{
    text_adds(name, group);
    text_adds(name, word);
    text_adds(name, last);
    text_string(name);
}

/* Takes the index down by the length of a table. */
static bool within(size_t *i, size_t n)
{
    if (*i < n)
        return true;
    *i -= n;
    return false;
}

bool totals_next(struct totals *t, size_t *at, struct text *name, uint64_t **value)
{
    size_t i = (*at)++;

    name->n = 0;
    if (within(&i, TOTAL_SINGLES)) {
        name_of(name, "", singles[i], "");
        *value = &t->single[i];
    } else if (within(&i, RESULTS)) {
        name_of(name, "result.", results[i], "");
        *value = &t->result[i];
    } else if (within(&i, 2 * (words_rules_n + 1))) {
        const bool known = i / 2 < words_rules_n;

        name_of(name, "rule.", known ? words_rules[i / 2].name : "other", i % 2 == 0 ? ".4" : ".5");
        *value = &t->refusal[known ? i / 2 : TOTAL_RULES_MAX][i % 2];
    } else if (within(&i, words_ends_n + 1)) {
        name_of(name, "end.", i < words_ends_n ? words_ends[i].name : "other", "");
        *value = &t->end[i < words_ends_n ? i : TOTAL_ENDS_MAX];
    } else if (within(&i, words_rules_n)) {
        name_of(name, "end.rule.", words_rules[i].name, "");
        *value = &t->end_rule[i];
    } else if (within(&i, TOTAL_BUCKETS + 1)) {
        text_adds(name, "delivery.");
        if (i < TOTAL_BUCKETS)
            text_addn(name, totals_bucket[i], 1);
        name_of(name, i < TOTAL_BUCKETS ? "" : "more", "", "");
        *value = &t->delivery[i];
    } else {
        return false;
    }
    return true;
}
