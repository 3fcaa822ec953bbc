#include "smtp/result.h"
#include "smtp/trace.h"
#include "unit.h"

#include <time.h>

Test(result, exit_statuses)
{
    for (unsigned status = 0; status < 256; status++) {
        const struct smtp_reply r = smtp_result_of_exit(NULL, status);
        const unsigned expected = status == 0                                    ? 250
                                  : status == 65 || status == 100                ? 554
                                  : status == 67 || status == 68 || status == 77 ? 550
                                                                                 : 451;

        cr_expect_eq(r.code, expected, "status %u", status);
        cr_expect_eq(r.enhanced.p[0], (char)('0' + expected / 100), "status %u", status);
    }
}

Test(result, exit_map)
{
    struct smtp_exit_map map = {{0}};

    cr_expect(smtp_exit_map_add(&map, SPAN("69:550, 99:250 1:452")));
    for (unsigned status = 0; status < 256; status++)
        cr_expect_eq(smtp_result_of_exit(&map, status).code,
                     status == 69   ? 550
                     : status == 99 ? 250
                     : status == 1  ? 452
                                    : smtp_result_of_exit(NULL, status).code,
                     "status %u", status);
    static const char *const bad[] = {"x",      "69",      "69:",  "69:999",
                                      "69:354", "256:550", ":550", "69:5.1.1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_expect_not(smtp_exit_map_add(&map, span_of(bad[i])), "%s", bad[i]);
    map = (struct smtp_exit_map){{0}};
    cr_expect(smtp_exit_map_add(&map, SPAN("qmail")));
    cr_expect_eq(smtp_result_of_exit(&map, 111).code, 451);
    cr_expect_eq(smtp_result_of_exit(&map, 100).code, 554);
    cr_expect_eq(smtp_result_of_exit(&map, 67).code, 451);
    map = (struct smtp_exit_map){{0}};
    cr_expect(smtp_exit_map_add(&map, SPAN("sysexits")));
    cr_expect_eq(smtp_result_of_exit(&map, 67).code, 550);
    cr_expect_eq(smtp_result_of_exit(&map, 69).code, 554);
    cr_expect_eq(smtp_result_of_exit(&map, 75).code, 451);
    cr_expect_eq(smtp_result_of_exit(&map, 78).code, 451);
}

Test(result, reply_lines)
{
    static const struct {
        const char *line;
        unsigned code; /* 0: none */
        const char *enhanced, *text;
    } cases[] = {
        {"250", 250, "2.0.0", "OK"},
        {"250 2.1.5 stored", 250, "2.1.5", "stored"},
        {"550 5.1.1 no", 550, "5.1.1", "no"},
        {"552 full", 552, "5.2.2", "full"},
        {"421 4.3.2 down", 451, "4.3.2", "down"},
        {"503 what", 554, "5.3.0", "what"},
        {"571 5.7.1 blocked", 554, "5.7.1", "blocked"},
        {"499 later", 451, "4.3.0", "later"},
        {"299 ok", 250, "2.0.0", "ok"},
        {"251 forwarded", 250, "2.0.0", "forwarded"},
        {"250 5.1.1 two minds", 0, NULL, NULL},
        {"25", 0, NULL, NULL},
        {"2500", 0, NULL, NULL},
        {"250-x", 0, NULL, NULL},
        {"354 go", 0, NULL, NULL},
        {"999 x", 0, NULL, NULL},
        {"x50 x", 0, NULL, NULL},
        {"", 0, NULL, NULL},
        {"150 x", 0, NULL, NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char bytes[SMTP_RESULT_TEXT_MAX];
        struct text room = TEXT(bytes);
        struct smtp_reply r;

        if (!smtp_result_of_line(&r, guarded(cases[i].line, strlen(cases[i].line)), &room)) {
            cr_expect_eq(cases[i].code, 0, "%s", cases[i].line);
            continue;
        }
        cr_expect_eq(r.code, cases[i].code, "%s", cases[i].line);
        cr_expect_span(r.enhanced, cases[i].enhanced, cases[i].line);
        cr_expect_span(r.text, cases[i].text, cases[i].line);
    }
}

Test(result, an_opinion_in_words_is_a_reply)
{
    static const struct {
        const char *words;
        unsigned code;
        const char *enhanced, *text;
        bool close;
    } cases[] = {
        {"450 4.2.1 Try again", 450, "4.2.1", "Try again", false},
        {"550 User is gone", 550, "5.7.1", "User is gone", false},
        {"550\t5.1.1   gone ", 550, "5.1.1", "gone", false},
        {"450", 450, "4.7.0", "Try again later", false},
        {"553", 553, "5.7.1", "Access denied", false},
        {"421 4.3.2 come back", 421, "4.3.2", "come back", true},
        {"521 5.7.1 never", 521, "5.7.1", "never", true},
        {"571 5.7.1 blocked", 554, "5.7.1", "blocked", false},
        {"550 5.01.1 gone", 550, "5.7.1", "gone", false},
        {"550 a\rb\377", 550, "5.7.1", "a b?", false},
        {"550 4.2.1 two minds", 0, NULL, NULL, false},
        {"550-5.1.1 gone", 0, NULL, NULL, false},
        {"250 2.0.0 fine", 0, NULL, NULL, false},
        {"354 go", 0, NULL, NULL, false},
        {"650 x", 0, NULL, NULL, false},
        {"5500", 0, NULL, NULL, false},
        {"5.1.1 gone", 0, NULL, NULL, false},
        {"OK", 0, NULL, NULL, false},
        {"", 0, NULL, NULL, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char bytes[SMTP_RESULT_TEXT_MAX];
        struct text room = TEXT(bytes);
        struct smtp_reply r;

        if (!smtp_result_of_words(&r, guarded(cases[i].words, strlen(cases[i].words)), &room)) {
            cr_expect_eq(cases[i].code, 0, "%s", cases[i].words);
            continue;
        }
        cr_expect_eq(r.code, cases[i].code, "%s", cases[i].words);
        cr_expect_eq(r.close, cases[i].close, "%s", cases[i].words);
        cr_expect_span(r.enhanced, cases[i].enhanced, cases[i].words);
        cr_expect_span(r.text, cases[i].text, cases[i].words);
    }
}

Test(result, words_for_a_code_that_is_decided)
{
    static const struct {
        const char *words, *enhanced, *text;
    } cases[] = {
        {"4.2.0 Greylisted", "4.2.0", "Greylisted"},
        {"Greylisted", "4.7.0", "Greylisted"},
        {"5.1.1 what", "4.7.0", "what"},
        {"450 4.2.0 x", "4.7.0", "450 4.2.0 x"},
        {"4.2.0", "4.2.0", "Try again later"},
        {"", "4.7.0", "Try again later"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char bytes[SMTP_RESULT_TEXT_MAX];
        struct text room = TEXT(bytes);
        struct smtp_reply r = *smtp_reply(SMTP_REPLY_DEFERRED);

        smtp_result_add_words(&r, guarded(cases[i].words, strlen(cases[i].words)), &room);
        cr_expect_eq(r.code, 450, "%s", cases[i].words);
        cr_expect_span(r.enhanced, cases[i].enhanced, cases[i].words);
        cr_expect_span(r.text, cases[i].text, cases[i].words);
    }
}

Test(result, qmail_queue_statuses)
{
    for (unsigned status = 0; status < 256; status++)
        cr_expect_eq(smtp_result_of_qmail_queue(status).code,
                     status == 0                    ? 250
                     : status >= 11 && status <= 40 ? 554
                                                    : 451,
                     "status %u", status);
}

Test(result, enhanced_codes_give_basic_codes_that_data_may_have)
{
    static const struct {
        const char *enhanced;
        unsigned code;
    } cases[] = {
        {"4.2.2", 452}, {"4.3.1", 452}, {"4.2.20", 451}, {"4.7.1", 451}, {"5.2.2", 552},
        {"5.2.3", 552}, {"5.3.4", 552}, {"5.1.1", 550},  {"5.2.1", 550}, {"5.7.1", 550},
        {"5.6.0", 554}, {"5.0.0", 554}, {"5.10.1", 554}, {"2.0.0", 0},   {"x", 0},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(smtp_code_of_enhanced(span_of(cases[i].enhanced)), cases[i].code, "%s",
                     cases[i].enhanced);
}

static struct smtp_reply refined(unsigned status, const char *said, struct text *room)
{
    struct smtp_reply r = smtp_result_of_exit(NULL, status);

    room->n = 0;
    smtp_result_refine(&r, span_of(said), false, room);
    return r;
}

Test(result, the_commands_words)
{
    char bytes[SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    struct smtp_reply r = refined(1, "5.2.2\n", &room);

    cr_expect_eq(r.code, 552);
    cr_expect_span(r.enhanced, "5.2.2", "enhanced alone");
    r = refined(1, "5.2 almost", &room);
    cr_expect_eq(r.code, 451);
    cr_expect_span(r.text, "5.2 almost", "not a code");
    r = refined(1, "5.2222.1 almost", &room);
    cr_expect_eq(r.code, 451);
    r = refined(1, "5.1.1x almost", &room);
    cr_expect_eq(r.code, 451);
    r = refined(0, "4.0.0 later", &room);
    cr_expect_eq(r.code, 250, "a success stays one");
    r = refined(67, "", &room);
    cr_expect_span(r.text, "User unknown", "nothing said");
    r = refined(1, "\t \r\nsecond", &room);
    cr_expect_span(r.text, "Delivery failed, try again later", "an empty first line");
}

/* A first line and the reply that comes of it: without and with reply_codes. */
Test(result, a_text_never_contradicts_its_code)
{
    static const struct {
        unsigned status;
        const char *said, *reply, *with_codes;
    } cases[] = {
        {1, "550 No such user", "451 4.3.0 Delivery failed, try again later",
         "550 5.2.0 No such user"},
        {1, "550", "451 4.3.0 Delivery failed, try again later", "550 5.2.0 Mailbox unavailable"},
        {1, "550-No such user", "451 4.3.0 Delivery failed, try again later",
         "550 5.2.0 No such user"},
        {1, "450 Busy", "451 4.3.0 Busy", "450 4.2.0 Busy"},
        {1, "404 Not found", "451 4.3.0 Not found", "451 4.3.0 Not found"},
        {1, "553 What", "451 4.3.0 Delivery failed, try again later", "554 5.3.0 What"},
        {1, "100 files", "451 4.3.0 100 files", "451 4.3.0 100 files"},
        {1, "5500 files", "451 4.3.0 5500 files", "451 4.3.0 5500 files"},
        {1, "571 Blocked", "451 4.3.0 Delivery failed, try again later", "554 5.3.0 Blocked"},
        {1, "599 x", "451 4.3.0 Delivery failed, try again later", "554 5.3.0 x"},
        {0, "299 x", "250 2.0.0 x", "250 2.0.0 x"},
        {1, "250 OK", "451 4.3.0 Delivery failed, try again later",
         "451 4.3.0 Delivery failed, try again later"},
        {1, "2.0.0 stored", "451 4.3.0 Delivery failed, try again later",
         "451 4.3.0 Delivery failed, try again later"},
        {1, "5.1.1", "550 5.1.1 User unknown", "550 5.1.1 User unknown"},
        {1, "5.2.1", "550 5.2.1 Mailbox unavailable", "550 5.2.1 Mailbox unavailable"},
        {1, "5.7.1", "550 5.7.1 Permission denied", "550 5.7.1 Permission denied"},
        {1, "5.6.7", "550 5.6.7 Mailbox unavailable", "550 5.6.7 Mailbox unavailable"},
        {1, "4.2.2", "452 4.2.2 Insufficient system storage",
         "452 4.2.2 Insufficient system storage"},
        {67, "4.2.2 Full", "452 4.2.2 Full", "452 4.2.2 Full"},
        {67, "550 Nobody", "550 5.1.1 Nobody", "550 5.2.0 Nobody"},
        {67, "550 5.1.1 Nobody", "550 5.1.1 Nobody", "550 5.1.1 Nobody"},
        {1, "552 5.1.1 Nobody", "550 5.1.1 Nobody", "552 5.1.1 Nobody"},
        {1, "550 4.2.2 Odd", "451 4.3.0 Delivery failed, try again later",
         "451 4.3.0 Delivery failed, try again later"},
        {1, "5.01.1 Nobody", "451 4.3.0 Nobody", "451 4.3.0 Nobody"},
        {1, "4.007.000 Later", "451 4.3.0 Later", "451 4.3.0 Later"},
        {1, "5.1.1000 Nobody", "451 4.3.0 Nobody", "451 4.3.0 Nobody"},
        {1, "5.0.0 No", "554 5.0.0 No", "554 5.0.0 No"},
        {1, "4.10.100 Odd", "451 4.10.100 Odd", "451 4.10.100 Odd"},
        {0, "550 No such user", "250 2.0.0 OK", "250 2.0.0 OK"},
        {0, "5.1.1 No such user", "250 2.0.0 OK", "250 2.0.0 OK"},
        {0, "550 5.1.1 No such user", "250 2.0.0 OK", "250 2.0.0 OK"},
        {0, "250 2.0.0 stored as 7", "250 2.0.0 stored as 7", "250 2.0.0 stored as 7"},
        {0, "250 stored", "250 2.0.0 stored", "250 2.0.0 stored"},
    };

    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        const bool codes = i % 2 == 1;
        char bytes[SMTP_RESULT_TEXT_MAX], line[SMTP_REPLY_LINE_MAX];
        struct text room = TEXT(bytes), out = TEXT(line);
        struct smtp_reply r = smtp_result_of_exit(NULL, cases[i / 2].status);

        smtp_result_refine(&r, span_of(cases[i / 2].said), codes, &room);
        smtp_reply_line(&out, &r, true, true, SPAN(""));
        out.n -= 2;
        cr_expect_span(text_span(&out), codes ? cases[i / 2].with_codes : cases[i / 2].reply,
                       cases[i / 2].said);
    }
}

static void expect_date(uint64_t time, const char *expected)
{
    char room[64];
    struct text t = TEXT(room);

    smtp_trace_date(&t, time);
    cr_expect_span(text_span(&t), expected, "date");
}

/* Each day of eight centuries, as the C library says it. */
Test(trace, each_day)
{
    for (time_t day = 0; day < (time_t)800 * 366; day++) {
        const time_t at = day * 86400 + day % 86400;
        char whole[64], rest[40];
        struct tm tm;

        gmtime_r(&at, &tm);
        strftime(rest, sizeof rest, "%b %Y %H:%M:%S +0000", &tm);
        snprintf(whole, sizeof whole, "%.3s, %d %s", &"SunMonTueWedThuFriSat"[tm.tm_wday * 3],
                 tm.tm_mday, rest);
        expect_date((uint64_t)at, whole);
    }
}

Test(trace, dates)
{
    expect_date(0, "Thu, 1 Jan 1970 00:00:00 +0000");
    expect_date(951782399, "Mon, 28 Feb 2000 23:59:59 +0000");
    expect_date(951782400, "Tue, 29 Feb 2000 00:00:00 +0000");
    expect_date(1709164800, "Thu, 29 Feb 2024 00:00:00 +0000");
    expect_date(1795460000, "Mon, 23 Nov 2026 18:53:20 +0000");
    expect_date(4107542400, "Mon, 1 Mar 2100 00:00:00 +0000");
    expect_date((uint64_t)1 << 40, "Mon, 20 Feb 36812 00:36:16 +0000");
}
