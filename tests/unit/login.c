/* AUTH (RFC 4954) in the core: which reply, in which order, and what is kept of it. */
#include "smtp/login.h"
#include "smtp/session.h"
#include "unit.h"

#include <string.h>

struct fixture {
    struct smtp_options options;
    struct smtp_session s;
    struct smtp_login login;
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
    if (f.want == SMTP_NEXT_MECHANISMS)
        f.want = smtp_session_mechanisms(&f.s, SPAN("PLAIN LOGIN SCRAM-SHA-256"));
    return code();
}

static unsigned answer(enum smtp_login_result result, const char *text)
{
    f.out.n = 0;
    f.want = smtp_session_login(&f.s, result, span_of(text));
    return code();
}

static void start(bool secure)
{
    memset(&f, 0, sizeof f);
    f.options = (struct smtp_options){.hostname = SPAN("mx.example.org"),
                                      .tls = SMTP_TLS_MAY,
                                      .auth = true,
                                      .max_auth_errors = 3,
                                      .max_message_size = 1 << 20,
                                      .max_recipients = 100,
                                      .max_errors = 100,
                                      .max_commands = 1000,
                                      .max_transactions = 100};
    f.out = TEXT(f.room);
    f.arena = (struct arena){.base = f.memory, .cap = sizeof f.memory};
    smtp_session_open(&f.s, &f.options, &f.out, &f.arena, true);
    f.s.login = &f.login;
    f.s.secure = secure;
}

static void greet(bool secure)
{
    start(secure);
    cr_assert_eq(say("EHLO c.example"), 250);
}

static bool has_said(const char *text)
{
    f.out.p[f.out.n] = '\0';
    return strstr(f.out.p, text) != NULL;
}

Test(login, is_announced_inside_tls_alone)
{
    greet(false);
    cr_expect(!has_said("AUTH"));
    greet(true);
    cr_expect(has_said("\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n"));
    cr_expect(!has_said("AUTH="));
    start(false);
    f.options.auth_plaintext = f.options.auth_old_clients = true;
    cr_assert_eq(say("EHLO c.example"), 250);
    cr_expect(has_said("\r\n250-AUTH=PLAIN LOGIN SCRAM-SHA-256\r\n"));
    greet(true);
    cr_assert_eq(say("AUTH PLAIN AGEAYg=="), 0);
    cr_assert_eq(answer(SMTP_LOGIN_DONE, "jane"), 235);
    cr_assert_eq(say("EHLO c.example"), 250);
    cr_expect(!has_said("AUTH"), "not after a login: there is one a session");
    cr_expect(f.s.authenticated);
}

Test(login, goes_by_an_initial_response)
{
    greet(true);
    cr_assert_eq(say("auth plain AGEAYg=="), 0);
    cr_assert_eq(f.want, SMTP_NEXT_LOGIN);
    cr_expect(f.login.step == SMTP_LOGIN_BEGINS);
    cr_expect(span_eq(f.login.mechanism, SPAN("PLAIN")));
    cr_expect(span_eq(f.login.response, SPAN("AGEAYg==")));
    cr_assert_eq(answer(SMTP_LOGIN_DONE, "jane@example.org"), 235);
    cr_expect(f.s.authenticated && span_eq(f.login.user, SPAN("jane@example.org")));
    cr_expect(span_eq(f.login.method, SPAN("PLAIN")));
    cr_expect(f.login.response.p == NULL);
    cr_expect_eq(say("AUTH PLAIN AGEAYg=="), 503);
    cr_expect_eq(say("RSET"), 250);
    cr_expect(f.s.authenticated);
    cr_expect(span_eq(smtp_session_protocol(&f.s, false), SPAN("ESMTPSA")));
}

Test(login, has_an_empty_initial_response_or_none)
{
    greet(true);
    say("AUTH LOGIN");
    cr_expect(f.want == SMTP_NEXT_LOGIN && f.login.response.p == NULL);
    answer(SMTP_LOGIN_LATER, "");
    say("AUTH LOGIN =");
    cr_expect(f.want == SMTP_NEXT_LOGIN && f.login.response.p != NULL && f.login.response.n == 0);
}

Test(login, goes_by_challenges)
{
    greet(true);
    say("AUTH LOGIN");
    cr_assert_eq(answer(SMTP_LOGIN_CHALLENGE, "VXNlcm5hbWU6"), 334);
    cr_expect(has_said("334 VXNlcm5hbWU6\r\n"));
    cr_assert_eq(f.want, SMTP_NEXT_LINE);
    say("amFuZQ==");
    cr_assert_eq(f.want, SMTP_NEXT_LOGIN);
    cr_expect(f.login.step == SMTP_LOGIN_GOES_ON && span_eq(f.login.response, SPAN("amFuZQ==")));
    cr_assert_eq(answer(SMTP_LOGIN_CHALLENGE, "UGFzc3dvcmQ6"), 334);
    say(""); /* RFC 4954 4: an empty response is an empty line */
    cr_expect(f.want == SMTP_NEXT_LOGIN && f.login.response.n == 0 && f.login.response.p != NULL);
    cr_assert_eq(answer(SMTP_LOGIN_WRONG, ""), 535);
    cr_expect_eq(say("NOOP"), 250, "the next line is a command again");
}

Test(login, a_response_is_no_command)
{
    greet(true);
    say("AUTH LOGIN");
    answer(SMTP_LOGIN_CHALLENGE, "VXNlcm5hbWU6");
    say("QUIT");
    cr_expect(f.want == SMTP_NEXT_LOGIN && f.login.step == SMTP_LOGIN_GOES_ON);
}

Test(login, can_be_cancelled)
{
    static const struct {
        const char *line;
        unsigned code;
    } rows[] = {{"*", 501}, {"**", 501}, {"no base64!", 501}, {"YQ=", 501}, {"YR==", 501}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        greet(true);
        say("AUTH LOGIN");
        answer(SMTP_LOGIN_CHALLENGE, "VXNlcm5hbWU6");
        say(rows[i].line);
        cr_assert(f.want == SMTP_NEXT_LOGIN && f.login.step == SMTP_LOGIN_CANCELLED);
        cr_expect_eq(answer(SMTP_LOGIN_WRONG, ""), rows[i].code);
        cr_expect(!f.login.going_on && f.login.errors == 0);
        cr_expect_eq(say("NOOP"), 250);
    }
    greet(true);
    say("AUTH LOGIN");
    answer(SMTP_LOGIN_CHALLENGE, "VXNlcm5hbWU6");
    f.out.n = 0;
    cr_assert_eq(smtp_session_bad_line(&f.s, SMTP_LINE_TOO_LONG), SMTP_NEXT_LOGIN);
    cr_expect_eq(answer(SMTP_LOGIN_LATER, ""), 500);
    cr_expect(has_said("5.5.6"));
}

/* Else the command after it would be taken for a response. */
Test(login, ends_with_a_bad_line_of_any_kind)
{
    static const enum smtp_line_result faults[] = {SMTP_LINE_TOO_LONG, SMTP_LINE_BARE_LF,
                                                   SMTP_LINE_BARE_CR};

    for (size_t i = 0; i < COUNT(faults); i++) {
        greet(true);
        say("AUTH LOGIN");
        answer(SMTP_LOGIN_CHALLENGE, "VXNlcm5hbWU6");
        cr_assert_eq(smtp_session_bad_line(&f.s, faults[i]), SMTP_NEXT_LOGIN);
        cr_expect(f.login.step == SMTP_LOGIN_CANCELLED);
        cr_expect_eq(answer(SMTP_LOGIN_LATER, ""), 500);
        /* Nothing behind a bare line end can be trusted. */
        cr_expect_eq(f.want == SMTP_NEXT_CLOSE, faults[i] != SMTP_LINE_TOO_LONG);
        if (f.want == SMTP_NEXT_LINE)
            cr_expect_eq(say("NOOP"), 250);
    }
}

/* RFC 4954 4 and 6. */
Test(login, is_refused_as_the_standard_says)
{
    greet(true);
    cr_expect_eq(say("AUTH"), 501);
    cr_expect_eq(say("AUTH CRAM-MD5"), 504);
    cr_expect_eq(say("AUTH PLAIN !"), 501);
    cr_expect_eq(say("AUTH PLAIN AGEAYg"), 501);
    cr_expect_eq(say("AUTH PLAIN AGEAYg== x"), 501);
    cr_expect_eq(say("AUTH ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 504);
    cr_expect_eq(say("MAIL FROM:<a@example.com>"), 250);
    cr_expect_eq(say("AUTH PLAIN AGEAYg=="), 503);
    greet(false);
    cr_expect_eq(say("AUTH PLAIN AGEAYg=="), 538);
    start(true);
    cr_expect_eq(say("AUTH PLAIN AGEAYg=="), 503, "EHLO first");
    cr_expect_eq(say("HELO c.example"), 250);
    cr_expect_eq(say("AUTH PLAIN AGEAYg=="), 503, "HELO is not EHLO");
    greet(true);
    say("AUTH PLAIN AGEAYg==");
    cr_expect_eq(answer(SMTP_LOGIN_LATER, "no server"), 454);
    cr_expect(!has_said("no server"), "what is wrong is not the client's to know");
    say("AUTH PLAIN AGEAYg==");
    cr_expect_eq(answer(SMTP_LOGIN_UNKNOWN, ""), 504);
    say("AUTH PLAIN AGEAYg==");
    cr_expect_eq(answer(SMTP_LOGIN_MALFORMED, ""), 501);
    f.options.auth = false;
    f.s.login = NULL;
    cr_expect_eq(say("AUTH PLAIN AGEAYg=="), 500);
}

Test(login, fails_so_often_and_no_more)
{
    greet(true);
    for (unsigned i = 0; i < 2; i++) {
        say("AUTH PLAIN AGEAYg==");
        cr_expect_eq(answer(SMTP_LOGIN_WRONG, ""), 535);
    }
    say("AUTH PLAIN AGEAYg==");
    cr_expect_eq(answer(SMTP_LOGIN_WRONG, ""), 421);
    cr_expect_eq(f.want, SMTP_NEXT_CLOSE);
}

/* Whoever asks for one challenge after the other: a session has an end. */
Test(login, has_an_end)
{
    greet(true);
    f.options.max_commands = 10;
    say("AUTH LOGIN");
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(answer(SMTP_LOGIN_CHALLENGE, ""), 334);
        say("AAAA");
        cr_assert(f.want == SMTP_NEXT_LOGIN && f.login.step == SMTP_LOGIN_GOES_ON);
    }
    answer(SMTP_LOGIN_CHALLENGE, "");
    say("AAAA");
    cr_assert(f.want == SMTP_NEXT_LOGIN && f.login.step == SMTP_LOGIN_CANCELLED);
    cr_expect_eq(answer(SMTP_LOGIN_DONE, "jane"), 421);
    cr_expect(f.want == SMTP_NEXT_CLOSE && !f.s.authenticated && has_said("mx.example.org"));
    greet(true);
    f.options.max_commands = 2;
    say("AUTH LOGIN");
    answer(SMTP_LOGIN_CHALLENGE, "");
    cr_assert_eq(smtp_session_bad_line(&f.s, SMTP_LINE_TOO_LONG), SMTP_NEXT_LOGIN);
    cr_expect_eq(answer(SMTP_LOGIN_LATER, ""), 421);
}

Test(login, may_be_required)
{
    static const char *const always[] = {"NOOP", "RSET", "HELO c.example", "EHLO c.example"};
    static const char *const later[] = {
        "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA", "VRFY b", "EXPN l", "HELP"};

    greet(true);
    f.options.auth_required = true;
    for (size_t i = 0; i < COUNT(later); i++)
        cr_expect_eq(say(later[i]), 530, "%s", later[i]);
    for (size_t i = 0; i < COUNT(always); i++)
        cr_expect_eq(say(always[i]), 250, "%s", always[i]);
    say("AUTH PLAIN AGEAYg==");
    answer(SMTP_LOGIN_DONE, "jane");
    cr_expect_eq(say("MAIL FROM:<a@example.com>"), 250);
}

Test(login, goes_with_tls)
{
    greet(false);
    f.options.auth_plaintext = true;
    cr_assert_eq(say("EHLO c.example"), 250);
    say("AUTH PLAIN AGEAYg==");
    answer(SMTP_LOGIN_DONE, "jane");
    cr_assert_eq(smtp_session_line(&f.s, SPAN("STARTTLS")), SMTP_NEXT_TLS);
    smtp_session_tls(&f.s, SMTP_TLS_READY);
    smtp_session_secured(&f.s, true);
    cr_expect(!f.s.authenticated && f.login.user.n == 0, "RFC 4954 4, RFC 3207 4.2");
    cr_assert_eq(say("EHLO c.example"), 250);
    cr_expect(has_said("AUTH PLAIN"), "the mechanisms are asked for again");
}

Test(login, hostile_answers_are_no_login)
{
    static char longest[SMTP_AUTH_LINE_MAX + 5], user[SMTP_USER_MAX + 2];

    memset(longest, 'A', sizeof longest - 1);
    memset(user, 'u', sizeof user - 1);
    greet(true);
    say("AUTH LOGIN");
    cr_expect_eq(answer(SMTP_LOGIN_CHALLENGE, "x\r\n250 forged"), 454);
    say("AUTH LOGIN");
    cr_expect_eq(answer(SMTP_LOGIN_CHALLENGE, longest), 454);
    longest[SMTP_AUTH_LINE_MAX] = '\0';
    say("AUTH LOGIN");
    cr_expect_eq(answer(SMTP_LOGIN_CHALLENGE, longest), 334);
    cr_expect_eq(f.out.n, 4 + SMTP_AUTH_LINE_MAX + 2);
    say("*");
    answer(SMTP_LOGIN_LATER, "");
    say("AUTH LOGIN");
    cr_expect_eq(answer(SMTP_LOGIN_DONE, ""), 454);
    say("AUTH LOGIN");
    cr_expect_eq(answer(SMTP_LOGIN_DONE, user), 454);
    say("AUTH LOGIN");
    cr_expect_eq(answer(SMTP_LOGIN_DONE, "a\nb"), 454);
    cr_expect(!f.s.authenticated);
}

/* RFC 4954 5 */
Test(login, the_parameter_of_mail)
{
    greet(true);
    cr_expect_eq(say("MAIL FROM:<a@example.com> AUTH=<>"), 250);
    say("RSET");
    cr_expect_eq(say("MAIL FROM:<a@example.com> AUTH=e+3Dmc2@example.com"), 250);
    cr_expect_eq(f.s.transaction.auth.n, 0, "of whom nobody has logged in, it means nothing");
    say("RSET");
    cr_expect_eq(say("MAIL FROM:<a@example.com> AUTH=e+3dmc2@example.com"), 501);
    cr_expect_eq(say("MAIL FROM:<a@example.com> AUTH=a+0Ab"), 501);
    cr_expect_eq(say("MAIL FROM:<a@example.com> AUTH=a+4"), 501);
    cr_expect_eq(say("MAIL FROM:<a@example.com> AUTH"), 501);
    say("AUTH PLAIN AGEAYg==");
    answer(SMTP_LOGIN_DONE, "jane");
    cr_expect_eq(say("MAIL FROM:<a@example.com> AUTH=e+3Dmc2@example.com"), 250);
    cr_expect(span_eq(f.s.transaction.auth, SPAN("e=mc2@example.com")));
}
