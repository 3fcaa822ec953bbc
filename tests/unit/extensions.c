/* What EHLO announces, and what is taken: one table. And the calendar of FUTURERELEASE. */
#include "smtp/date.h"
#include "smtp/session.h"
#include "unit.h"

#include <time.h>

static void turn_on_dsn(struct smtp_options *o, struct smtp_session *s)
{
    (void)s;
    o->dsn = true;
}

static void turn_on_mt_priority(struct smtp_options *o, struct smtp_session *s)
{
    (void)s;
    o->mt_priority = true;
}

static void turn_on_deliver_by(struct smtp_options *o, struct smtp_session *s)
{
    (void)s;
    o->deliver_by = true;
}

static void turn_on_future_release(struct smtp_options *o, struct smtp_session *s)
{
    o->future_release = 86400000;
    s->now = 1795460000; /* 2026-11-23T18:53:20Z */
}

static void turn_on_smtputf8(struct smtp_options *o, struct smtp_session *s)
{
    (void)s;
    o->smtputf8 = true;
}

static void turn_on_binarymime(struct smtp_options *o, struct smtp_session *s)
{
    (void)s;
    o->chunking = o->binarymime = true;
}

static void turn_on_prdr(struct smtp_options *o, struct smtp_session *s)
{
    (void)s;
    o->prdr = true;
}

static void turn_on_requiretls(struct smtp_options *o, struct smtp_session *s)
{
    o->tls = SMTP_TLS_MAY;
    o->requiretls = s->secure = true;
}

/* Each parameter that is optional: its extension's line, and how it is said. */
static const struct {
    const char *announced;
    const char *mail, *rcpt; /* behind the path; one of them is empty */
    void (*turn_on)(struct smtp_options *o, struct smtp_session *s);
    bool not_lmtp;
} table[] = {
    {"DSN", " RET=FULL", "", turn_on_dsn, false},
    {"DSN", " RET=HDRS ENVID=x", "", turn_on_dsn, false},
    {"DSN", "", " NOTIFY=NEVER", turn_on_dsn, false},
    {"DSN", "", " ORCPT=rfc822;x", turn_on_dsn, false},
    {"MT-PRIORITY", " MT-PRIORITY=-9", "", turn_on_mt_priority, false},
    {"DELIVERBY", " BY=60;R", "", turn_on_deliver_by, false},
    {"FUTURERELEASE 86400 2026-11-24T18:53:20Z", " HOLDFOR=60", "", turn_on_future_release, false},
    {"FUTURERELEASE 86400 2026-11-24T18:53:20Z", " HOLDUNTIL=2026-11-24T18:53:20Z", "",
     turn_on_future_release, false},
    {"SMTPUTF8", " SMTPUTF8", "", turn_on_smtputf8, false},
    {"BINARYMIME", " BODY=BINARYMIME", "", turn_on_binarymime, false},
    {"PRDR", " PRDR", "", turn_on_prdr, true},
    {"REQUIRETLS", " REQUIRETLS", "", turn_on_requiretls, false},
};

struct fixture {
    struct smtp_options options;
    struct smtp_session s;
    struct text out;
    struct arena arena;
    char out_room[1 << 14], arena_room[1 << 14];
};

static void open_session(struct fixture *f, bool lmtp)
{
    f->options = (struct smtp_options){.hostname = SPAN("mx.example.org"),
                                       .lmtp = lmtp,
                                       .max_message_size = 1000000,
                                       .max_recipients = 100,
                                       .max_errors = 1000,
                                       .max_refused_recipients = 1000,
                                       .max_commands = 1000,
                                       .max_transactions = 1000};
    f->out = TEXT(f->out_room);
    f->arena = (struct arena){.base = f->arena_room, .cap = sizeof f->arena_room};
    smtp_session_open(&f->s, &f->options, &f->out, &f->arena, true);
}

/* The reply's code; the reply is in f->out. */
static unsigned say(struct fixture *f, const char *verb, const char *behind)
{
    const struct smtp_verdict accept = {.opinion = SMTP_ACCEPT};
    char room[300];
    const int n = snprintf(room, sizeof room, "%s%s", verb, behind);

    f->out.n = 0;
    if (smtp_session_line(&f->s, guarded(room, (size_t)n)) == SMTP_NEXT_DECISION)
        smtp_session_decided(&f->s, &accept);
    text_string(&f->out);
    return (unsigned)(f->out.p[0] - '0') * 100 + (unsigned)(f->out.p[1] - '0') * 10 +
           (unsigned)(f->out.p[2] - '0');
}

static bool announces(struct fixture *f, bool lmtp, const char *line)
{
    char whole[100];

    cr_assert_eq(say(f, lmtp ? "LHLO" : "EHLO", " client.example"), 250);
    snprintf(whole, sizeof whole, "\r\n250-%s\r\n", line);
    return strstr(f->out.p, whole) != NULL;
}

/* What MAIL, or RCPT behind it, gets with that row's parameter. */
static unsigned try(struct fixture *f, size_t row)
{
    unsigned code;

    cr_assert_eq(say(f, "RSET", ""), 250);
    code = say(f, "MAIL FROM:<a@example.com>", table[row].mail);
    return table[row].rcpt[0] == '\0' ? code : say(f, "RCPT TO:<b@example.org>", table[row].rcpt);
}

static void check(bool lmtp)
{
    static struct fixture f;

    for (size_t i = 0; i < COUNT(table); i++) {
        open_session(&f, lmtp);
        cr_expect_not(announces(&f, lmtp, table[i].announced), "%s, off", table[i].announced);
        cr_expect_eq(try(&f, i), 555, "%s, off", table[i].announced);
        /* The others are no reason to take it. */
        for (size_t k = 0; k < COUNT(table); k++)
            if (table[k].turn_on != table[i].turn_on)
                table[k].turn_on(&f.options, &f.s);
        cr_expect_not(announces(&f, lmtp, table[i].announced), "%s, off", table[i].announced);
        cr_expect_eq(try(&f, i), 555, "%s, off, all others on", table[i].announced);
        open_session(&f, lmtp);
        table[i].turn_on(&f.options, &f.s);
        cr_expect_eq(announces(&f, lmtp, table[i].announced), !(lmtp && table[i].not_lmtp),
                     "%s, on", table[i].announced);
        cr_expect_eq(try(&f, i), lmtp && table[i].not_lmtp ? 555 : 250, "%s, on",
                     table[i].announced);
    }
}

Test(extensions, announced_exactly_where_taken)
{
    check(false);
}

Test(extensions, announced_exactly_where_taken_lmtp)
{
    check(true);
}

/* With all of them on there is no other line than the table's and those that are always there. */
Test(extensions, every_line_of_ehlo_is_known)
{
    static const char *const always[] = {
        "mx.example.org", "SIZE",     "LIMITS", "PIPELINING",
        "8BITMIME",       "CHUNKING", "HELP",   "ENHANCEDSTATUSCODES"};
    static struct fixture f;
    struct span rest;

    open_session(&f, false);
    for (size_t i = 0; i < COUNT(table); i++)
        table[i].turn_on(&f.options, &f.s);
    cr_expect(announces(&f, false, table[0].announced));
    for (rest = text_span(&f.out); rest.n > 0;) {
        const struct span line = span_first(rest, span_find(rest, '\r'));
        const struct span said = span_from(line, 4);
        bool known = false;

        for (size_t i = 0; i < COUNT(table); i++)
            known = known || span_eq(said, span_of(table[i].announced));
        for (size_t i = 0; i < COUNT(always); i++)
            known = known || span_eq(span_first(said, span_find(said, ' ')), span_of(always[i]));
        cr_expect(known, "%.*s", SPAN_FORMAT(said));
        rest = span_from(rest, line.n + 2);
    }
}

Test(extensions, twice_is_wrong)
{
    static struct fixture f;
    char twice[100];

    for (size_t i = 0; i < COUNT(table); i++) {
        const bool rcpt = table[i].rcpt[0] != '\0';

        open_session(&f, false);
        table[i].turn_on(&f.options, &f.s);
        say(&f, "EHLO", " x");
        snprintf(twice, sizeof twice, "%s%s", rcpt ? table[i].rcpt : table[i].mail,
                 rcpt ? table[i].rcpt : table[i].mail);
        if (rcpt)
            cr_expect_eq(say(&f, "MAIL FROM:<>", ""), 250);
        cr_expect_eq(say(&f, rcpt ? "RCPT TO:<b@example.org>" : "MAIL FROM:<>", twice), 501, "%s",
                     twice);
    }
}

/* The C library's calendar, day by day until 2500 and at each of 24 hours with odd minutes. */
Test(date, as_the_c_library_has_it)
{
    char room[40], expected[40];

    for (uint64_t time = 0; time < (uint64_t)86400 * 366 * 530; time += 82801) {
        struct text out = TEXT(room);
        const time_t t = (time_t)time;
        struct tm tm;
        uint64_t again = 0;
        struct smtp_date d;

        gmtime_r(&t, &tm);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &tm);
        smtp_add_date(&out, time);
        cr_assert_str_eq(text_string(&out), expected);
        cr_assert(smtp_read_date(text_span(&out), &again) && again == time, "%s", expected);
        d = smtp_date_of(time);
        cr_assert_eq(d.weekday, (uint64_t)tm.tm_wday, "%s", expected);
    }
}

Test(date, forms)
{
    static const struct {
        const char *text;
        uint64_t time; /* 0: no date */
    } cases[] = {
        {"2026-11-23T18:53:20Z", 1795460000},
        {"2026-11-23t18:53:20z", 1795460000},
        {"2026-11-23T18:53:20.123456Z", 1795460000},
        {"2026-11-23T19:53:20+01:00", 1795460000},
        {"2026-11-23T13:23:20-05:30", 1795460000},
        {"2026-11-24T18:52:20+23:59", 1795460000},
        {"1970-01-01T00:00:01Z", 1},
        {"1970-01-01T00:30:00+01:00", 0}, /* before 1970 */
        {"2024-02-29T00:00:00Z", 1709164800},
        {"2000-02-29T00:00:00Z", 951782400},
        {"2016-12-31T23:59:60Z", 1483228800}, /* a leap second */
        {"2026-02-29T00:00:00Z", 0},
        {"2100-02-29T00:00:00Z", 0},
        {"2026-04-31T00:00:00Z", 0},
        {"2026-00-10T00:00:00Z", 0},
        {"2026-13-10T00:00:00Z", 0},
        {"2026-01-00T00:00:00Z", 0},
        {"2026-01-32T00:00:00Z", 0},
        {"2026-11-23T24:00:00Z", 0},
        {"2026-11-23T18:60:00Z", 0},
        {"2026-11-23T18:53:61Z", 0},
        {"2026-11-23T18:53:20", 0},
        {"2026-11-23T18:53:20.Z", 0},
        {"2026-11-23T18:53:20+24:00", 0},
        {"2026-11-23T18:53:20+01:60", 0},
        {"2026-11-23T18:53:20+0100", 0},
        {"2026-11-23T18:53:20+01:00Z", 0},
        {"2026-11-23T18:53:20ZZ", 0},
        {"2026-11-23 18:53:20Z", 0},
        {"2026-11-23T18:53Z", 0},
        {"2026-1-23T18:53:20Z", 0},
        {"+026-11-23T18:53:20Z", 0},
        {"26-11-23T18:53:20Z", 0},
        {"1969-12-31T23:59:59Z", 0},
        {"", 0},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct span text = guarded(cases[i].text, strlen(cases[i].text));
        uint64_t time = 0;

        cr_expect_eq(smtp_read_date(text, &time), cases[i].time > 0, "%s", cases[i].text);
        cr_expect_eq(cases[i].time > 0 ? time : 0, cases[i].time, "%s: %llu", cases[i].text,
                     (unsigned long long)time);
        /* Cut anywhere, it is none. */
        for (size_t n = 0; n < text.n; n++)
            cr_expect_not(smtp_read_date(guarded(text.p, n), &time) && cases[i].time > 0,
                          "%s: %zu octets of it", cases[i].text, n);
    }
}
