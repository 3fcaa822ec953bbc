/* EHLO announces what is honoured, and nothing else: each keyword with a command that uses it, with
 * the option and without. */
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
    {"PRDR", OPTION(prdr), false, NULL, "MAIL FROM:<a@b.c> PRDR", 250, 555},
    {"CHUNKING", OPTION(chunking), false, "RCPT TO:<b@example.org>", "BDAT 0", 250, 502},
    {"BINARYMIME", OPTION(binarymime), false, NULL, "MAIL FROM:<a@b.c> BODY=BINARYMIME", 250, 555},
    {"SMTPUTF8", OPTION(smtputf8), false, NULL, "MAIL FROM:<\xc3\xa4@b.c> SMTPUTF8", 250, 555},
    {"SMTPUTF8", OPTION(smtputf8), false, NULL, "VRFY x SMTPUTF8", 252, 504},
    {"STARTTLS", OPTION(tls), false, NULL, "STARTTLS", 220, 500},
    {"REQUIRETLS", OPTION(requiretls), true, NULL, "MAIL FROM:<a@b.c> REQUIRETLS", 250, 555},
    {"AUTH PLAIN", OPTION(auth), true, NULL, "AUTH PLAIN AGEAYg==", 235, 500},
    {"DSN", OPTION(dsn), false, NULL, "MAIL FROM:<a@b.c> RET=FULL", 250, 555},
    {"DSN", OPTION(dsn), false, NULL, "MAIL FROM:<a@b.c> ENVID=x", 250, 555},
    {"DSN", OPTION(dsn), false, "MAIL FROM:<a@b.c>", "RCPT TO:<b@example.org> NOTIFY=NEVER", 250,
     555},
    {"DSN", OPTION(dsn), false, "MAIL FROM:<a@b.c>", "RCPT TO:<b@example.org> ORCPT=rfc822;x", 250,
     555},
    {"MT-PRIORITY", OPTION(mt_priority), false, NULL, "MAIL FROM:<a@b.c> MT-PRIORITY=3", 250, 555},
    {"DELIVERBY", OPTION(deliver_by), false, NULL, "MAIL FROM:<a@b.c> BY=60;R", 250, 555},
    {"FUTURERELEASE 604800 1970-01-08T00:00:00Z", OPTION(future_release), false, NULL,
     "MAIL FROM:<a@b.c> HOLDFOR=604800", 250, 555},
    {"FUTURERELEASE", OPTION(future_release), false, NULL,
     "MAIL FROM:<a@b.c> HOLDUNTIL=1970-01-08T00:00:00Z", 250, 555},
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
        *(uint64_t *)(void *)at = on ? rows[i].option == offsetof(struct smtp_options, tls)
                                           ? SMTP_TLS_MAY
                                           : 604800 * (uint64_t)1000
                                     : 0;
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
            if (strcmp(rows[i].keyword, "REQUIRETLS") == 0)
                f.options.tls = SMTP_TLS_MAY;
            if (strcmp(rows[i].keyword, "BINARYMIME") == 0)
                f.options.chunking = true;
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

/* With all that there is, in plain text and inside TLS. */
Test(announce, every_keyword_has_its_row)
{
    static struct fixture f;

    for (unsigned secure = 0; secure < 2; secure++) {
        struct span left, line;
        size_t lines = 0;

        reset(&f);
        for (size_t i = 0; i < COUNT(rows); i++)
            set(&f, i, true);
        start(&f, secure);
        left = text_span(&f.out);
        for (; span_word(&left, "\r\n", &line); lines++) {
            bool known = lines == 0; /* the greeting */

            for (size_t i = 0; i < COUNT(rows); i++)
                known = known || span_starts_nocase(span_from(line, 4), span_of(rows[i].keyword));
            cr_expect(known, "%.*s", (int)line.n, line.p);
        }
        cr_expect_gt(lines, 14);
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
