/* XCLIENT in the core: who may say it, what it carries, and what is left of the session. */
#include "smtp/session.h"
#include "unit.h"

struct fixture {
    struct smtp_options options;
    struct smtp_session s;
    struct smtp_login login;
    struct smtp_xclient xclient;
    struct text out;
    struct arena arena;
    char room[SMTP_AUTH_LINE_MAX + SMTP_REPLY_MAX], memory[1 << 14];
    enum smtp_want want;
};

static struct fixture f;

static unsigned code(void)
{
    return f.out.n < 4 ? 0
                       : (unsigned)(f.out.p[0] - '0') * 100 + (unsigned)(f.out.p[1] - '0') * 10 +
                             (unsigned)(f.out.p[2] - '0');
}

static unsigned say(const char *line)
{
    f.out.n = 0;
    f.want = smtp_session_line(&f.s, span_of(line));
    return code();
}

static unsigned answer(enum smtp_reply_id reply)
{
    f.out.n = 0;
    f.want = smtp_session_client(&f.s, reply);
    return code();
}

static void start(void)
{
    memset(&f, 0, sizeof f);
    f.options = (struct smtp_options){.hostname = SPAN("mx.example.org"),
                                      .max_message_size = 1 << 20,
                                      .max_recipients = 100,
                                      .max_errors = 100,
                                      .max_commands = 1000,
                                      .max_transactions = 100};
    f.out = TEXT(f.room);
    f.arena = (struct arena){.base = f.memory, .cap = sizeof f.memory};
    smtp_session_open(&f.s, &f.options, &f.out, &f.arena, true);
    f.s.xclient = &f.xclient;
}

Test(xclient, only_for_those_who_may)
{
    start();
    say("EHLO a.example");
    cr_expect(memmem(f.out.p, f.out.n, "\r\n250-XCLIENT NAME ADDR", 23) != NULL);
    f.s.xclient = NULL;
    say("EHLO a.example");
    cr_expect(memmem(f.out.p, f.out.n, "XCLIENT", 7) == NULL);
    cr_expect_eq(say("XCLIENT ADDR=198.51.100.7"), 502);
}

Test(xclient, attributes)
{
    const struct smtp_xclient *x = &f.xclient;

    start();
    say("xclient name=c.example ADDR=IPV6:2001:db8::7 PORT=1 PROTO=esmtp HELO=h.example "
        "LOGIN=a+2Bb+40c DESTADDR=203.0.113.5 DESTPORT=25");
    cr_assert_eq(f.want, SMTP_NEXT_CLIENT);
    cr_expect_eq(f.out.n, 0);
    cr_expect_eq(x->given, 255);
    cr_expect_span(x->name, "c.example", "NAME");
    cr_expect_span(x->addr, "IPV6:2001:db8::7", "ADDR");
    cr_expect_span(x->port, "1", "PORT");
    cr_expect(x->esmtp);
    cr_expect_span(x->helo, "h.example", "HELO");
    cr_expect_span(x->login, "a+b@c", "LOGIN");
    cr_expect_span(x->destaddr, "203.0.113.5", "DESTADDR");
    cr_expect_span(x->destport, "25", "DESTPORT");
    say("XCLIENT NAME=[UNAVAILABLE] ADDR=[tempunavail]");
    cr_expect_eq(x->given, SMTP_XCLIENT_NAME | SMTP_XCLIENT_ADDR);
    cr_expect_span(x->name, "", "NAME");
    cr_expect_span(x->addr, "", "ADDR");
}

Test(xclient, what_is_none)
{
    static const char *const lines[] = {"XCLIENT",
                                        "XCLIENT ADDR",
                                        "XCLIENT ADDR=",
                                        "XCLIENT =x",
                                        "XCLIENT WHO=x",
                                        "XCLIENT ADDR=a ADDR=a",
                                        "XCLIENT ADDR=+0Aa",
                                        "XCLIENT ADDR=+a",
                                        "XCLIENT ADDR=\303\244",
                                        "XCLIENT PROTO=HTTP",
                                        "XCLIENT HELO=a+20b"};
    char line[600] = "XCLIENT LOGIN=";

    start();
    for (size_t i = 0; i < COUNT(lines); i++)
        cr_expect_eq(say(lines[i]), 501, "%s", lines[i]);
    memset(line + 14, 'x', 256);
    cr_expect_eq(say(line), 501);
    f.arena.cap = 8;
    cr_expect_eq(say("XCLIENT LOGIN=jane.doe"), 501);
}

Test(xclient, phases)
{
    start();
    say("EHLO a.example");
    say("MAIL FROM:<>");
    cr_expect_eq(say("XCLIENT ADDR=198.51.100.7"), 503);
    cr_expect_eq(f.s.phase, SMTP_MAIL);
    say("RSET");
    say("XCLIENT ADDR=198.51.100.7");
    cr_expect_eq(f.want, SMTP_NEXT_CLIENT);
}

Test(xclient, begins_anew)
{
    start();
    say("EHLO a.example");
    say("XCLIENT ADDR=198.51.100.7");
    cr_expect_eq(answer(SMTP_REPLY_BAD_PARAMETERS), 501);
    cr_expect_span(f.s.helo, "a.example", "helo");
    say("XCLIENT ADDR=198.51.100.7");
    cr_expect_eq(answer(SMTP_REPLY_OK), 220);
    cr_expect_eq(f.s.phase, SMTP_CONNECTED);
    cr_expect_span(f.s.helo, "", "helo");
    say("XCLIENT ADDR=198.51.100.7");
    cr_expect_eq(answer(SMTP_REPLY_TOO_MANY_OF_SOURCE), 421);
    cr_expect_eq(f.want, SMTP_NEXT_CLOSE);
}

Test(xclient, decided_again)
{
    const struct smtp_verdict refused = {.opinion = SMTP_REFUSE}, none = {.opinion = 0};

    start();
    f.options.decide_at = SMTP_ABOUT_CLIENT | SMTP_ABOUT_GREETING;
    say("XCLIENT ADDR=198.51.100.7 HELO=h.example");
    answer(SMTP_REPLY_OK);
    cr_assert_eq(f.want, SMTP_NEXT_DECISION);
    cr_expect_eq(f.s.about, SMTP_ABOUT_CLIENT);
    f.want = smtp_session_decided(&f.s, &none);
    cr_expect_eq(code(), 220);
    /* Somebody decides on names, and has not on this one. */
    cr_expect_span(f.s.helo, "", "helo");
    say("XCLIENT ADDR=198.51.100.7");
    answer(SMTP_REPLY_OK);
    f.want = smtp_session_decided(&f.s, &refused);
    cr_expect_eq(code(), 554);
    cr_expect_eq(say("XCLIENT ADDR=198.51.100.8"), 503, "RFC 5321 3.1: QUIT alone");
}

Test(xclient, helo)
{
    start();
    f.options.helo_required = true;
    say("XCLIENT HELO=h.example PROTO=ESMTP");
    answer(SMTP_REPLY_OK);
    cr_expect_span(f.s.helo, "h.example", "helo");
    cr_expect(f.s.esmtp);
    cr_expect_eq(say("MAIL FROM:<>"), 250);
    say("RSET");
    say("XCLIENT HELO=h.example PROTO=SMTP");
    answer(SMTP_REPLY_OK);
    cr_expect_not(f.s.esmtp);
    say("XCLIENT ADDR=198.51.100.7");
    answer(SMTP_REPLY_OK);
    cr_expect_eq(say("MAIL FROM:<>"), 503);
}

Test(xclient, login)
{
    start();
    f.options.auth_required = true;
    cr_expect_eq(say("MAIL FROM:<>"), 530);
    say("XCLIENT LOGIN=jane");
    answer(SMTP_REPLY_OK);
    cr_expect_not(f.s.authenticated, "it counts for nothing");
    f.options.xclient_login = true;
    f.s.login = &f.login;
    say("XCLIENT LOGIN=jane");
    answer(SMTP_REPLY_OK);
    cr_expect(f.s.authenticated);
    cr_expect_span(f.login.user, "jane", "user");
    cr_expect_span(f.login.method, "XCLIENT", "method");
    say("EHLO a.example");
    cr_expect(memmem(f.out.p, f.out.n, "AUTH", 4) == NULL, "nobody checks logins here");
    cr_expect_eq(say("AUTH PLAIN"), 500);
    say("XCLIENT PORT=7 NAME=a.example");
    answer(SMTP_REPLY_OK);
    cr_expect_span(f.login.user, "jane", "what is not named stays");
    cr_expect_eq(say("MAIL FROM:<>"), 250);
    say("RSET");
    say("XCLIENT ADDR=198.51.100.7");
    answer(SMTP_REPLY_OK);
    cr_expect_not(f.s.authenticated, "who comes from another address is another client");
    say("XCLIENT LOGIN=jane ADDR=198.51.100.7");
    answer(SMTP_REPLY_OK);
    cr_expect(f.s.authenticated);
    say("XCLIENT LOGIN=[UNAVAILABLE]");
    answer(SMTP_REPLY_OK);
    cr_expect_not(f.s.authenticated);
    /* A login of AUTH is the proxy's, not its client's. */
    f.s.authenticated = true;
    f.login.user = SPAN("proxy");
    f.login.method = SPAN("PLAIN");
    say("XCLIENT ADDR=198.51.100.7");
    answer(SMTP_REPLY_OK);
    cr_expect_not(f.s.authenticated);
}
