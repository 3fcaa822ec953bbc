/* The client of the policy protocol: what is asked, what an answer's action is, and servers that
 * answer in every way: each is a process of the test's, on a socket in a directory of its own. */
#include "adapters/policy.h"
#include "policy_server.h"
#include "syntax/policy_server.h"
#include "syntax/tls_facts.h"

#include <dirent.h>
#include <errno.h>
#include <time.h>

static const struct smtp_options plain = {.max_errors = 1};
static const struct smtp_options lmtp = {.max_errors = 1, .lmtp = true};
static struct peer peer;
static struct smtp_session session;
static struct smtp_recipient recipient;
static char memory[64 * 1024];
static struct arena arena;

static void set_up(void)
{
    arena = (struct arena){.base = memory, .cap = sizeof memory};
    peer = (struct peer){.address = SPAN("192.0.2.1"),
                         .port = SPAN("4025"),
                         .server_address = SPAN("192.0.2.2"),
                         .server_port = SPAN("25")};
    recipient = (struct smtp_recipient){.mailbox = {.address = SPAN("jane@example.org")}};
    session = (struct smtp_session){
        .options = &plain, .helo = SPAN("client.example"), .esmtp = true, .transactions = 3};
    session.transaction = (struct smtp_transaction){
        .reverse_path = {.address = SPAN("joe@sender.example")},
        .first = &recipient,
        .recipients = 1,
    };
}

static struct policy_facts facts_at(enum policy_state state)
{
    return (struct policy_facts){.state = state,
                                 .session = &session,
                                 .peer = &peer,
                                 .id = SPAN("ID"),
                                 .recipient = state == POLICY_RCPT ? &recipient.mailbox : NULL,
                                 .size = 42};
}

/* What is asked ------------------------------------------------------------------------------- */

static void expect_request(enum policy_state state, const char *expected, const char *what)
{
    char room[POLICY_REQUEST_MAX];
    struct text out = TEXT(room);
    const struct policy_facts f = facts_at(state);

    policy_write(&out, &f);
    cr_expect_not(out.cut);
    cr_expect_span(text_span(&out), expected, what);
}

#define REQUEST(state, protocol, helo, sender, recipient, count, queue, instance, size)            \
    "request=smtpd_access_policy\nprotocol_state=" state "\nprotocol_name=" protocol               \
    "\nclient_address=192.0.2.1\nclient_name=unknown\nclient_port=4025\n"                          \
    "reverse_client_name=unknown\nserver_address=192.0.2.2\nserver_port=25\nhelo_name=" helo       \
    "\nsender=" sender "\nrecipient=" recipient "\nrecipient_count=" count "\nqueue_id=" queue     \
    "\ninstance=" instance "\nsize=" size "\netrn_domain=\nstress=\nsasl_method=\n"                \
    "sasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\n"            \
    "ccert_pubkey_fingerprint=\nencryption_protocol=\nencryption_cipher=\n"                        \
    "encryption_keysize=0\npolicy_context=\n\n"

Test(policy, requests, .init = set_up)
{
    struct smtp_recipient second = {.mailbox = {.address = SPAN("jim@example.org")}};

    expect_request(POLICY_EHLO, REQUEST("EHLO", "SMTP", "client.example", "", "", "0", "", "", "0"),
                   "EHLO");
    expect_request(
        POLICY_MAIL,
        REQUEST("MAIL", "ESMTP", "client.example", "joe@sender.example", "", "0", "", "", "42"),
        "MAIL");
    expect_request(POLICY_RCPT,
                   REQUEST("RCPT", "ESMTP", "client.example", "joe@sender.example",
                           "jane@example.org", "0", "", "ID.3", "42"),
                   "RCPT");
    expect_request(POLICY_DATA,
                   REQUEST("DATA", "ESMTP", "client.example", "joe@sender.example",
                           "jane@example.org", "1", "ID", "ID.3", "42"),
                   "DATA");
    recipient.next = &second;
    session.transaction.recipients = 2;
    session.transaction.reverse_path.address = SPAN("");
    expect_request(
        POLICY_END_OF_MESSAGE,
        REQUEST("END-OF-MESSAGE", "ESMTP", "client.example", "", "", "2", "ID", "ID.3", "42"),
        "two recipients, the null reverse-path");
    session.helo = SPAN("");
    expect_request(POLICY_CONNECT, REQUEST("CONNECT", "SMTP", "", "", "", "0", "", "", "0"),
                   "CONNECT");
    session.helo = SPAN("client.example");
    session.esmtp = false;
    expect_request(POLICY_EHLO, REQUEST("HELO", "SMTP", "client.example", "", "", "0", "", "", "0"),
                   "HELO");
    expect_request(POLICY_MAIL,
                   REQUEST("MAIL", "SMTP", "client.example", "", "", "0", "", "", "42"),
                   "MAIL after HELO");
    session.options = &lmtp;
    session.esmtp = true;
    expect_request(POLICY_MAIL,
                   REQUEST("MAIL", "LMTP", "client.example", "", "", "0", "", "", "42"), "LMTP");
}

/* The value of an attribute of the request at RCPT. */
static void expect_value(const char *name, const char *expected)
{
    char room[POLICY_REQUEST_MAX + 1];
    struct text out = TEXT(room);
    const struct policy_facts f = facts_at(POLICY_RCPT);
    struct span left, line;
    bool found = false;

    policy_write(&out, &f);
    left = text_span(&out);
    while (span_word(&left, "\n", &line)) {
        if (!span_starts_nocase(line, span_of(name)) || line.p[strlen(name)] != '=')
            continue;
        cr_expect_not(found, "%s twice", name);
        found = true;
        cr_expect_span(span_from(line, strlen(name) + 1), expected, name);
    }
    cr_expect(found, "%s", name);
}

Test(policy, the_client_s_name_and_address, .init = set_up)
{
    peer.name = SPAN("mx.client.example");
    expect_value("client_name", "mx.client.example");
    expect_value("reverse_client_name", "mx.client.example");
    peer = (struct peer){.name = SPAN("")};
    expect_value("client_address", "127.0.0.1"); /* by another one postgrey would end */
    expect_value("client_name", "localhost");
    expect_value("client_port", "");
    expect_value("server_address", "");
    expect_value("server_port", "");
}

/* As Postfix has them: a certificate's names only where an authority vouches for them. */
Test(policy, tls, .init = set_up)
{
    struct tls_facts facts = {.protocol = SPAN("TLSv1.3"),
                              .cipher = SPAN("TLS_AES_256_GCM_SHA384"),
                              .bits = SPAN("256"),
                              .name = SPAN("c.example"),
                              .issuer = SPAN("CN=CA"),
                              .verify = SPAN("FAILED:self-signed certificate"),
                              .fingerprint = SPAN("AA:BB"),
                              .key_fingerprint = SPAN("CC:DD")};

    peer.tls = &facts;
    expect_value("encryption_protocol", "TLSv1.3");
    expect_value("encryption_cipher", "TLS_AES_256_GCM_SHA384");
    expect_value("encryption_keysize", "256");
    expect_value("ccert_fingerprint", "AA:BB");
    expect_value("ccert_pubkey_fingerprint", "CC:DD");
    expect_value("ccert_subject", "");
    expect_value("ccert_issuer", "");
    facts.verify = SPAN("SUCCESS");
    expect_value("ccert_subject", "c.example");
    expect_value("ccert_issuer", "CN=CA");
    facts = (struct tls_facts){.protocol = SPAN("TLS")};
    expect_value("encryption_protocol", "TLS");
    expect_value("encryption_keysize", "0");
    expect_value("ccert_fingerprint", "");
}

/* A value can't end its line, nor begin another attribute; and the request is never too long. */
Test(policy, hostile_values, .init = set_up)
{
    static char longest[4096];
    char room[POLICY_REQUEST_MAX];
    struct text out = TEXT(room);
    struct policy_facts f = facts_at(POLICY_DATA); /* all that is known then */

    session.helo = SPAN("a\nrecipient=x\r\n\nb\0c\x7f");
    expect_value("helo_name", "a?recipient=x???b?c?");
    memset(longest, 'x', sizeof longest);
    session.helo = (struct span){.p = longest, .n = sizeof longest};
    session.transaction.reverse_path.address = session.helo;
    recipient.mailbox.address = session.helo;
    peer = (struct peer){.name = session.helo, .port = session.helo, .address = session.helo};
    peer.server_address = peer.server_port = session.helo;
    f.id = session.helo;
    policy_write(&out, &f);
    cr_expect_not(out.cut);
    cr_expect_span(span_from(text_span(&out), out.n - 18), "\npolicy_context=\n\n", "its end");
    cr_expect_eq(span_count(text_span(&out), '\n'), 30);
}

/* What an action is --------------------------------------------------------------------------- */

Test(policy, actions, .init = set_up)
{
    static const struct {
        const char *action;
        enum policy_action is;
        unsigned code; /* 0: no reply */
        const char *enhanced, *text;
    } rows[] = {
        {"OK", POLICY_OK, 0, "", ""},
        {" ok\t", POLICY_OK, 0, "", ""},
        {"DUNNO", POLICY_DUNNO, 0, "", ""},
        {"dunno because", POLICY_DUNNO, 0, "", "because"},
        {"REJECT", POLICY_REPLY, 554, "5.7.1", "Access denied"},
        {"Reject Go away", POLICY_REPLY, 554, "5.7.1", "Go away"},
        {"REJECT 5.1.1 Go away", POLICY_REPLY, 554, "5.1.1", "Go away"},
        {"REJECT\t4.1.1 Go away", POLICY_REPLY, 554, "5.7.1", "Go away"},
        {"DEFER", POLICY_REPLY, 450, "4.7.0", "Try again later"},
        {"defer 4.2.0 Wait", POLICY_REPLY, 450, "4.2.0", "Wait"},
        {"450 4.2.1 Wait", POLICY_REPLY, 450, "4.2.1", "Wait"},
        {"451", POLICY_REPLY, 451, "4.7.1", "Try again later"},
        {"550 5.7.23 SPF", POLICY_REPLY, 550, "5.7.23", "SPF"},
        {"421 4.3.2 Bye", POLICY_REPLY, 421, "4.3.2", "Bye"},
        {"521 Bye", POLICY_REPLY, 521, "5.7.1", "Bye"},
        {"DEFER_IF_PERMIT 4.2.0 Greylisted, see http://x", POLICY_DEFER_IF_PERMIT, 450, "4.2.0",
         "Greylisted, see http://x"},
        {"DEFER_IF_PERMIT", POLICY_DEFER_IF_PERMIT, 450, "4.7.0", "Try again later"},
        {"defer_if_reject No", POLICY_DEFER_IF_REJECT, 450, "4.7.0", "No"},
        {"prepend X-A: b  ", POLICY_PREPEND, 0, "", "X-A: b"},
        {"REDIRECT bob@example.net", POLICY_REDIRECT, 0, "", "bob@example.net"},
        {"DISCARD", POLICY_DISCARD, 0, "", ""},
        {"HOLD why", POLICY_HOLD, 0, "", "why"},
        {"WARN why", POLICY_WARN, 0, "", "why"},
        {"INFO why", POLICY_INFO, 0, "", "why"},
        {"", POLICY_UNKNOWN, 0, "", ""},
        {"FILTER smtp:x", POLICY_UNKNOWN, 0, "", "FILTER smtp:x"},
        {"BCC a@b.example", POLICY_UNKNOWN, 0, "", "BCC a@b.example"},
        {"OKAY", POLICY_UNKNOWN, 0, "", "OKAY"},
        {"O", POLICY_UNKNOWN, 0, "", "O"},
        {"DEFER_IF_PERMITTED", POLICY_UNKNOWN, 0, "", "DEFER_IF_PERMITTED"},
        {"250 2.0.0 Ok", POLICY_UNKNOWN, 0, "", "250 2.0.0 Ok"},
        {"354", POLICY_UNKNOWN, 0, "", "354"},
        {"55", POLICY_UNKNOWN, 0, "", "55"},
        {"5500 x", POLICY_UNKNOWN, 0, "", "5500 x"},
        {"550-x", POLICY_UNKNOWN, 0, "", "550-x"},
        {"550 4.2.1 x", POLICY_UNKNOWN, 0, "", "550 4.2.1 x"},
        {"650 x", POLICY_UNKNOWN, 0, "", "650 x"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct span in = guarded(rows[i].action, strlen(rows[i].action));
        struct policy_answer got;

        arena_reset(&arena);
        policy_read_action(in, &arena, &got);
        cr_expect_eq(got.action, rows[i].is, "%s: %d", rows[i].action, (int)got.action);
        if (rows[i].code == 0) {
            cr_expect_span(got.text, rows[i].text, rows[i].action);
        } else {
            cr_expect_eq(got.reply.code, rows[i].code, "%s: %u", rows[i].action, got.reply.code);
            cr_expect_span(got.reply.enhanced, rows[i].enhanced, rows[i].action);
            cr_expect_span(got.reply.text, rows[i].text, rows[i].action);
            cr_expect_eq(got.reply.close, rows[i].code == 421 || rows[i].code == 521);
        }
    }
}

/* With too little memory there is no wrong answer: the action as it is, or none. */
Test(policy, full_arena, .init = set_up)
{
    static const char *const actions[] = {"DUNNO", "REJECT Go away", "450 4.2.0 Wait",
                                          "PREPEND X-A: b"};

    for (size_t i = 0; i < COUNT(actions); i++) {
        struct policy_answer whole, got;

        arena_reset(&arena);
        policy_read_action(span_of(actions[i]), &arena, &whole);
        for (size_t cap = 0; cap < 2 * SMTP_RESULT_TEXT_MAX + 64; cap++) {
            char room[2 * SMTP_RESULT_TEXT_MAX + 64];
            struct arena little = {.base = room, .cap = cap};

            policy_read_action(span_of(actions[i]), &little, &got);
            cr_assert(got.action == whole.action || got.action == POLICY_UNKNOWN);
            cr_assert(got.action != POLICY_REPLY || got.reply.code == whole.reply.code);
            cr_assert(little.used <= cap);
        }
        cr_expect_eq(got.action, whole.action);
    }
}

Test(policy, fields)
{
    static char field[POLICY_FIELD_MAX + 2] = "X: ";

    memset(field + 3, 'a', POLICY_FIELD_MAX - 3);
    cr_expect(policy_is_field(span_of(field)));
    field[POLICY_FIELD_MAX] = 'a';
    cr_expect_not(policy_is_field(span_of(field)));
    cr_expect(policy_is_field(SPAN("X-A:")));
    cr_expect(policy_is_field(SPAN("X-A:b:c")));
    cr_expect_not(policy_is_field(SPAN("")));
    cr_expect_not(policy_is_field(SPAN(":x")));
    cr_expect_not(policy_is_field(SPAN("no field")));
    cr_expect_not(policy_is_field(SPAN("X A: b")));
    cr_expect_not(policy_is_field(SPAN("X-A : b")));
    cr_expect_not(policy_is_field(SPAN("X\xe4: b")));
}

/* How servers are named ------------------------------------------------------------------------ */

Test(policy, names)
{
    static const char *const good[] = {"unix:/run/x", "UNIX:/run/x", "inet:127.0.0.1:10023",
                                       "inet:[::1]:25", "inet:host.example:policy"};
    static const char *const bad[] = {"",         "unix:",      "unix:run/x", "/run/x",
                                      "inet:",    "inet:host",  "inet:host:", "inet::25",
                                      "host:25",  "inet:/x:25", "tcp:x:25",   "inet:a/b:25",
                                      "inet:x:/y"};

    for (size_t i = 0; i < COUNT(good); i++)
        cr_expect_null(policy_is_server(span_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_expect_not_null(policy_is_server(span_of(bad[i])), "%s", bad[i]);
}

/* Servers ------------------------------------------------------------------------------------- */

enum { SHORT = 400, LONG = 20000 };

static bool ask(struct policy_server *s, uint64_t timeout, struct policy_answer *out)
{
    const struct policy_facts f = facts_at(POLICY_RCPT);

    arena_reset(&arena);
    return policy_ask(s, &f, timeout, &arena, out);
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

#define SCRIPT(...) ((const struct step[]){__VA_ARGS__, {.what = END}})

static void expect_action(struct policy_server *s, enum policy_action action, const char *what)
{
    struct policy_answer got;

    if (ask(s, LONG, &got))
        cr_expect_eq(got.action, action, "%s: %d", what, (int)got.action);
    else
        cr_expect_fail("%s: %s", what, s->wrong);
    cr_expect_geq(s->fd, 0, "%s", what);
}

/* `wrong`: a word of why. */
static void expect_failure(struct policy_server *s, uint64_t timeout, const char *wrong,
                           const char *what)
{
    struct policy_answer got;
    const uint64_t began = now();

    s->wrong = NULL;
    cr_expect_not(ask(s, timeout, &got), "%s", what);
    cr_expect(s->wrong != NULL && strstr(s->wrong, wrong) != NULL, "%s: %s", what,
              s->wrong == NULL ? "no reason" : s->wrong);
    cr_expect_eq(s->fd, -1, "%s: not closed", what);
    cr_expect_lt(now() - began, timeout + 5000, "%s: took too long", what);
}

Test(policy, good_answers, .init = set_up, .timeout = 60)
{
    static const struct {
        const char *answer;
        enum policy_action action;
    } rows[] = {
        {"action=OK\n\n", POLICY_OK},
        {"action=dunno\r\n\r\n", POLICY_DUNNO},
        {"ACTION=DUNNO\n\n", POLICY_DUNNO},
        {"action= OK \n\n", POLICY_OK},
        {"action=\n\n", POLICY_UNKNOWN},
        {"x=y\nnonsense\naction=OK\n=\nz=\n\n", POLICY_OK},
        {"action=OK\naction=REJECT\n\n", POLICY_OK},
        {"reason=action=OK\naction=REJECT\n\n", POLICY_REPLY},
        {"action=PREPEND X-A:\tb\n\n", POLICY_PREPEND},
        {"action=REJECT \xc3\xa4\xff\n\n", POLICY_REPLY},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake f = fake_start(
            SCRIPT({READ}, {SAY, rows[i].answer}, {READ}, {SLOWLY, rows[i].answer}, {CLOSE}));
        struct policy_server s;

        policy_open(&s, span_of(f.name));
        expect_action(&s, rows[i].action, rows[i].answer);
        expect_action(&s, rows[i].action, rows[i].answer);
        policy_close(&s);
        cr_expect_eq(s.fd, -1);
        fake_end(&f);
        /* Each came whole, and was what policy_write writes. */
        cr_expect_eq(f.connections, 1);
        cr_expect_eq(f.requests, 2);
        cr_expect_eq(f.reads, 2);
    }
}

Test(policy, an_answer_of_all_octets_that_it_may_have, .init = set_up, .timeout = 60)
{
    static char answer[POLICY_ANSWER_MAX + 1];
    struct policy_server s;
    struct fake f;

    memset(answer, 'x', sizeof answer - 1);
    memcpy(answer, "action=OK ", 10);
    memcpy(answer + sizeof answer - 3, "\n\n", 2);
    f = fake_start(SCRIPT({READ}, {SAY, answer}, {READ}, {SAY, "x"}, {SAY, answer}, {CLOSE}));
    policy_open(&s, span_of(f.name));
    expect_action(&s, POLICY_OK, "at the limit");
    expect_failure(&s, LONG, "too much", "beyond it");
    fake_end(&f);
}

Test(policy, bad_answers, .init = set_up, .timeout = 120)
{
    static const struct {
        const char *name, *wrong;
        uint64_t timeout;
        struct step script[4];
    } rows[] = {
        {"no action", "without an action", LONG, {{READ}, {SAY, "reply=OK\n\n"}, {CLOSE}, {END}}},
        {"nothing", "without an action", LONG, {{READ}, {SAY, "\n"}, {CLOSE}, {END}}},
        {"a blank", "without an action", LONG, {{READ}, {SAY, "action =OK\n\n"}, {CLOSE}, {END}}},
        {"control", "control", LONG, {{READ}, {SAY, "action=OK\x01\n\n"}, {CLOSE}, {END}}},
        {"control before", "control", LONG, {{READ}, {SAY, "\x1b\naction=OK\n\n"}, {END}}},
        {"control behind", "control", LONG, {{READ}, {SAY, "action=OK\nx\x7f\n\n"}, {END}}},
        {"CR", "control", LONG, {{READ}, {SAY, "action=OK\rX: y\n\n"}, {CLOSE}, {END}}},
        {"NUL", "control", LONG, {{READ}, {NUL, "action=OK"}, {CLOSE}, {END}}},
        {"two answers", "ahead", LONG, {{READ}, {SAY, "action=OK\n\naction=OK\n\n"}, {END}}},
        {"1 MiB", "too much", LONG, {{READ}, {FLOOD}, {CLOSE}, {END}}},
        {"half", "within", LONG, {{READ}, {SAY, "action=OK\n"}, {CLOSE}, {END}}},
        {"closing", "without an answer", LONG, {{READ}, {CLOSE}, {END}}},
        {"unread", "reset", LONG, {{PEEK}, {CLOSE}, {END}}},
        {"silence", "in time", SHORT, {{READ}, {WAIT}, {CLOSE}, {END}}},
        {"not even accepted", "in time", SHORT, {{WAIT}, {END}}},
        {"half, then silence", "half", SHORT, {{READ}, {SAY, "action=OK\n"}, {WAIT}, {END}}},
        {"an octet now and then", "half", SHORT, {{READ}, {TRICKLE, "action=OK\n\n"}, {END}}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        const int before = descriptors();
        struct fake f = fake_start(rows[i].script);
        struct policy_server s;

        policy_open(&s, span_of(f.name));
        expect_failure(&s, rows[i].timeout, rows[i].wrong, rows[i].name);
        fake_end(&f);
        cr_expect_eq(descriptors(), before, "%s: descriptors", rows[i].name);
    }
}

Test(policy, nobody_answers, .init = set_up, .timeout = 60)
{
    static const struct {
        const char *name, *wrong;
    } rows[] = {
        {"unix:/nonexistent/policy", "No such file"},
        {"UNIX:/nonexistent/policy", "No such file"},
        {"unix:/dev/null", "refused"},
        {"inet:127.0.0.1:no-such-port", "its host or its port is not known"},
        {"inet:name.invalid.:25", ""}, /* or that no server of names can be reached */
    };
    struct policy_server s;

    for (size_t i = 0; i < COUNT(rows); i++) {
        policy_open(&s, span_of(rows[i].name));
        /* (What looks up names has a time of its own.) */
        expect_failure(&s, LONG, rows[i].wrong, rows[i].name);
        cr_expect(strcmp(s.wrong, strerror(0)) != 0 && strcmp(s.wrong, strerror(EINVAL)) != 0,
                  "%s: %s", rows[i].name, s.wrong);
    }
}

/* A Unix socket that nobody accepts from, and whose queue is full. */
Test(policy, full_queue, .init = set_up, .timeout = 60)
{
    struct fake f = fake_start(SCRIPT({LISTEN_ONLY}, {WAIT}));
    struct policy_server s[4];
    size_t n = 0;
    uint64_t began;
    struct policy_answer got;

    do {
        cr_assert_lt(n, COUNT(s));
        policy_open(&s[n], span_of(f.name));
        began = now();
        cr_expect_not(ask(&s[n++], SHORT, &got));
        cr_expect_geq(now() - began + 1, SHORT);
        cr_expect_lt(now() - began, SHORT + 5000);
    } while (strstr(s[n - 1].wrong, "timed out") == NULL);
    fake_end(&f);
}

/* What was kept is dead by the next question: it is asked again, once, on another connection. */
Test(policy, connection_that_ends, .init = set_up, .timeout = 60)
{
    static const struct {
        const char *name;
        struct step script[8];
    } rows[] = {
        {"closes after its answer",
         {{READ}, {SAY, "action=OK\n\n"}, {CLOSE}, {READ}, {SAY, "action=DUNNO\n\n"}, {END}}},
        {"closes at the next question",
         {{READ},
          {SAY, "action=OK\n\n"},
          {READ},
          {CLOSE},
          {READ},
          {SAY, "action=DUNNO\n\n"},
          {END}}},
        {"resets at the next question",
         {{READ},
          {SAY, "action=OK\n\n"},
          {PEEK},
          {CLOSE},
          {READ},
          {SAY, "action=DUNNO\n\n"},
          {END}}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake f = fake_start(rows[i].script);
        struct policy_server s;

        policy_open(&s, span_of(f.name));
        expect_action(&s, POLICY_OK, rows[i].name);
        if (i == 0)
            fake_wait_for_close(s.fd);
        expect_action(&s, POLICY_DUNNO, rows[i].name);
        policy_close(&s);
        fake_end(&f);
        cr_expect_eq(f.connections, 2, "%s", rows[i].name);
    }
}

Test(policy, asked_again_once_only, .init = set_up, .timeout = 60)
{
    struct fake f = fake_start(SCRIPT({READ}, {SAY, "action=OK\n\n"}, {READ}, {CLOSE}, {READ},
                                      {CLOSE}, {READ}, {SAY, "action=OK\n\n"}));
    struct policy_server s;

    policy_open(&s, span_of(f.name));
    expect_action(&s, POLICY_OK, "the first");
    expect_failure(&s, LONG, "without an answer", "the second: twice no answer");
    expect_action(&s, POLICY_OK, "the third: a connection of its own");
    policy_close(&s);
    fake_end(&f);
    cr_expect_eq(f.connections, 3);
    cr_expect_eq(f.requests, 4);
}

/* Half an answer, or silence, is one: it is not asked again. */
Test(policy, not_asked_again, .init = set_up, .timeout = 60)
{
    static const struct {
        const char *name, *wrong;
        uint64_t timeout;
        struct step script[6];
    } rows[] = {
        {"half",
         "within",
         LONG,
         {{READ}, {SAY, "action=OK\n\n"}, {READ}, {SAY, "action=OK\n"}, {CLOSE}, {END}}},
        {"silence", "in time", SHORT, {{READ}, {SAY, "action=OK\n\n"}, {READ}, {WAIT}, {END}}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake f = fake_start(rows[i].script);
        struct policy_server s;

        policy_open(&s, span_of(f.name));
        expect_action(&s, POLICY_OK, rows[i].name);
        expect_failure(&s, rows[i].timeout, rows[i].wrong, rows[i].name);
        fake_end(&f);
        cr_expect_eq(f.requests, 2, "%s", rows[i].name);
        cr_expect_eq(f.connections, 1, "%s", rows[i].name);
    }
}

Test(policy, answer_ahead_of_the_question, .init = set_up, .timeout = 60)
{
    struct fake f = fake_start(SCRIPT({READ}, {SAY, "action=OK\n\n"}, {SAY, "action=OK\n\n"},
                                      {WAIT_CLOSED}, {READ}, {SAY, "action=DUNNO\n\n"}));
    struct policy_server s;
    struct policy_answer got;

    policy_open(&s, span_of(f.name));
    /* Whether both come in one read is chance. */
    if (ask(&s, LONG, &got)) {
        fake_wait_for_octets(s.fd);
        expect_failure(&s, LONG, "ahead", "ahead");
    } else {
        cr_expect(strstr(s.wrong, "ahead") != NULL, "%s", s.wrong);
    }
    expect_action(&s, POLICY_DUNNO, "on a new connection");
    policy_close(&s);
    fake_end(&f);
    cr_expect_eq(f.requests, 2, "what came ahead was no answer to a question");
}

Test(policy, tcp, .init = set_up, .timeout = 60)
{
    struct fake f = fake_start_tcp(
        SCRIPT({READ}, {SAY, "action=OK\n\n"}, {PEEK}, {RESET}, {READ}, {SAY, "action=DUNNO\n\n"}));
    struct policy_server s;

    policy_open(&s, span_of(f.name));
    expect_action(&s, POLICY_OK, "TCP");
    expect_action(&s, POLICY_DUNNO, "TCP, reset");
    policy_close(&s);
    fake_end(&f);
    cr_expect_eq(f.connections, 2);
    policy_open(&s, span_of(f.name));
    expect_failure(&s, LONG, "refused", "nobody listens any more");
}
