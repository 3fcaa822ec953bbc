/* A client's manners: whether it waits for the greeting and for replies (RFC 5321 3.1, RFC 2920
 * 3.1), and what it says that its name is. */
#include "adapters/rules.h"
#include "adapters/rules_helo.h"
#include "io/clock.h"
#include "io/wire.h"
#include "smtp/session.h"
#include "unit.h"

#include <sys/socket.h>

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

static void set_up(void)
{
    memset(&f, 0, sizeof f);
    f.options = (struct smtp_options){.hostname = SPAN("mx.example.org"),
                                      .unexpected_pipelining = 1,
                                      .max_auth_errors = 3,
                                      .max_message_size = 1 << 20,
                                      .max_recipients = 100,
                                      .max_errors = 100,
                                      .max_refused_recipients = 100,
                                      .max_commands = 1000,
                                      .max_transactions = 100,
                                      .max_received = 100,
                                      .max_text_line = 65536};
}

static enum smtp_want start(void)
{
    f.out = TEXT(f.room);
    f.arena = (struct arena){.base = f.memory, .cap = sizeof f.memory};
    f.want = smtp_session_open(&f.s, &f.options, &f.out, &f.arena, true);
    return f.want;
}

static unsigned say(const char *line, bool followed)
{
    const struct smtp_verdict accept = {.opinion = SMTP_ACCEPT};

    f.out.n = 0;
    f.s.followed = followed && f.options.unexpected_pipelining == 1;
    f.want = smtp_session_line(&f.s, guarded(line, strlen(line)));
    if (f.want == SMTP_NEXT_DECISION)
        f.want = smtp_session_decided(&f.s, &accept);
    if (f.want == SMTP_NEXT_MECHANISMS)
        f.want = smtp_session_mechanisms(&f.s, SPAN("PLAIN LOGIN"));
    return code();
}

/* ---- The greeting. */

Test(greeting, is_not_held_back_by_default, .init = set_up)
{
    cr_expect_eq(start(), SMTP_NEXT_LINE);
    cr_expect_eq(code(), 220);
}

Test(greeting, is_held_back, .init = set_up)
{
    f.options.greet_delay = 1;
    cr_expect_eq(start(), SMTP_NEXT_GREETING);
    cr_expect_eq(f.out.n, 0);
    cr_expect_eq(smtp_session_greet(&f.s, false), SMTP_NEXT_LINE);
    cr_expect_eq(code(), 220);
    cr_expect_null(f.s.said.reply.rule);
}

Test(greeting, an_early_talker_hears_554_in_its_place, .init = set_up)
{
    f.options.greet_delay = 1;
    start();
    cr_expect_eq(smtp_session_greet(&f.s, true), SMTP_NEXT_CLOSE);
    cr_expect_eq(code(), 554);
    cr_expect_eq(strncmp(f.out.p, "554 mx.example.org ", 19), 0, "the host's name stands first");
    cr_expect_str_eq(f.s.said.reply.rule, "early_talker");
}

Test(greeting, an_lmtp_client_is_not_held_back, .init = set_up)
{
    f.options.greet_delay = 1;
    f.options.lmtp = true;
    cr_expect_eq(start(), SMTP_NEXT_LINE);
    cr_expect_eq(code(), 220);
}

Test(greeting, who_is_refused_need_not_wait, .init = set_up)
{
    f.options.greet_delay = 1;
    f.options.decide_at = SMTP_ABOUT_CLIENT;
    cr_expect_eq(start(), SMTP_NEXT_DECISION);
    /* RFC 5321 3.1: it may say QUIT. */
    cr_expect_eq(smtp_session_decided(&f.s, &(struct smtp_verdict){.opinion = SMTP_REFUSE}),
                 SMTP_NEXT_LINE);
    cr_expect_eq(code(), 554);
    start();
    cr_expect_eq(smtp_session_decided(&f.s, &(struct smtp_verdict){.opinion = SMTP_NO_OPINION}),
                 SMTP_NEXT_GREETING);
    cr_expect_eq(f.out.n, 0);
}

Test(greeting, inside_tls_the_handshake_comes_first, .init = set_up)
{
    f.options.greet_delay = 1;
    f.options.tls = SMTP_TLS_IMPLICIT;
    cr_expect_eq(start(), SMTP_NEXT_TLS);
    cr_expect_eq(smtp_session_is_secure(&f.s, f.want), SMTP_NEXT_GREETING, "a super-server's TLS");
    start();
    cr_expect_eq(smtp_session_tls(&f.s, SMTP_TLS_READY), SMTP_NEXT_HANDSHAKE);
    cr_expect_eq(smtp_session_secured(&f.s, true), SMTP_NEXT_GREETING);
    cr_expect_eq(f.out.n, 0);
    smtp_session_greet(&f.s, false);
    cr_expect_eq(code(), 220);
}

Test(greeting, no_second_one_behind_starttls, .init = set_up)
{
    f.options.greet_delay = 1;
    f.options.tls = SMTP_TLS_MAY;
    start();
    smtp_session_greet(&f.s, false);
    cr_expect_eq(say("EHLO c.example", false), 250);
    say("STARTTLS", false);
    cr_expect_eq(f.want, SMTP_NEXT_TLS);
    smtp_session_tls(&f.s, SMTP_TLS_READY);
    cr_expect_eq(smtp_session_secured(&f.s, true), SMTP_NEXT_LINE);
}

/* ---- The reply to a mistake. */

Test(mistakes, are_held_back_where_they_count, .init = set_up)
{
    static const struct smtp_verdict refuse = {.opinion = SMTP_REFUSE};

    f.options.error_delay = 1;
    start();
    say("EHLO c.example", false);
    cr_expect_eq(f.want, SMTP_NEXT_LINE);
    cr_expect_eq(say("NONSENSE", false), 500);
    cr_expect_eq(f.want, SMTP_NEXT_PAUSE);
    cr_expect_not_null(f.s.said.reply.rule);
    cr_expect_eq(smtp_session_paused(&f.s), SMTP_NEXT_LINE);
    cr_expect_null(f.s.said.reply.rule, "it is in the log once");
    cr_expect_eq(say("DATA", false), 503);
    cr_expect_eq(f.want, SMTP_NEXT_PAUSE);
    cr_expect_eq(f.s.errors, 2);
    cr_expect_eq(say("MAIL FROM:<a@example.com>", false), 250);
    cr_expect_eq(f.want, SMTP_NEXT_LINE);
    /* What has a count of its own, or is no mistake. */
    cr_expect_eq(smtp_session_line(&f.s, SPAN("RCPT TO:<b@example.org>")), SMTP_NEXT_DECISION);
    cr_expect_eq(smtp_session_decided(&f.s, &refuse), SMTP_NEXT_LINE);
    cr_expect_eq(f.s.errors, 2);
    cr_expect_eq(say("GET / HTTP/1.0", false), 421);
    cr_expect_eq(f.want, SMTP_NEXT_CLOSE);
    cr_expect_eq(smtp_session_bad_line(&f.s, SMTP_LINE_BARE_LF), SMTP_NEXT_CLOSE);
}

Test(mistakes, a_refused_message_is_none, .init = set_up)
{
    struct smtp_data data;

    f.options.error_delay = 1;
    start();
    for (int delivered = 0; delivered < 2; delivered++) {
        say("EHLO c.example", false);
        say("MAIL FROM:<a@example.com>", false);
        say("RCPT TO:<b@example.org>", false);
        cr_assert_eq(say("DATA", false), 354);
        smtp_session_decoder(&f.s, &data);
        data.ended = true;
        data.fault = delivered ? SMTP_DATA_FINE : SMTP_DATA_LOOP;
        f.out.n = 0;
        f.want = smtp_session_collected(&f.s, &data);
        if (delivered) {
            f.s.transaction.first->result = (struct smtp_reply){.code = 550, .text = SPAN("no")};
            f.want = smtp_session_delivered(&f.s);
        }
        cr_expect_geq(code(), 550);
        cr_expect_eq(f.want, SMTP_NEXT_LINE);
    }
}

Test(mistakes, of_lmtp_clients_do_not_count, .init = set_up)
{
    f.options.error_delay = 1;
    f.options.lmtp = true;
    start();
    cr_expect_eq(say("NONSENSE", false), 500);
    cr_expect_eq(f.want, SMTP_NEXT_LINE);
}

/* ---- Pipelining: what each command says that has more behind it, written down: before a greeting,
 * after HELO, after EHLO. A place that the command does not have in the order of things does not
 * matter here: who sends too early is out of step. */
static const struct {
    const char *line;
    unsigned early, helo, ehlo;
} followed[] = {
    {"EHLO c.example", 503, 503, 503},
    {"HELO c.example", 503, 503, 503},
    {"MAIL FROM:<a@example.com>", 503, 503, 250},
    {"RSET", 503, 503, 250},
    {"NOOP", 503, 503, 503},
    {"NOOP text", 503, 503, 503},
    {"VRFY jane", 503, 503, 503},
    {"EXPN list", 503, 503, 503},
    {"HELP", 503, 503, 214},
    {"HELP MAIL", 503, 503, 214},
    {"MAIL FROM:<a@", 503, 503, 501},
    {"NONSENSE", 503, 503, 500},
    {"ETRN example.org", 503, 503, 502},
    {"", 503, 503, 500},
    {"QUIT", 221, 221, 221},
    {"GET / HTTP/1.1", 421, 421, 421},
};

static void go_to(unsigned state, bool accept)
{
    set_up();
    f.options.unexpected_pipelining = accept ? 0 : 1;
    start();
    if (state > 0)
        cr_assert_eq(say(state == 1 ? "HELO c.example" : "EHLO c.example", false), 250);
}

static void expect_followed(const char *line, unsigned expected)
{
    cr_expect_eq(say(line, true), expected, "%s: %u, not %u", line, code(), expected);
    cr_expect_eq(f.want == SMTP_NEXT_CLOSE, expected == 503 || expected == 221 || expected == 421,
                 "%s", line);
    if (expected == 503)
        cr_expect_str_eq(f.s.said.reply.rule, "unexpected_pipelining");
}

Test(pipelining, what_may_have_more_behind_it)
{
    for (size_t i = 0; i < COUNT(followed); i++) {
        go_to(0, false);
        expect_followed(followed[i].line, followed[i].early);
        go_to(1, false);
        expect_followed(followed[i].line, followed[i].helo);
        go_to(2, false);
        expect_followed(followed[i].line, followed[i].ehlo);
    }
}

Test(pipelining, the_same_lines_alone_are_what_they_always_were)
{
    for (size_t i = 0; i < COUNT(followed); i++)
        for (unsigned state = 0; state < 3; state++) {
            unsigned alone;

            go_to(state, true);
            alone = say(followed[i].line, false);
            go_to(state, true);
            cr_expect_eq(say(followed[i].line, true), alone, "%s: accept", followed[i].line);
            go_to(state, false);
            cr_expect_eq(say(followed[i].line, false), alone, "%s: alone", followed[i].line);
            cr_expect(f.s.said.reply.rule == NULL ||
                      strcmp(f.s.said.reply.rule, "unexpected_pipelining") != 0);
        }
}

Test(pipelining, a_group_as_rfc_2920_has_it)
{
    struct smtp_data data;

    go_to(2, false);
    cr_expect_eq(say("RSET", true), 250);
    cr_expect_eq(say("MAIL FROM:<a@example.com>", true), 250);
    cr_expect_eq(say("RCPT TO:<b@example.org>", true), 250);
    cr_expect_eq(say("RCPT TO:<c@example.org>", true), 250);
    cr_expect_eq(say("DATA", false), 354);
    /* RFC 2920 3.1: a message is the first of the next group, whatever stands behind it. */
    smtp_session_decoder(&f.s, &data);
    data.ended = true;
    f.s.followed = true;
    f.out.n = 0;
    cr_expect_eq(smtp_session_collected(&f.s, &data), SMTP_NEXT_DELIVERY);
    for (struct smtp_recipient *r = f.s.transaction.first; r != NULL; r = r->next)
        r->result = (struct smtp_reply){.code = 250, .text = SPAN("OK")};
    cr_expect_eq(smtp_session_delivered(&f.s), SMTP_NEXT_LINE);
    cr_expect_eq(code(), 250);
    cr_expect_eq(say("QUIT", true), 221);
}

Test(pipelining, a_message_behind_data_is_never_taken_for_commands)
{
    go_to(2, false);
    say("MAIL FROM:<a@example.com>", true);
    say("RCPT TO:<b@example.org>", true);
    expect_followed("DATA", 503);
    go_to(2, false);
    say("MAIL FROM:<a@example.com>", true);
    expect_followed("DATA", 503); /* nobody would get it */
}

/* RFC 5321 3.1: behind 554 there is 503 for all, and no end before QUIT. */
Test(pipelining, who_was_turned_away_is_waited_for)
{
    set_up();
    f.options.decide_at = SMTP_ABOUT_CLIENT;
    start();
    smtp_session_decided(&f.s, &(struct smtp_verdict){.opinion = SMTP_REFUSE});
    for (size_t i = 0; i < COUNT(followed); i++) {
        if (followed[i].early != 503)
            continue;
        cr_expect_eq(say(followed[i].line, true), 503, "%s", followed[i].line);
        cr_expect_str_eq(f.s.said.reply.rule, "turned_away");
        cr_expect_eq(f.want, SMTP_NEXT_LINE);
    }
    cr_expect_eq(say("QUIT", true), 221);
}

Test(pipelining, starttls_has_its_own_rule)
{
    set_up();
    f.options.tls = SMTP_TLS_MAY;
    start();
    say("EHLO c.example", false);
    say("STARTTLS", true);
    cr_expect_eq(f.want, SMTP_NEXT_TLS);
    f.out.n = 0;
    cr_expect_eq(smtp_session_tls(&f.s, SMTP_TLS_NOT_ALONE), SMTP_NEXT_CLOSE);
    cr_expect_eq(code(), 554);
}

Test(pipelining, a_login_waits_for_each_reply)
{
    for (int of_response = 0; of_response < 2; of_response++) {
        set_up();
        f.options.auth = f.options.auth_plaintext = true;
        start();
        f.s.login = &f.login;
        cr_assert_eq(say("EHLO c.example", false), 250);
        if (!of_response) {
            expect_followed("AUTH LOGIN", 503);
            continue;
        }
        say("AUTH LOGIN", false);
        cr_assert_eq(smtp_session_login(&f.s, SMTP_LOGIN_CHALLENGE, SPAN("VXNlcm5hbWU6")),
                     SMTP_NEXT_LINE);
        cr_assert(f.login.going_on);
        say("amFuZQ==", true);
        cr_expect_eq(f.want, SMTP_NEXT_LOGIN);
        cr_expect_eq(f.login.step, SMTP_LOGIN_CANCELLED, "nobody is asked any more");
        f.out.n = 0;
        cr_expect_eq(smtp_session_login(&f.s, SMTP_LOGIN_DONE, SPAN("jane")), SMTP_NEXT_CLOSE);
        cr_expect_eq(code(), 503);
        cr_expect_not(f.s.authenticated);
    }
}

/* ---- The name after EHLO. */

static struct config config;
static struct peer peer;
static struct smtp_session session;
static struct rules_sources sources;

static const char *judge(const char *name, const char *address)
{
    struct rules rules = {
        .config = &config, .peer = &peer, .session = &session, .sources = &sources};
    struct smtp_verdict v;

    peer.address = span_of(address);
    session.options = &config.smtp;
    session.helo = span_of(name);
    v = rules_helo(&rules);
    if (v.opinion == SMTP_NO_OPINION)
        return "-";
    cr_expect_eq(v.opinion, SMTP_REFUSE);
    cr_expect_eq(v.reply.code, 550);
    return v.reply.rule;
}

static void be_strict(void)
{
    config.smtp.hostname = SPAN("mx.example.org");
    config.relay_clients = SPAN("192.0.2.0/24 2001:db8:1::/48");
    config.domains = SPAN("example.org");
    config.helo_is_us = config.helo_bare_name = 1;
    peer = (struct peer){.server_address = SPAN("203.0.113.5")};
}

static const char stranger[] = "198.51.100.7";

Test(helo, names_of_ours, .init = be_strict)
{
    static const struct {
        const char *name, *rule;
    } cases[] = {
        {"mx.example.org", "helo_is_us"},
        {"MX.Example.ORG", "helo_is_us"},
        {"mx.example.org.", "helo_is_us"},
        {"mx.example.orga", "-"},
        {"x.mx.example.org", "-"},
        {"example.org", "-"}, /* of domains: a colleague's mail server may have it */
        {"[203.0.113.5]", "helo_is_us"},
        {"203.0.113.5", "helo_is_us"},
        {"[IPv6:::ffff:203.0.113.5]", "helo_is_us"},
        {"[203.0.113.6]", "-"},
        {"[203.0.113.5", "-"},
        {"[127.0.0.1]", "-"}, /* programs that keep their address to themselves */
        {"[]", "-"},
        {"localhost", "helo_bare_name"},
        {"pc7", "helo_bare_name"},
        {"pc7.", "helo_bare_name"},
        {"pc7.local", "-"},
        {"[IPv6:2001:db8::1]", "-"},
        {"", "-"},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_str_eq(judge(cases[i].name, stranger), cases[i].rule, "%s", cases[i].name);
    peer.server_address = SPAN("2001:db8::5");
    cr_expect_str_eq(judge("[IPv6:2001:DB8:0:0:0:0:0:5]", stranger), "helo_is_us");
    cr_expect_str_eq(judge("[ipv6:2001:db8::5]", stranger), "helo_is_us");
    cr_expect_str_eq(judge("[2001:db8::6]", stranger), "-");
    peer.server_address = SPAN("");
    cr_expect_str_eq(judge("[203.0.113.5]", stranger), "-");
    cr_expect_str_eq(judge("[]", stranger), "-");
}

Test(helo, each_has_its_setting, .init = be_strict)
{
    config.helo_is_us = 0;
    cr_expect_str_eq(judge("mx.example.org", stranger), "-");
    cr_expect_str_eq(judge("pc7", stranger), "helo_bare_name");
    config.helo_is_us = 1;
    config.helo_bare_name = 0;
    cr_expect_str_eq(judge("mx.example.org", stranger), "helo_is_us");
    cr_expect_str_eq(judge("pc7", stranger), "-");
    config.smtp.hostname = SPAN("mx");
    cr_expect_str_eq(judge("mx", stranger), "helo_is_us", "a hostname without a dot is ours too");
}

Test(helo, whose_is_not_looked_at, .init = be_strict)
{
    cr_expect_str_eq(judge("mx.example.org", "127.0.0.1"), "-", "cron, a health check");
    cr_expect_str_eq(judge("mx.example.org", "::1"), "-");
    cr_expect_str_eq(judge("mx.example.org", ""), "-", "a pipe");
    cr_expect_str_eq(judge("mx.example.org", "192.0.2.77"), "-", "relay_clients");
    cr_expect_str_eq(judge("mx.example.org", "2001:db8:1::2"), "-");
    cr_expect_str_eq(judge("mx.example.org", "2001:db8:2::2"), "helo_is_us");
    peer.relays = true;
    cr_expect_str_eq(judge("mx.example.org", stranger), "-", "RELAYCLIENT");
    peer.relays = false;
    session.authenticated = true;
    cr_expect_str_eq(judge("pc7", stranger), "-", "who has logged in");
    session.authenticated = false;
    config.smtp.lmtp = true;
    cr_expect_str_eq(judge("mx.example.org", stranger), "-", "LMTP");
}

Test(helo, its_record_has_the_name, .init = be_strict)
{
    struct rules rules = {
        .config = &config, .peer = &peer, .session = &session, .sources = &sources};
    struct span source, key, words;

    judge("MX.example.org", stranger);
    cr_assert(rules_last(&rules, "helo_is_us", &source, &key, &words));
    cr_expect_span(key, "MX.example.org", "key");
}

/* No policy server is asked at EHLO because another setting wants the name looked at. */
Test(helo, a_policy_server_of_another_state_is_not_asked, .init = be_strict)
{
    struct rules rules = {
        .config = &config, .peer = &peer, .session = &session, .sources = &sources};

    config.policy = SPAN("unix:/nonexistent/policy");
    config.policy_states = SMTP_ABOUT_RECIPIENT;
    config.policy_default = SPAN("451 4.3.5 Policy can't be asked");
    peer.address = SPAN("198.51.100.7");
    session.options = &config.smtp;
    session.helo = SPAN("client.example.com");
    cr_expect_eq(rules_decide_step(&rules, SMTP_ABOUT_GREETING).opinion, SMTP_NO_OPINION);
    session.helo = SPAN("mx.example.org");
    cr_expect_eq(rules_decide_step(&rules, SMTP_ABOUT_GREETING).opinion, SMTP_REFUSE);
}

/* ---- A pause. */

static struct wire on(int fd, int stop)
{
    static char buffer[64];

    return (struct wire){.in = fd, .out = fd, .stop = stop, .buffer = buffer, .cap = sizeof buffer};
}

Test(pause, lasts_until_its_end_whatever_the_client_sends)
{
    const uint64_t before = clock_now();
    struct wire w;
    int s[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    w = on(s[0], -1);
    cr_assert_eq(write(s[1], "NOOP\r\n", 6), 6);
    cr_expect_eq(wire_pause(&w, before + 100), WIRE_TIMEOUT);
    cr_expect_geq(clock_now() - before, 100);
    cr_expect_eq(wire_unread(&w).n, 0);
}

Test(pause, ends_with_the_client_or_at_a_stop)
{
    const uint64_t before = clock_now();
    struct wire w;
    int s[2], stop[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    cr_assert_eq(pipe(stop), 0);
    w = on(s[0], stop[0]);
    cr_assert_eq(shutdown(s[1], SHUT_WR), 0);
    cr_expect_eq(wire_pause(&w, before + 60000), WIRE_EOF);
    cr_assert_eq(write(stop[1], "", 1), 1);
    cr_expect_eq(wire_pause(&w, before + 60000), WIRE_STOP);
    cr_expect_lt(clock_now() - before, 30000);
}
