#include "commands/report/report.h"
#include "commands/report/show.h"

#include <inttypes.h>

enum { BAR = 40 };

static void heading(FILE *out, const char *title)
{
    (void)fprintf(out, "\n%s\n", title);
}

static void count(FILE *out, uint64_t n, const char *what)
{
    (void)fprintf(out, "%10" PRIu64 "  %s\n", n, what);
}

static void put_span(FILE *out, const struct report *r)
{
    const struct tally *t = r->tally;

    (void)fputs("Mail of smtpin, ", out);
    show_time(out, r->since != 0 ? r->since : t->first);
    (void)fputs(" to ", out);
    show_time(out, r->until != 0 ? r->until : t->last);
    (void)fputs("\n", out);
}

static void put_alarms(FILE *out, const struct tally_alarms *all, bool crashes)
{
    const uint64_t shown = all->n < TALLY_ALARMS ? all->n : TALLY_ALARMS;

    for (uint64_t i = all->n - shown; i < all->n; i++) {
        const struct tally_alarm *a = &all->last[i % TALLY_ALARMS];

        (void)fputs("    ", out);
        show_time(out, a->time);
        if (crashes)
            (void)fputs(a->violation    ? "  violation: "
                        : a->what.n > 0 ? "  crash, signal "
                                        : "  crash, status ",
                        out);
        else
            (void)fputs("  ", out);
        show_text(out, tally_span(a->what.n > 0 || !crashes ? &a->what : &a->where));
        if (a->where.n > 0 && a->what.n > 0) {
            (void)fputs(crashes ? ", request " : ", key ", out);
            show_text(out, tally_span(&a->where));
        }
        if (a->client.n > 0) {
            (void)fputs(", client ", out);
            show_text(out, tally_span(&a->client));
        }
        if (a->session.n > 0) {
            (void)fputs(", --id ", out);
            show_text(out, tally_span(&a->session));
        }
        (void)fputs("\n", out);
    }
}

static void put_troubles(FILE *out, const struct tally *t)
{
    struct report_trouble row[TOTAL_SINGLES];
    const size_t n = report_troubles(&t->totals, row);

    if (n == 0 && t->certificate.n == 0)
        return;
    heading(out, "Look at this first");
    for (size_t i = 0; i < n; i++)
        count(out, row[i].n, row[i].what);
    put_alarms(out, &t->crashes, true);
    put_alarms(out, &t->mistakes, false);
    if (t->certificate.n > 0) {
        (void)fputs("            the certificate ends ", out);
        show_text(out, tally_span(&t->certificate));
        (void)fputs("\n", out);
    }
}

static void put_totals(FILE *out, const struct tally *t)
{
    static const char *const what[RESULTS] = {"accepted",
                                              "deferred: told to come again",
                                              "refused",
                                              "mixed: recipients with different results",
                                              "abandoned by the client",
                                              "with another result"};

    heading(out, "Messages");
    for (size_t i = 0; i < RESULTS; i++)
        if (i < RESULT_MIXED || i == RESULT_ABANDONED || t->totals.result[i] > 0)
            count(out, t->totals.result[i], what[i]);
    (void)fputs("            ", out);
    show_octets(out, t->totals.single[TOTAL_OCTETS]);
    (void)fputs(" accepted, for ", out);
    show_number(out, t->totals.single[TOTAL_RECIPIENTS]);
    (void)fputs(" recipients\n", out);
    heading(out, "Sessions");
    count(out, t->totals.single[TOTAL_SESSIONS], "in all");
    count(out, t->totals.single[TOTAL_SESSIONS_TLS], "inside TLS");
    count(out, t->totals.single[TOTAL_SESSIONS_LOGIN], "with a login");
    if (t->totals.single[TOTAL_TLS_FAILED] > 0)
        count(out, t->totals.single[TOTAL_TLS_FAILED], "handshakes that failed");
    if (t->totals.single[TOTAL_PENALTIES] > 0)
        count(out, t->totals.single[TOTAL_PENALTIES], "penalties");
}

/* Accepted '#', deferred '+', refused and mixed '-', abandoned '.': as long as their part of the
 * longest row. */
static void put_bar(FILE *out, const uint64_t result[RESULTS], uint64_t most)
{
    static const char marks[RESULTS] = {'#', '+', '-', '-', '.', '.'};
    uint64_t sum = 0, put = 0;

    for (size_t i = 0; i < RESULTS; i++) {
        uint64_t to;

        sum += result[i];
        to = (sum * BAR + most - 1) / most;
        for (; put < to; put++)
            (void)putc(marks[i], out);
    }
}

static uint64_t sum_of(const uint64_t result[RESULTS])
{
    uint64_t sum = 0;

    for (size_t i = 0; i < RESULTS; i++)
        sum += result[i];
    return sum;
}

static void put_row(FILE *out, const uint64_t result[RESULTS], uint64_t most)
{
    (void)fprintf(out, "%9" PRIu64 "%9" PRIu64 "%9" PRIu64 "%10" PRIu64 "  ",
                  result[RESULT_ACCEPTED], result[RESULT_DEFERRED],
                  result[RESULT_REFUSED] + result[RESULT_MIXED],
                  result[RESULT_ABANDONED] + result[RESULT_OTHER]);
    put_bar(out, result, most);
    (void)putc('\n', out);
}

static void put_hours(FILE *out, const struct tally *t)
{
    uint64_t most = 1;

    for (size_t h = 0; h < 24; h++)
        if (sum_of(t->hour[h]) > most)
            most = sum_of(t->hour[h]);
    heading(out, "Messages by hour of the day (# accepted, + deferred, - refused, . abandoned)");
    (void)fputs("       accepted deferred  refused abandoned\n", out);
    for (size_t h = 0; h < 24; h++) {
        (void)fprintf(out, "%02zu-%02zu ", h, h + 1);
        put_row(out, t->hour[h], most);
    }
}

static void put_days(FILE *out, const struct tally *t)
{
    uint64_t most = 1;

    if (t->days < 2)
        return;
    for (size_t d = 0; d < t->days; d++)
        if (sum_of(t->day[d].result) > most)
            most = sum_of(t->day[d].result);
    heading(out, "Messages by day");
    (void)fputs("            accepted deferred  refused abandoned\n", out);
    if (sum_of(t->earlier) > 0) {
        (void)fputs("earlier    ", out);
        put_row(out, t->earlier, sum_of(t->earlier) * BAR); /* no bar */
    }
    for (size_t d = 0; d < t->days; d++) {
        (void)fprintf(out, "%04d-%02d-%02d ", t->day[d].key / 10000, t->day[d].key / 100 % 100,
                      t->day[d].key % 100);
        put_row(out, t->day[d].result, most);
    }
}

static void put_rules(FILE *out, const struct tally *t)
{
    struct report_rule row[TOTAL_RULES_MAX + 1];
    const size_t n = report_rules(&t->totals, row);

    heading(out, "Refusals by rule");
    if (n == 0)
        (void)fputs("      none\n", out);
    else
        (void)fputs("   for now  for good\n", out);
    for (size_t i = 0; i < n; i++)
        (void)fprintf(out, "%10" PRIu64 "%10" PRIu64 "  %s: %s\n", row[i].later, row[i].good,
                      row[i].name, row[i].meaning);
}

static void put_top(FILE *out, const struct report *r, const struct report_list *list)
{
    const struct top *top = &r->tally->top[list->top];
    const struct top_counter *row[TOP_COUNTERS];
    const size_t n = top_list(top, row, r->top);
    uint64_t error = 0;

    if (n == 0)
        return;
    heading(out, list->title);
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(out, "%10" PRIu64 "  ", row[i]->count);
        show_text(out, (struct span){.p = row[i]->key, .n = row[i]->n});
        (void)putc('\n', out);
        error = row[i]->error > error ? row[i]->error : error;
    }
    if (error > 0)
        (void)fprintf(out, "            each at most %" PRIu64 " too high\n", error);
}

static void put_delivery(FILE *out, const struct tally *t)
{
    const struct sketch *s = &t->delivery;

    heading(out, "Delivery times");
    if (s->n == 0) {
        (void)fputs("      none\n", out);
        return;
    }
    (void)fputs("      median ", out);
    show_duration(out, sketch_quantile(s, 500));
    (void)fputs(", 95 % within ", out);
    show_duration(out, sketch_quantile(s, 950));
    (void)fputs(", 99 % within ", out);
    show_duration(out, sketch_quantile(s, 990));
    (void)fputs("\n      the slowest:\n", out);
    for (size_t i = 0; i < t->slow; i++) {
        const struct tally_slow *slow = &t->slowest[i];

        (void)fputs("      ", out);
        show_duration(out, slow->milliseconds);
        (void)fputs("  ", out);
        show_text(out, tally_span(&slow->command));
        (void)fputs(" for ", out);
        show_text(out, tally_span(&slow->recipient));
        (void)fputs(", ", out);
        show_text(out, tally_span(&slow->result));
        (void)fputs(", --id ", out);
        show_text(out, tally_span(&slow->id));
        (void)putc('\n', out);
    }
}

static void put_ends(FILE *out, const struct tally *t)
{
    struct report_end row[TOTAL_ENDS_MAX + TOTAL_RULES_MAX + 1];
    const size_t n = report_ends(&t->totals, row);

    if (n == 0)
        return;
    heading(out, "Sessions that ended oddly");
    for (size_t i = 0; i < n; i++)
        (void)fprintf(out, "%10" PRIu64 "  %s: %s\n", row[i].n, row[i].name, row[i].meaning);
}

static void put_notes(FILE *out, const struct report *r)
{
    const struct tally *t = r->tally;

    (void)putc('\n', out);
    count(out, t->totals.single[TOTAL_RECORDS], "records read");
    if (r->foreign > 0)
        count(out, r->foreign, "lines or entries that are no records of smtpin");
    if (r->skipped + t->skipped > 0)
        count(out, r->skipped + t->skipped, "values or lines too long to be read");
    if (t->undated > 0)
        count(out, t->undated, "records without a time");
}

void report_text(FILE *out, const struct report *r)
{
    const struct tally *t = r->tally;

    put_span(out, r);
    put_troubles(out, t);
    put_totals(out, t);
    put_hours(out, t);
    put_days(out, t);
    put_rules(out, t);
    put_delivery(out, t);
    put_ends(out, t);
    for (size_t i = 0; i < TOP_KINDS; i++)
        put_top(out, r, &report_lists[i]);
    put_notes(out, r);
}
