#include "commands/report/metrics.h"

#include "commands/report/words.h"

#include <inttypes.h>

struct metrics {
    FILE *out;
    enum metrics_form form;
};

/* The lines before a family's samples. A counter's samples end with _total; in OpenMetrics its
 * family has the name without that. */
static void family(const struct metrics *m, const char *name, const char *type, const char *unit,
                   const char *help)
{
    const bool bare = m->form == METRICS_OPENMETRICS || strcmp(type, "counter") != 0;
    const char *end = bare ? "" : "_total";

    (void)fprintf(m->out, "# HELP smtpin_%s%s %s\n# TYPE smtpin_%s%s %s\n", name, end, help, name,
                  end, type);
    if (m->form == METRICS_OPENMETRICS && unit != NULL)
        (void)fprintf(m->out, "# UNIT smtpin_%s %s\n", name, unit);
}

static void counter(const struct metrics *m, const char *name, const char *unit, const char *help,
                    uint64_t value)
{
    family(m, name, "counter", unit, help);
    (void)fprintf(m->out, "smtpin_%s_total %" PRIu64 "\n", name, value);
}

static void results(const struct metrics *m, const struct totals *t)
{
    family(m, "messages", "counter", NULL, "Messages by result.");
    for (size_t i = 0; i < RESULTS; i++)
        (void)fprintf(m->out, "smtpin_messages_total{result=\"%s\"} %" PRIu64 "\n",
                      totals_result_name((enum total_result)i), t->result[i]);
}

static void refusals(const struct metrics *m, const struct totals *t)
{
    static const char *const kinds[] = {"temporary", "permanent"};

    family(m, "refusals", "counter", NULL,
           "Refusals by rule; what the rules mean: smtpin-rules(7).");
    for (size_t i = 0; i <= words_rules_n; i++)
        for (size_t k = 0; k < 2; k++)
            (void)fprintf(m->out, "smtpin_refusals_total{rule=\"%s\",kind=\"%s\"} %" PRIu64 "\n",
                          i < words_rules_n ? words_rules[i].name : "other", kinds[k],
                          t->refusal[i < words_rules_n ? i : TOTAL_RULES_MAX][k]);
}

static void sessions(const struct metrics *m, const struct totals *t)
{
    family(m, "sessions", "counter", NULL, "Sessions by what ended them.");
    for (size_t i = 0; i <= words_ends_n; i++)
        (void)fprintf(m->out, "smtpin_sessions_total{end=\"%s\"} %" PRIu64 "\n",
                      i < words_ends_n ? words_ends[i].name : "other",
                      t->end[i < words_ends_n ? i : TOTAL_ENDS_MAX]);
    for (size_t i = 0; i < words_rules_n; i++)
        (void)fprintf(m->out, "smtpin_sessions_total{end=\"%s\"} %" PRIu64 "\n",
                      words_rules[i].name, t->end_rule[i]);
}

static void seconds(FILE *out, uint64_t milliseconds)
{
    (void)fprintf(out, "%" PRIu64 ".%03" PRIu64, milliseconds / 1000, milliseconds % 1000);
}

static void delivery(const struct metrics *m, const struct totals *t)
{
    /* totals_bucket, as OpenMetrics writes such numbers. */
    static const char *const bounds[TOTAL_BUCKETS] = {"0.005", "0.01", "0.025", "0.05", "0.1",
                                                      "0.25",  "0.5",  "1.0",   "2.5",  "5.0",
                                                      "10.0",  "30.0", "60.0",  "300.0"};
    uint64_t sum = 0;

    family(m, "delivery_seconds", "histogram", "seconds",
           "How long deliveries took, from the start of the command to its end.");
    for (size_t i = 0; i < TOTAL_BUCKETS; i++) {
        sum += t->delivery[i];
        (void)fprintf(m->out, "smtpin_delivery_seconds_bucket{le=\"%s\"} %" PRIu64 "\n", bounds[i],
                      sum);
    }
    (void)fprintf(m->out, "smtpin_delivery_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n",
                  t->single[TOTAL_DELIVERIES]);
    (void)fputs("smtpin_delivery_seconds_sum ", m->out);
    seconds(m->out, t->single[TOTAL_DELIVERY_MILLISECONDS]);
    (void)fprintf(m->out, "\nsmtpin_delivery_seconds_count %" PRIu64 "\n",
                  t->single[TOTAL_DELIVERIES]);
}

void metrics_write(FILE *out, enum metrics_form form, const struct totals *t)
{
    const uint64_t last = t->single[TOTAL_LAST_RECORD];
    static const struct {
        enum total_single total;
        const char *name, *unit, *help;
    } counters[] = {
        {TOTAL_OCTETS, "accepted_bytes", "bytes", "Octets of accepted messages."},
        {TOTAL_RECIPIENTS, "accepted_recipients", NULL, "Recipients of accepted messages."},
        {TOTAL_SESSIONS_TLS, "tls_sessions", NULL, "Sessions inside TLS."},
        {TOTAL_SESSIONS_LOGIN, "login_sessions", NULL, "Sessions with a login."},
        {TOTAL_CRASHES, "crashes", NULL, "Processes of sessions that died."},
        {TOTAL_VIOLATIONS, "violations", NULL,
         "Processes of sessions that asked for what no session asks for."},
        {TOTAL_MISTAKES, "configuration_mistakes", NULL,
         "Records of a mistake in the configuration."},
        {TOTAL_TLS_FAILED, "tls_failures", NULL, "TLS handshakes that failed."},
        {TOTAL_TLS_UNAVAILABLE, "tls_unavailable", NULL, "Sessions for which there was no TLS."},
        {TOTAL_OPINIONS_FAILED, "opinion_failures", NULL,
         "Policy servers and check commands that gave no answer."},
        {TOTAL_PENALTIES, "penalties", NULL, "Networks that were turned away for some time."},
        {TOTAL_DROPPED, "dropped_records", NULL, "Records that nobody took."},
        {TOTAL_RECORDS, "records", NULL, "Records that were read."},
    };
    const struct metrics m = {.out = out, .form = form};

    results(&m, t);
    refusals(&m, t);
    sessions(&m, t);
    delivery(&m, t);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        counter(&m, counters[i].name, counters[i].unit, counters[i].help,
                t->single[counters[i].total]);
    if (last != 0) {
        family(&m, "last_record_timestamp_seconds", "gauge", "seconds",
               "When the newest record was written.");
        (void)fprintf(out, "smtpin_last_record_timestamp_seconds %" PRIu64 ".%06" PRIu64 "\n",
                      last / 1000000, last % 1000000);
    }
    if (form == METRICS_OPENMETRICS)
        (void)fputs("# EOF\n", out);
}
