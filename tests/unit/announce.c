/* EHLO announces what is honoured: each keyword with a command that uses it, with the option and
 * without. (Parameters of MAIL and RCPT: extensions.c.) */
#include "smtp/session.h"
#include "unit.h"

#include <stddef.h>

struct fixture {
    struct smtp_options options;
    struct smtp_session s;
    struct text out;
    struct arena arena;
    struct smtp_login login;
    char room[1 << 14], memory[1 << 15];
};

/* An option is a bool or a number, at that place; 0: what it announces is always there. */
static const struct {
    const char *keyword;
    size_t option, size;
    bool inside_tls;
    const char *before, *line; /* commands: the first leads to the other */
    unsigned on, off;          /* replies to it */
} rows[] = {
#define OPTION(name) offsetof(struct smtp_options, name), sizeof((struct smtp_options *)NULL)->name
#define ALWAYS 0, 0
    {"SIZE 65536", ALWAYS, false, NULL, "MAIL FROM:<a@b.c> SIZE=65536", 250, 0},
    {"8BITMIME", ALWAYS, false, NULL, "MAIL FROM:<a@b.c> BODY=8BITMIME", 250, 0},
    {"LIMITS", ALWAYS, false, NULL, "NOOP", 250, 0}, /* Test(announce, limits) */
    {"PIPELINING", ALWAYS, false, NULL, "NOOP", 250, 0},
    {"ENHANCEDSTATUSCODES", ALWAYS, false, NULL, "NOOP", 250, 0},
    {"HELP", ALWAYS, false, NULL, "HELP", 214, 0},
    {"CHUNKING", OPTION(chunking), false, "RCPT TO:<b@example.org>", "BDAT 0", 250, 502},
    {"SMTPUTF8", OPTION(smtputf8), false, NULL, "VRFY x SMTPUTF8", 252, 504},
    {"STARTTLS", OPTION(tls), false, NULL, "STARTTLS", 220, 500},
    {"AUTH PLAIN", OPTION(auth), true, NULL, "AUTH PLAIN AGEAYg==", 235, 500},
};

static unsigned say(struct fixture *f, const char *line)
{
    const struct smtp_verdict accept = {.opinion = SMTP_ACCEPT};
    enum smtp_want want;
    struct smtp_data data;

    f->out.n = 0;
    want = smtp_session_line(&f->s, span_of(line));
    if (want == SMTP_NEXT_MECHANISMS)
        want = smtp_session_mechanisms(&f->s, SPAN("PLAIN"));
    if (want == SMTP_NEXT_DECISION)
        want = smtp_session_decided(&f->s, &accept);
    if (want == SMTP_NEXT_TLS)
        want = smtp_session_tls(&f->s, SMTP_TLS_READY);
    if (want == SMTP_NEXT_LOGIN)
        want = smtp_session_login(&f->s, SMTP_LOGIN_DONE, SPAN("jane"));
    if (want == SMTP_NEXT_CHUNK) {
        smtp_session_decoder(&f->s, &data);
        smtp_session_chunk(&f->s, &data);
    }
    return (unsigned)(f->out.p[0] - '0') * 100 + (unsigned)(f->out.p[1] - '0') * 10 +
           (unsigned)(f->out.p[2] - '0');
}

static void start(struct fixture *f, bool secure)
{
    f->out = TEXT(f->room);
    f->arena = (struct arena){.base = f->memory, .cap = sizeof f->memory};
    f->login = (struct smtp_login){.going_on = false};
    smtp_session_open(&f->s, &f->options, &f->out, &f->arena, true);
    if (f->options.auth)
        f->s.login = &f->login;
    f->s.secure = secure;
    cr_assert_eq(say(f, "EHLO client.example"), 250);
}

static void set(struct fixture *f, size_t i, bool on)
{
    char *at = (char *)&f->options + rows[i].option;

    if (rows[i].size == sizeof(bool))
        *(bool *)(void *)at = on;
    else if (rows[i].size > 0)
        *(uint64_t *)(void *)at = on;
}

static void reset(struct fixture *f)
{
    f->options = (struct smtp_options){.hostname = SPAN("mx.example.org"),
                                       .max_message_size = 65536,
                                       .max_discarded_size = 100,
                                       .max_auth_errors = 3,
                                       .max_recipients = 100,
                                       .max_errors = 100,
                                       .max_refused_recipients = 100,
                                       .max_commands = 1000,
                                       .max_transactions = 3,
                                       .max_received = 10,
                                       .max_text_line = 1000};
}

/* A line of the reply that begins so. */
static bool announces(const struct fixture *f, const char *keyword)
{
    struct span left = text_span(&f->out), line;

    while (span_word(&left, "\r\n", &line))
        if (span_starts_nocase(span_from(line, 4), span_of(keyword)))
            return true;
    return false;
}

Test(announce, what_is_honoured)
{
    static struct fixture f;

    for (size_t i = 0; i < COUNT(rows); i++)
        for (unsigned on = rows[i].size == 0; on < 2; on++) {
            unsigned code;

            reset(&f);
            set(&f, i, on);
            start(&f, rows[i].inside_tls);
            cr_expect_eq(announces(&f, rows[i].keyword), on, "%s", rows[i].keyword);
            if (rows[i].before != NULL && rows[i].before[0] == 'R')
                say(&f, "MAIL FROM:<a@b.c>");
            if (rows[i].before != NULL)
                cr_expect_eq(say(&f, rows[i].before), 250);
            code = say(&f, rows[i].line);
            cr_expect_eq(code, on ? rows[i].on : rows[i].off, "'%s', %s: %u", rows[i].line,
                         on ? "on" : "off", code);
        }
}

/* RFC 9422: what LIMITS says is what holds. */
Test(announce, limits)
{
    static struct fixture f;

    reset(&f);
    start(&f, false);
    cr_expect(announces(&f, "LIMITS MAILMAX=3 RCPTMAX=100"));
    for (unsigned n = 1; n <= 3; n++) {
        cr_expect_eq(say(&f, "MAIL FROM:<a@b.c>"), 250, "MAIL %u", n);
        for (unsigned r = 1; r <= 100; r++)
            cr_expect_eq(say(&f, "RCPT TO:<b@example.org>"), 250, "RCPT %u", r);
        cr_expect_eq(say(&f, "RCPT TO:<b@example.org>"), 452);
        say(&f, "RSET");
    }
    cr_expect_eq(say(&f, "MAIL FROM:<a@b.c>"), 421);
    reset(&f);
    f.options.single = true;
    start(&f, false);
    cr_expect(announces(&f, "LIMITS MAILMAX=3 RCPTMAX=1"));
    say(&f, "MAIL FROM:<a@b.c>");
    cr_expect_eq(say(&f, "RCPT TO:<b@example.org>"), 250);
    cr_expect_eq(say(&f, "RCPT TO:<b@example.org>"), 452);
}
