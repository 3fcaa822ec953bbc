#include "commands/report/charts.h"
#include "commands/report/report.h"
#include "commands/report/show.h"

#include <inttypes.h>

/* One file: no script runs in it, and nothing is fetched, whatever a mistake of ours might let
 * through. */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Mail of smtpin</title>\n"
    "<style>\n"
    ":root{--text:#222;--back:#fff;--dim:#777;--grid:#ddd;--accepted:#2a78b8;--deferred:#d9a400;"
    "--refused:#b8372a;--abandoned:#aaa}\n"
    "@media(prefers-color-scheme:dark){:root{--text:#ddd;--back:#181818;--dim:#999;--grid:#444;"
    "--accepted:#5aa7e0;--deferred:#e0b63c;--refused:#e0685a;--abandoned:#777}}\n"
    "body{font:15px/1.4 sans-serif;color:var(--text);background:var(--back);max-width:760px;"
    "margin:1em auto;padding:0 1em}\n"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin:1.6em 0 .4em}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "td,th{padding:.15em .6em .15em 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}\n"
    "td.n,th.n{text-align:right;width:6em;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "p.note{color:var(--dim)}section.first{border-left:4px solid var(--refused);padding-left:1em}\n"
    "svg{max-width:100%;height:auto}svg text{font:12px sans-serif;fill:var(--dim)}\n"
    "text.end{text-anchor:end}text.middle{text-anchor:middle}\n"
    "path.axis{stroke:var(--dim)}path.grid{stroke:var(--grid)}\n"
    "rect.accepted{fill:var(--accepted)}rect.deferred{fill:var(--deferred)}"
    "rect.refused{fill:var(--refused)}rect.abandoned{fill:var(--abandoned)}\n"
    "b.accepted{color:var(--accepted)}b.deferred{color:var(--deferred)}"
    "b.refused{color:var(--refused)}b.abandoned{color:var(--abandoned)}\n"
    "</style></head><body>\n";

static void heading(FILE *out, const char *title)
{
    (void)fprintf(out, "<h2>%s</h2>\n", title);
}

static void begin_row(FILE *out, uint64_t n)
{
    (void)fputs("<tr><td class=\"n\">", out);
    show_number(out, n);
    (void)fputs("</td><td>", out);
}

static void end_row(FILE *out)
{
    (void)fputs("</td></tr>\n", out);
}

static void row(FILE *out, uint64_t n, const char *what)
{
    begin_row(out, n);
    show_html(out, span_of(what));
    end_row(out);
}

static void word(FILE *out, const char *before, const struct tally_word *w)
{
    if (w->n == 0)
        return;
    (void)fputs(before, out);
    show_html(out, tally_span(w));
}

static void put_alarms(FILE *out, const struct tally_alarms *all, bool crashes)
{
    const uint64_t shown = all->n < TALLY_ALARMS ? all->n : TALLY_ALARMS;

    for (uint64_t i = all->n - shown; i < all->n; i++) {
        const struct tally_alarm *a = &all->last[i % TALLY_ALARMS];

        (void)fputs("<tr><td></td><td>", out);
        show_time(out, a->time);
        word(out, a->violation ? " violation: " : crashes ? " crash, signal " : " ", &a->what);
        word(out,
             a->violation            ? ", request "
             : crashes && !a->what.n ? " crash, status "
                                     : ", key ",
             &a->where);
        word(out, ", client ", &a->client);
        word(out, ", session ", &a->session);
        end_row(out);
    }
}

static void put_troubles(FILE *out, const struct tally *t)
{
    struct report_trouble trouble[TOTAL_SINGLES];
    const size_t n = report_troubles(&t->totals, trouble);

    if (n == 0 && t->certificate.n == 0)
        return;
    (void)fputs("<section class=\"first\">\n", out);
    heading(out, "Look at this first");
    (void)fputs("<table>\n", out);
    for (size_t i = 0; i < n; i++)
        row(out, trouble[i].n, trouble[i].what);
    put_alarms(out, &t->crashes, true);
    put_alarms(out, &t->mistakes, false);
    if (t->certificate.n > 0) {
        word(out, "<tr><td></td><td>the certificate ends ", &t->certificate);
        end_row(out);
    }
    (void)fputs("</table></section>\n", out);
}

static void put_totals(FILE *out, const struct tally *t)
{
    static const struct {
        enum total_result result;
        const char *class, *what;
    } rows[] = {{RESULT_ACCEPTED, "accepted", "accepted"},
                {RESULT_DEFERRED, "deferred", "deferred: told to come again"},
                {RESULT_REFUSED, "refused", "refused"},
                {RESULT_MIXED, "refused", "mixed: recipients with different results"},
                {RESULT_ABANDONED, "abandoned", "abandoned by the client"},
                {RESULT_OTHER, "abandoned", "with another result"}};

    heading(out, "Messages");
    (void)fputs("<table>\n", out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t n = t->totals.result[rows[i].result];

        if (n == 0 && (rows[i].result == RESULT_MIXED || rows[i].result == RESULT_OTHER))
            continue;
        begin_row(out, n);
        (void)fprintf(out, "<b class=\"%s\">&#9632;</b> %s", rows[i].class, rows[i].what);
        end_row(out);
    }
    row(out, t->totals.single[TOTAL_RECIPIENTS], "recipients of accepted messages");
    (void)fputs("<tr><td class=\"n\">", out);
    show_octets(out, t->totals.single[TOTAL_OCTETS]);
    (void)fputs("</td><td>accepted</td></tr>\n", out);
    row(out, t->totals.single[TOTAL_SESSIONS], "sessions");
    row(out, t->totals.single[TOTAL_SESSIONS_TLS], "sessions inside TLS");
    row(out, t->totals.single[TOTAL_SESSIONS_LOGIN], "sessions with a login");
    (void)fputs("</table>\n", out);
}

static void put_days(FILE *out, const struct tally *t)
{
    if (t->days < 2)
        return;
    heading(out, "Messages by day");
    (void)fputs("<table><tr><th>day</th><th class=\"n\">accepted</th><th class=\"n\">deferred</th>"
                "<th class=\"n\">refused</th><th class=\"n\">abandoned</th></tr>\n",
                out);
    for (size_t d = 0; d < t->days; d++) {
        const uint64_t *r = t->day[d].result;

        (void)fprintf(out,
                      "<tr><td>%04d-%02d-%02d</td><td class=\"n\">%" PRIu64
                      "</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64
                      "</td><td class=\"n\">%" PRIu64 "</td></tr>\n",
                      t->day[d].key / 10000, t->day[d].key / 100 % 100, t->day[d].key % 100,
                      r[RESULT_ACCEPTED], r[RESULT_DEFERRED], r[RESULT_REFUSED] + r[RESULT_MIXED],
                      r[RESULT_ABANDONED] + r[RESULT_OTHER]);
    }
    (void)fputs("</table>\n", out);
}

static void put_rules(FILE *out, const struct tally *t)
{
    struct report_rule rule[TOTAL_RULES_MAX + 1];
    const size_t n = report_rules(&t->totals, rule);

    if (n == 0)
        return;
    heading(out, "Refusals by rule");
    (void)fputs("<table><tr><th class=\"n\">for now</th><th class=\"n\">for good</th>"
                "<th>rule</th></tr>\n",
                out);
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(out,
                      "<tr><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64
                      "</td><td><b>%s</b>: ",
                      rule[i].later, rule[i].good, rule[i].name);
        show_html(out, span_of(rule[i].meaning));
        end_row(out);
    }
    (void)fputs("</table>\n", out);
}

static void put_delivery(FILE *out, const struct tally *t)
{
    if (t->delivery.n == 0)
        return;
    heading(out, "Delivery times");
    charts_delivery(out, t);
    (void)fputs("<p>Median ", out);
    show_duration(out, sketch_quantile(&t->delivery, 500));
    (void)fputs(", 95 % within ", out);
    show_duration(out, sketch_quantile(&t->delivery, 950));
    (void)fputs(", 99 % within ", out);
    show_duration(out, sketch_quantile(&t->delivery, 990));
    (void)fputs(". The slowest:</p>\n<table>\n", out);
    for (size_t i = 0; i < t->slow; i++) {
        const struct tally_slow *slow = &t->slowest[i];

        (void)fputs("<tr><td class=\"n\">", out);
        show_duration(out, slow->milliseconds);
        (void)fputs("</td><td>", out);
        word(out, "", &slow->command);
        word(out, " for ", &slow->recipient);
        word(out, ", ", &slow->result);
        word(out, ", id ", &slow->id);
        end_row(out);
    }
    (void)fputs("</table>\n", out);
}

static void put_ends(FILE *out, const struct tally *t)
{
    struct report_end end[TOTAL_ENDS_MAX + TOTAL_RULES_MAX + 1];
    const size_t n = report_ends(&t->totals, end);

    if (n == 0)
        return;
    heading(out, "Sessions that ended oddly");
    (void)fputs("<table>\n", out);
    for (size_t i = 0; i < n; i++) {
        begin_row(out, end[i].n);
        (void)fprintf(out, "<b>%s</b>: ", end[i].name);
        show_html(out, span_of(end[i].meaning));
        end_row(out);
    }
    (void)fputs("</table>\n", out);
}

static void put_top(FILE *out, const struct report *r, const struct report_list *list)
{
    const struct top_counter *counter[TOP_COUNTERS];
    const size_t n = top_list(&r->tally->top[list->top], counter, r->top);
    uint64_t error = 0;

    if (n == 0)
        return;
    heading(out, list->title);
    (void)fputs("<table>\n", out);
    for (size_t i = 0; i < n; i++) {
        begin_row(out, counter[i]->count);
        show_html(out, (struct span){.p = counter[i]->key, .n = counter[i]->n});
        end_row(out);
        error = counter[i]->error > error ? counter[i]->error : error;
    }
    (void)fputs("</table>\n", out);
    if (error > 0)
        (void)fprintf(out, "<p class=\"note\">Each at most %" PRIu64 " too high.</p>\n", error);
}

void report_html(FILE *out, const struct report *r)
{
    const struct tally *t = r->tally;

    (void)fputs(head, out);
    (void)fputs("<h1>Mail of smtpin</h1>\n<p>", out);
    show_time(out, r->since != 0 ? r->since : t->first);
    (void)fputs(" to ", out);
    show_time(out, r->until != 0 ? r->until : t->last);
    (void)fputs("</p>\n", out);
    put_troubles(out, t);
    put_totals(out, t);
    heading(out, "Messages by hour of the day");
    charts_hours(out, t);
    put_days(out, t);
    put_rules(out, t);
    put_delivery(out, t);
    put_ends(out, t);
    for (size_t i = 0; i < TOP_KINDS; i++)
        put_top(out, r, &report_lists[i]);
    (void)fprintf(out, "<p class=\"note\">%" PRIu64 " records", t->totals.single[TOTAL_RECORDS]);
    if (r->foreign > 0)
        (void)fprintf(out, ", %" PRIu64 " lines or entries of others", r->foreign);
    if (r->skipped + t->skipped > 0)
        (void)fprintf(out, ", %" PRIu64 " values or lines too long to be read",
                      r->skipped + t->skipped);
    if (t->undated > 0)
        (void)fprintf(out, ", %" PRIu64 " records without a time", t->undated);
    (void)fputs("</p>\n</body></html>\n", out);
}
