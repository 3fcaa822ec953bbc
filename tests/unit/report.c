/* smtpin-report's pure parts: the forms that records come in, times, counters, quantiles, totals,
 * what is shown of strangers' octets. */
#include "commands/report/dates.h"
#include "commands/report/forms.h"
#include "commands/report/options.h"
#include "commands/report/show.h"
#include "commands/report/sketch.h"
#include "commands/report/state.h"
#include "commands/report/tally.h"
#include "commands/report/words.h"
#include "unit.h"

#include <stdlib.h>
#include <time.h>

static const uint64_t SECOND = 1000000, NOW = 1796000000000000; /* 2026-11-30 00:53:20 UTC */
static struct entry e;

static void utc(void)
{
    setenv("TZ", "UTC0", 1);
    tzset();
}

static uint64_t at(const char *date)
{
    uint64_t out = 1;

    cr_assert(dates_parse(span_of(date), NOW, &out), "%s", date);
    return out;
}

Test(entry, every_name_is_found, .init = utc)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const char *name = entry_field_name((enum entry_field)i);
        char capitals[32];
        size_t n = 0;

        for (; name[n] != '\0'; n++)
            capitals[n] = name[n] >= 'a' && name[n] <= 'z' ? (char)(name[n] - 32) : name[n];
        cr_expect_eq(entry_field(guarded(name, n)), i, "%s", name);
        cr_expect_eq(entry_field_of_journal(guarded(capitals, n)), i, "%s", name);
        cr_expect_eq(entry_field(guarded(capitals, n)), FIELDS, "%s", name);
        cr_expect_eq(entry_field(guarded(name, n - 1)) == (enum entry_field)i, false, "%s", name);
    }
    cr_expect_eq(entry_field(SPAN("")), FIELDS);
    cr_expect_eq(entry_field(SPAN("idx")), FIELDS);
    cr_expect_eq(entry_field(SPAN("delivery_millisecondsx")), FIELDS);
    cr_expect_eq(entry_field(SPAN("@D")), FIELDS);
}

Test(entry, values)
{
    struct span value;
    size_t n = 0;

    entry_clear(&e);
    entry_add(&e, FIELD_HELO, SPAN("a\\x41\\x00\\xZZ\\"));
    cr_expect(span_eq(e.value[FIELD_HELO], (struct span){"aA\0\\xZZ\\", 8}));
    entry_add(&e, FIELD_FORWARD_PATH, SPAN("one"));
    entry_add(&e, FIELD_ALIAS, SPAN("other"));
    entry_add(&e, FIELD_FORWARD_PATH, SPAN("two"));
    entry_add(&e, FIELD_FORWARD_PATH, SPAN("three"));
    cr_expect(entry_next(&e, FIELD_FORWARD_PATH, &n, &value));
    cr_expect_span(value, "one", "first");
    cr_expect(entry_next(&e, FIELD_FORWARD_PATH, &n, &value));
    cr_expect_span(value, "two", "second");
    cr_expect(entry_next(&e, FIELD_FORWARD_PATH, &n, &value));
    cr_expect_span(value, "three", "third");
    cr_expect_not(entry_next(&e, FIELD_FORWARD_PATH, &n, &value));
    n = 0;
    cr_expect_not(entry_next(&e, FIELD_RULE, &n, &value));
    for (size_t i = 0; i < 100; i++)
        entry_add(&e, FIELD_FAILED, SPAN("x"));
    cr_expect_eq(e.more, ENTRY_MORE);
    cr_expect_gt(e.skipped, 30);
    entry_add(&e, FIELD_SIZE, SPAN("12"));
    cr_expect_eq(entry_number(&e, FIELD_SIZE), 12);
    cr_expect_eq(entry_number(&e, FIELD_HELO), 0);
}

Test(entry, a_session_tells_its_time)
{
    cr_expect_eq(entry_session_time(SPAN("1j1e495hgc5j3i")) / SECOND, 1795988127);
    cr_expect_eq(entry_session_time(SPAN("1j1e495hgc5")), 0);
    cr_expect_eq(entry_session_time(SPAN("vvvvvvvvvvvvvv")), 0);
    cr_expect_eq(entry_session_time(SPAN("ID")), 0);
    cr_expect_eq(entry_session_time(SPAN("1j1e495hGc5j3i")), 0);
}

Test(dates, since_and_until, .init = utc)
{
    static const struct {
        const char *text, *same;
    } rows[] = {
        {"2026-11-30 00:53:20", "now"},
        {"@1796000000", "now"},
        {"2026-11-30", "today"},
        {"2026-11-29", "yesterday"},
        {"2026-12-01", "tomorrow"},
        {"2026-11-30T00:53:20", "now"},
        {"2026-11-30 00:53", "00:53"},
        {"2026-11-29 22:53:20", "-2h"},
        {"2026-11-29 22:53:20", "-120min"},
        {"2026-11-29 22:53:20", "2h ago"},
        {"2026-11-29 22:53:20", "1 hour 60 minutes ago"},
        {"2026-11-30 00:54:20", "+1m"},
        {"2026-11-30 00:54:25", "+1min 5s"},
        {"2026-11-23 00:53:20", "-1w"},
        {"2024-02-29", "@1709164800"},
    };
    static const char *const wrong[] = {
        "",
        "x",
        "2026-13-01",
        "2026-02-30",
        "2026-1-1",
        "2026-11-30 ",
        "2026-11-30 24:00",
        "2026-11-30 1:00",
        "-",
        "+",
        "-2x",
        "--2h",
        "-2h ago",
        "@",
        "@-1",
        "@99999999999999999999",
        "12:60",
        "-99999999999999999999h",
        "nowx",
        "2026-11-30  00:00",
        "ago",
        " ago",
        "4294967295w ago",
    };
    uint64_t out = 7;

    for (size_t i = 0; i < COUNT(rows); i++)
        cr_expect_eq(at(rows[i].text), at(rows[i].same), "%s is %s", rows[i].text, rows[i].same);
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (strcmp(wrong[i], "2026-11-30 ") != 0) /* blanks at the ends do not matter */
            cr_expect_not(dates_parse(guarded(wrong[i], strlen(wrong[i])), NOW, &out), "%s",
                          wrong[i]);
    cr_expect_eq(out, 7);
}

Test(dates, in_front_of_lines, .init = utc)
{
    static const struct {
        const char *line, *rest, *same;
    } rows[] = {
        {"Nov 29 21:20:18 mx smtpin[7]: x", "mx smtpin[7]: x", "2026-11-29 21:20:18"},
        {"Dec  5 01:02:03 mx x", "mx x", "2025-12-05 01:02:03"},
        {"Feb 29 01:02:03 mx x", "mx x", "2024-02-29 01:02:03"},
        {"Nov 29 21:20:18.500000 mx x", "mx x", "2026-11-29 21:20:18"},
        {"2026-11-29T21:20:18.123456+00:00 mx x", "mx x", "2026-11-29 21:20:18"},
        {"2026-11-29T21:20:18+0200 mx x", "mx x", "2026-11-29 19:20:18"},
        {"2026-11-29T21:20:18Z mx x", "mx x", "2026-11-29 21:20:18"},
        {"Sun 2026-11-29 21:20:18 UTC mx x", "UTC mx x", "2026-11-29 21:20:18"},
        {"2026-11-29 21:20:18 mx x", "mx x", "2026-11-29 21:20:18"},
        {"1796000000.123456 mx x", "mx x", "now"},
    };
    static const char *const none[] = {
        "session session=x",      "Nov 31 00:00:00 mx",    "Nov",   "",
        "smtpin[7]: session x=y", "2026-11-29T21:20:18",   "Nov 2", "12345 x",
        "99999999999.1 x",        "2026-11-29T99:20:18Z x"};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct span line = guarded(rows[i].line, strlen(rows[i].line));
        const uint64_t time = dates_take(&line, NOW);

        cr_expect_eq(time / SECOND, at(rows[i].same) / SECOND, "%s", rows[i].line);
        cr_expect_span(line, rows[i].rest, rows[i].line);
    }
    for (size_t i = 0; i < COUNT(none); i++) {
        struct span line = guarded(none[i], strlen(none[i]));

        cr_expect_eq(dates_take(&line, NOW), 0, "%s", none[i]);
        cr_expect_span(line, none[i], none[i]);
    }
}

static bool line(const char *text)
{
    return form_line(&e, guarded(text, strlen(text)), NOW);
}

Test(forms, lines, .init = utc)
{
    static const char *const same[] = {
        "refused session=1j1e495hgc5j3i helo=\"a b\" rule=relay",
        "smtpin[7]: refused session=1j1e495hgc5j3i helo=\"a b\" rule=relay",
        "<5>refused session=1j1e495hgc5j3i helo=\"a b\" rule=relay",
        "Nov 29 21:35:27 mx smtpin[7]: refused session=1j1e495hgc5j3i helo=\"a b\" rule=relay",
        "Nov 29 21:35:27 mx smtpin[7]: smtpin[7]: refused session=1j1e495hgc5j3i helo=\"a b\" "
        "rule=relay\r",
        "Sun 2026-11-29 21:35:27 UTC mx smtpin@0-1.service[7]: refused session=1j1e495hgc5j3i "
        "helo=\"a b\" rule=relay unknown=1",
    };
    static const char *const none[] = {
        "",
        "refused",
        "refused ",
        "other session=x",
        "refused session",
        "refused session=\"x",
        "refused session=x helo=\"a\"b",
        "refused  session=x",
        "refused a b=c",
        "mx postfix/smtpd[1]: connect from refused a=b",
        "mx smtpin[7]: other: x=1",
    };

    for (size_t i = 0; i < COUNT(same); i++) {
        cr_expect(line(same[i]), "%s", same[i]);
        cr_expect_eq(e.kind, LOG_REFUSAL);
        cr_expect_eq(e.time / SECOND, 1795988127, "%s", same[i]);
        cr_expect_span(e.value[FIELD_HELO], "a b", same[i]);
        cr_expect_span(e.value[FIELD_RULE], "relay", same[i]);
    }
    for (size_t i = 0; i < COUNT(none); i++)
        cr_expect_not(line(none[i]), "%s", none[i]);
    /* What a client says is in quotes, and no prefix. */
    cr_expect(line("refused helo=\"x smtpin[1]: session rule=x: transaction id=1\" rule=relay"));
    cr_expect_eq(e.kind, LOG_REFUSAL);
    cr_expect_span(e.value[FIELD_RULE], "relay", "rule");
    cr_expect_eq(e.time, 0);
}

static bool json(const char *text)
{
    return form_json(&e, guarded(text, strlen(text)));
}

#define RECORD "\"MESSAGE_ID\":\"5f8a3c0d7f1e4b6c9d2a7e41c3b80f12\","

Test(forms, json, .init = utc)
{
    static const char *const none[] = {
        "",
        "{",
        "{}",
        "{\"a\":1}",
        "[]",
        "{" RECORD "\"SMTP_ID\":\"x}",
        "{" RECORD "\"SMTP_ID\":\"x\"",
        "{" RECORD "\"SMTP_ID\":\"x\"} x",
        "{" RECORD "\"SMTP_ID\":\"\\q\"}",
        "{" RECORD "\"SMTP_ID\":\"\\u12\"}",
        "{" RECORD "\"SMTP_ID\":[256]}",
        "{" RECORD "\"SMTP_ID\":[1,]}",
        "{" RECORD "\"SMTP_ID\":[[[1]]]}",
        "{" RECORD "\"X\":[[[[[[[[[[[[1]]]]]]]]]]]]}",
        "{" RECORD
        "\"X\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}",
    };

    cr_expect(json(" {" RECORD " \"__REALTIME_TIMESTAMP\" : \"1796000000000000\",\"SMTP_HELO\":"
                   "\"a\\u00fc\\ud83d\\ude00\\n\\\"\\\\x5c\",\"SMTP_FORWARD_PATH\":[\"one\",[116,"
                   "119,111]],\"SMTP_SIZE\":[49,50],\"X\":null,\"Y\":{\"a\":[1,2,{}]},\"Z\":-1.5e3,"
                   "\"SMTP_RULE\":null} "));
    cr_expect_eq(e.kind, LOG_TRANSACTION);
    cr_expect_eq(e.time, NOW);
    cr_expect_span(e.value[FIELD_HELO], "a\xc3\xbc\xf0\x9f\x98\x80\n\"\\", "helo");
    cr_expect_span(e.value[FIELD_FORWARD_PATH], "one", "first");
    cr_expect_span(e.other[0].value, "two", "second");
    cr_expect_eq(entry_number(&e, FIELD_SIZE), 12);
    cr_expect_eq(e.value[FIELD_RULE].n, 0);
    for (size_t i = 0; i < COUNT(none); i++)
        cr_expect_not(json(none[i]), "%s", none[i]);
    /* A line that came by a syslog. */
    cr_expect(json("{\"MESSAGE\":\"session session=1j1e495hgc5j3i end=quit\",\"SYSLOG_IDENTIFIER\":"
                   "\"smtpin\",\"__REALTIME_TIMESTAMP\":\"1796000000000000\"}"));
    cr_expect_eq(e.kind, LOG_SESSION);
    cr_expect_eq(e.time, NOW);
    cr_expect_not(json("{\"MESSAGE\":\"session session=1j1e495hgc5j3i end=quit\","
                       "\"SYSLOG_IDENTIFIER\":\"other\"}"));
}

Test(forms, which)
{
    cr_expect_eq(form_of(SPAN("\n {\"a\"")), FORM_JSON);
    cr_expect_eq(form_of(SPAN("\x1e{\"a\"")), FORM_JSON);
    cr_expect_eq(form_of(SPAN("__CURSOR=s\n")), FORM_EXPORT);
    cr_expect_eq(form_of(SPAN("MESSAGE=x")), FORM_EXPORT);
    cr_expect_eq(form_of(SPAN("Nov 29 x=y")), FORM_LINES);
    cr_expect_eq(form_of(SPAN("session x=y")), FORM_LINES);
    cr_expect_eq(form_of(SPAN("=")), FORM_LINES);
    cr_expect_eq(form_of(SPAN("")), FORM_LINES);
}

/* Against counters that know all: none too low, none more than its error too high, and whoever is
 * there often is among them. */
Test(top, counts_and_errors)
{
    enum { KEYS = 20000, DRAWS = 200000 };
    struct top *t = malloc(sizeof *t);
    uint32_t *real = calloc(KEYS, sizeof *real);
    const struct top_counter *list[TOP_COUNTERS];
    uint64_t state = 1, sum = 0;
    size_t n, often = 0;

    top_open(t, 42);
    for (size_t i = 0; i < DRAWS; i++) {
        char name[32];
        size_t key;

        state = state * 6364136223846793005 + 1442695040888963407;
        key = (state >> 33) % 100 < 50 ? (state >> 40) % 20 : (state >> 40) % KEYS;
        real[key]++;
        top_add(t, (struct span){name, (size_t)snprintf(name, sizeof name, "key%zu", key)}, 1);
    }
    n = top_list(t, list, TOP_COUNTERS);
    cr_assert_eq(n, TOP_COUNTERS);
    for (size_t i = 0; i < n; i++) {
        const uint32_t is = real[strtoul(list[i]->key + 3, NULL, 10)];

        cr_expect(list[i]->count >= is && list[i]->count - list[i]->error <= is, "%s",
                  list[i]->key);
        cr_expect(list[i]->error <= DRAWS / TOP_COUNTERS);
        cr_expect(i == 0 || list[i]->count <= list[i - 1]->count);
        often += is > DRAWS / TOP_COUNTERS;
        sum += list[i]->count;
    }
    for (size_t i = 0; i < KEYS; i++)
        often -= real[i] > DRAWS / TOP_COUNTERS;
    cr_expect_eq(often, 0, "each that is there often is listed");
    cr_expect_eq(sum, DRAWS, "space-saving counts all");
    cr_expect_eq(t->total, DRAWS);
    free(real);
    free(t);
}

Test(top, long_keys_and_weights)
{
    struct top *t = malloc(sizeof *t);
    const struct top_counter *list[2];
    char key[1000];

    top_open(t, 1);
    memset(key, 'x', sizeof key);
    top_add(t, guarded(key, sizeof key), 3);
    top_add(t, guarded(key, TOP_KEY_MAX), 4);
    top_add(t, SPAN(""), 2);
    cr_expect_eq(top_list(t, list, 2), 2);
    cr_expect_eq(list[0]->count, 7);
    cr_expect_eq(list[1]->n, 0);
    free(t);
}

Test(sketch, quantiles)
{
    struct sketch *s = calloc(1, sizeof *s);

    cr_expect_eq(sketch_quantile(s, 500), 0);
    for (uint64_t i = 1; i <= 100000; i++)
        sketch_add(s, i);
    for (unsigned q = 1; q <= 1000; q++) {
        const uint64_t is = q * 100, got = sketch_quantile(s, q);

        cr_expect(got >= is && got <= is + is / 64, "%u: %zu", q, (size_t)got);
    }
    cr_expect_eq(sketch_quantile(s, 1000), 100000);
    cr_expect_eq(sketch_up_to(s, 100), 100);
    sketch_add(s, UINT64_MAX);
    cr_expect_eq(s->most, UINT64_MAX);
    cr_expect_eq(sketch_up_to(s, UINT64_MAX), 100001);
    free(s);
}

Test(words, are_in_order)
{
    for (size_t i = 0; i < words_rules_n; i++) {
        cr_expect_eq(words_rule(span_of(words_rules[i].name)), i, "%s", words_rules[i].name);
        cr_expect_eq(words_end(span_of(words_rules[i].name)), words_ends_n);
    }
    for (size_t i = 0; i < words_ends_n; i++)
        cr_expect_eq(words_end(span_of(words_ends[i].name)), i);
    cr_expect_eq(words_rule(SPAN("nothing")), words_rules_n);
    cr_expect_eq(words_rule(SPAN("")), words_rules_n);
    cr_expect(words_rules_n <= TOTAL_RULES_MAX && words_ends_n <= TOTAL_ENDS_MAX);
}

static void add(struct totals *t, const char *text)
{
    cr_assert(line(text), "%s", text);
    totals_add(t, &e);
}

Test(state, there_and_back)
{
    static char bytes[STATE_MAX];
    struct totals *t = calloc(1, sizeof *t), *again = calloc(1, sizeof *again);
    struct text out = TEXT(bytes);
    char cursor[JOURNAL_CURSOR_MAX];

    add(t, "transaction result=accepted size=100 recipients=2 delivery_milliseconds=12");
    add(t,
        "transaction result=deferred reply=\"451 x\" rule=delivery delivery_milliseconds=400000");
    add(t, "refused reply=\"421 x\" rule=max_connections count=40");
    add(t, "refused reply=\"550 x\" rule=new_one");
    add(t, "session end=quit tls=TLSv1.3");
    add(t, "session end=max_errors");
    add(t, "crash violation=x");
    cr_expect_eq(t->refusal[words_rule(SPAN("max_connections"))][0], 40);
    cr_expect_eq(t->refusal[TOTAL_RULES_MAX][1], 1);
    cr_expect_eq(t->delivery[TOTAL_BUCKETS], 1);
    cr_expect(state_write(&out, t, "s=1;i=2"));
    cr_expect_null(state_parse(guarded(out.p, out.n), again, cursor));
    cr_expect_str_eq(cursor, "s=1;i=2");
    cr_expect_eq(memcmp(t, again, sizeof *t), 0);
    /* Each octet is looked at. */
    for (size_t i = 0; i < out.n; i++) {
        bytes[i] ^= 1;
        cr_expect_not_null(state_parse(text_span(&out), again, cursor), "octet %zu", i);
        cr_expect(again->single[TOTAL_RECORDS] == 0 && cursor[0] == '\0');
        bytes[i] ^= 1;
        if (i > 0)
            cr_expect_not_null(state_parse(span_first(text_span(&out), i), again, cursor));
    }
    cr_expect_null(state_parse(SPAN(""), again, cursor));
    /* The largest has room. */
    memset(t, 0x3f, sizeof *t);
    memset(cursor, 'c', sizeof cursor - 1);
    cursor[sizeof cursor - 1] = '\0';
    out.n = 0;
    cr_expect(state_write(&out, t, cursor) && out.n < STATE_MAX);
    free(t);
    free(again);
}

static void expect_shown(struct span s, const char *text, const char *html, const char *json_text)
{
    void (*const show[])(FILE *, struct span) = {show_text, show_html, show_json};
    const char *const expected[] = {text, html, json_text};

    for (size_t i = 0; i < COUNT(show); i++) {
        char room[4096] = "";
        FILE *out = fmemopen(room, sizeof room, "w");

        show[i](out, s);
        fclose(out);
        cr_expect_str_eq(room, expected[i], "%s: %s", expected[i], room);
    }
}

Test(show, strangers_octets)
{
    expect_shown(SPAN("a<b>&\"'c"), "a<b>&\"'c", "a&lt;b&gt;&amp;&quot;&#39;c", "\"a<b>&\\\"'c\"");
    expect_shown(SPAN("\033[31m\r\n\x7f\\"), "\\x1b[31m\\x0d\\x0a\\x7f\\x5c",
                 "\\x1b[31m\\x0d\\x0a\\x7f\\x5c", "\"\\\\x1b[31m\\\\x0d\\\\x0a\\\\x7f\\\\x5c\"");
    expect_shown(SPAN("\xff\xc3\xbc"), "\\xff\xc3\xbc", "\\xff\xc3\xbc", "\"\\\\xff\xc3\xbc\"");
    /* U+202E, U+2066, U+009B, U+061C, U+200B, U+FEFF */
    expect_shown(SPAN("\xe2\x80\xae\xe2\x81\xa6\xc2\x9b\xd8\x9c\xe2\x80\x8b\xef\xbb\xbf"),
                 "\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xc2\\x9b\\xd8\\x9c\\xe2\\x80\\x8b\\xef\\xbb\\xbf",
                 "\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xc2\\x9b\\xd8\\x9c\\xe2\\x80\\x8b\\xef\\xbb\\xbf",
                 "\"\\\\xe2\\\\x80\\\\xae\\\\xe2\\\\x81\\\\xa6\\\\xc2\\\\x9b\\\\xd8\\\\x9c"
                 "\\\\xe2\\\\x80\\\\x8b\\\\xef\\\\xbb\\\\xbf\"");
    expect_shown(SPAN(""), "", "", "\"\"");
}

static bool options(struct options *o, const char *words)
{
    static char room[256];
    char *argv[16] = {"smtpin-report"}, *save = NULL;
    int argc = 1;

    snprintf(room, sizeof room, "%s", words);
    for (char *w = strtok_r(room, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    return options_read(o, argc, argv, NOW);
}

Test(options, what_goes_together, .init = utc)
{
    static const char *const good[] = {
        "",
        "--json",
        "--html x",
        "--since=-2h --until now",
        "--id x -",
        "--since -2h --until now x y",
        "--recipient=a@b --directory /x",
        "--openmetrics --state s --output o",
        "--follow -",
        "--follow --file x",
        "--top 5 -- -x",
        "--cursor-file c",
    };
    static const char *const wrong[] = {
        "--nothing",
        "--json --html",
        "--since x",
        "--since",
        "--since=",
        "--id x --recipient y",
        "--id x --json",
        "--directory x y",
        "--cursor-file c x",
        "--state s",
        "--follow x",
        "--top 0",
        "--top 1001",
        "--since now --until -2h",
        "--state s --prometheus --since -2h",
        "--json=x",
        "--file a --directory b",
        "--follow --output x",
        "--cursor-file c --state s --prometheus",
    };
    struct options o;

    for (size_t i = 0; i < COUNT(good); i++)
        cr_expect(options(&o, good[i]), "%s: %s", good[i], o.wrong);
    for (size_t i = 0; i < COUNT(wrong); i++)
        cr_expect(!options(&o, wrong[i]) && o.wrong != NULL && o.wrong_what != NULL, "%s",
                  wrong[i]);
    cr_expect(options(&o, "--since -2h x -"));
    cr_expect(o.since == NOW - 7200 * SECOND && o.inputs == 2);
}
