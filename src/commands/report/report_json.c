#include "commands/report/report.h"
#include "commands/report/show.h"

#include <inttypes.h>

/* Members of an object or of an array: the comma is before all but the first. */
struct members {
    FILE *out;
    bool any;
};

static void separate(struct members *m)
{
    (void)fputs(m->any ? "," : "", m->out);
    m->any = true;
}

static void key(struct members *m, const char *name)
{
    separate(m);
    (void)fprintf(m->out, "\"%s\":", name);
}

static void number(struct members *m, const char *name, uint64_t value)
{
    key(m, name);
    (void)fprintf(m->out, "%" PRIu64, value);
}

static void text(struct members *m, const char *name, struct span value)
{
    if (value.n == 0)
        return;
    key(m, name);
    show_json(m->out, value);
}

/* Seconds since 1970. */
static void moment(struct members *m, const char *name, uint64_t time)
{
    if (time == 0)
        return;
    key(m, name);
    (void)fprintf(m->out, "%" PRIu64 ".%06" PRIu64, time / 1000000, time % 1000000);
}

static struct members begin(struct members *m, const char *name, char bracket)
{
    if (name != NULL)
        key(m, name);
    else if (m->out != NULL)
        separate(m);
    (void)putc(bracket, m->out);
    return (struct members){.out = m->out};
}

static void results(struct members *m, const char *name, const uint64_t result[RESULTS])
{
    struct members o = begin(m, name, '{');

    for (size_t i = 0; i < RESULTS; i++)
        number(&o, totals_result_name((enum total_result)i), result[i]);
    (void)putc('}', m->out);
}

static void alarms(struct members *m, const char *name, const struct tally_alarms *all)
{
    const uint64_t shown = all->n < TALLY_ALARMS ? all->n : TALLY_ALARMS;
    struct members list = begin(m, name, '[');

    for (uint64_t i = all->n - shown; i < all->n; i++) {
        const struct tally_alarm *a = &all->last[i % TALLY_ALARMS];
        struct members o = begin(&list, NULL, '{');

        moment(&o, "time", a->time);
        text(&o, a->violation ? "violation" : "what", tally_span(&a->what));
        text(&o, a->violation ? "request" : "where", tally_span(&a->where));
        text(&o, "client_address", tally_span(&a->client));
        text(&o, "session", tally_span(&a->session));
        (void)putc('}', m->out);
    }
    (void)putc(']', m->out);
}

static void troubles(struct members *m, const struct tally *t)
{
    number(m, "crashes", t->totals.single[TOTAL_CRASHES]);
    number(m, "violations", t->totals.single[TOTAL_VIOLATIONS]);
    number(m, "configuration_mistakes", t->totals.single[TOTAL_MISTAKES]);
    number(m, "tls_unavailable", t->totals.single[TOTAL_TLS_UNAVAILABLE]);
    number(m, "opinions_failed", t->totals.single[TOTAL_OPINIONS_FAILED]);
    number(m, "records_dropped", t->totals.single[TOTAL_DROPPED]);
    alarms(m, "last_crashes", &t->crashes);
    alarms(m, "last_mistakes", &t->mistakes);
    text(m, "certificate_ends", tally_span(&t->certificate));
}

static void sessions(struct members *m, const struct tally *t)
{
    struct members o = begin(m, "sessions", '{');

    number(&o, "all", t->totals.single[TOTAL_SESSIONS]);
    number(&o, "tls", t->totals.single[TOTAL_SESSIONS_TLS]);
    number(&o, "login", t->totals.single[TOTAL_SESSIONS_LOGIN]);
    number(&o, "tls_failed", t->totals.single[TOTAL_TLS_FAILED]);
    number(&o, "penalties", t->totals.single[TOTAL_PENALTIES]);
    (void)putc('}', m->out);
}

static void hours_and_days(struct members *m, const struct tally *t)
{
    struct members hours = begin(m, "hours", '[');

    for (size_t h = 0; h < 24; h++)
        results(&hours, NULL, t->hour[h]);
    (void)putc(']', m->out);
    hours = begin(m, "days", '[');
    for (size_t d = 0; d < t->days; d++) {
        struct members o = begin(&hours, NULL, '{');

        key(&o, "day");
        (void)fprintf(m->out, "\"%04d-%02d-%02d\"", t->day[d].key / 10000,
                      t->day[d].key / 100 % 100, t->day[d].key % 100);
        results(&o, "messages", t->day[d].result);
        (void)putc('}', m->out);
    }
    (void)putc(']', m->out);
}

static void rules(struct members *m, const struct tally *t)
{
    struct report_rule row[TOTAL_RULES_MAX + 1];
    const size_t n = report_rules(&t->totals, row);
    struct members list = begin(m, "rules", '[');

    for (size_t i = 0; i < n; i++) {
        struct members o = begin(&list, NULL, '{');

        text(&o, "rule", span_of(row[i].name));
        text(&o, "meaning", span_of(row[i].meaning));
        number(&o, "for_now", row[i].later);
        number(&o, "for_good", row[i].good);
        (void)putc('}', m->out);
    }
    (void)putc(']', m->out);
}

static void delivery(struct members *m, const struct tally *t)
{
    struct members o = begin(m, "delivery", '{'), list;

    number(&o, "n", t->delivery.n);
    number(&o, "median_milliseconds", sketch_quantile(&t->delivery, 500));
    number(&o, "p95_milliseconds", sketch_quantile(&t->delivery, 950));
    number(&o, "p99_milliseconds", sketch_quantile(&t->delivery, 990));
    number(&o, "most_milliseconds", t->delivery.most);
    list = begin(&o, "slowest", '[');
    for (size_t i = 0; i < t->slow; i++) {
        const struct tally_slow *slow = &t->slowest[i];
        struct members row = begin(&list, NULL, '{');

        number(&row, "milliseconds", slow->milliseconds);
        moment(&row, "time", slow->time);
        text(&row, "id", tally_span(&slow->id));
        text(&row, "command", tally_span(&slow->command));
        text(&row, "recipient", tally_span(&slow->recipient));
        text(&row, "result", tally_span(&slow->result));
        (void)putc('}', m->out);
    }
    (void)fputs("]}", m->out);
}

static void ends(struct members *m, const struct tally *t)
{
    struct report_end row[TOTAL_ENDS_MAX + TOTAL_RULES_MAX + 1];
    const size_t n = report_ends(&t->totals, row);
    struct members list = begin(m, "odd_ends", '[');

    for (size_t i = 0; i < n; i++) {
        struct members o = begin(&list, NULL, '{');

        text(&o, "end", span_of(row[i].name));
        text(&o, "meaning", span_of(row[i].meaning));
        number(&o, "sessions", row[i].n);
        (void)putc('}', m->out);
    }
    (void)putc(']', m->out);
}

static void top(struct members *m, const struct report *r, const struct report_list *kind)
{
    const struct top *t = &r->tally->top[kind->top];
    const struct top_counter *row[TOP_COUNTERS];
    const size_t n = top_list(t, row, r->top);
    struct members list = begin(m, kind->name, '[');

    for (size_t i = 0; i < n; i++) {
        struct members o = begin(&list, NULL, '{');

        key(&o, "value");
        show_json(m->out, (struct span){.p = row[i]->key, .n = row[i]->n});
        number(&o, "count", row[i]->count);
        number(&o, "error", row[i]->error);
        (void)putc('}', m->out);
    }
    (void)putc(']', m->out);
}

void report_json(FILE *out, const struct report *r)
{
    const struct tally *t = r->tally;
    struct members m = {.out = out};

    (void)putc('{', out);
    moment(&m, "since", r->since != 0 ? r->since : t->first);
    moment(&m, "until", r->until != 0 ? r->until : t->last);
    troubles(&m, t);
    results(&m, "messages", t->totals.result);
    number(&m, "octets", t->totals.single[TOTAL_OCTETS]);
    number(&m, "recipients_accepted", t->totals.single[TOTAL_RECIPIENTS]);
    sessions(&m, t);
    hours_and_days(&m, t);
    rules(&m, t);
    delivery(&m, t);
    ends(&m, t);
    for (size_t i = 0; i < TOP_KINDS; i++)
        top(&m, r, &report_lists[i]);
    number(&m, "records", t->totals.single[TOTAL_RECORDS]);
    number(&m, "foreign", r->foreign);
    number(&m, "skipped", r->skipped + t->skipped);
    number(&m, "undated", t->undated);
    (void)fputs("}\n", out);
}
