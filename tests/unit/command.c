/* What a delivery command is told: its words, with their macros expanded, and its environment. */
#include "adapters/command.h"
#include "syntax/macro.h"
#include "syntax/tls_facts.h"
#include "unit.h"

#include <stdlib.h>

static struct smtp_recipient recipients[3];
static const struct smtp_recipient *const list[3] = {&recipients[0], &recipients[1],
                                                     &recipients[2]};
static struct smtp_session session;
static struct peer peer = {.address = {.p = "192.0.2.1", .n = 9}, .port = {.p = "25", .n = 2}};

static void set_recipient(struct smtp_recipient *r, const char *address, const char *local,
                          const char *domain)
{
    *r = (struct smtp_recipient){.mailbox = {.address = span_of(address),
                                             .local = span_of(local),
                                             .domain = span_of(domain)}};
}

static char **expand(const char *command, size_t count)
{
    static char room[16384];
    static struct arena a;
    const struct command_run run = {.session = &session,
                                    .peer = &peer,
                                    .id = SPAN("ID"),
                                    .delimiter = SPAN("+-"),
                                    .size = 42,
                                    .recipient = list,
                                    .recipients = count};
    struct words words;

    a = (struct arena){.base = room, .cap = sizeof room};
    cr_assert_null(words_split(span_of(command), &a, &words));
    for (size_t i = 0; i < words.n; i++)
        cr_assert_null(macro_check(words.word[i]), "%s", command);
    return command_argv(&run, &words, &a);
}

static void set_up(void)
{
    static const struct smtp_options plain = {.max_errors = 1};

    session =
        (struct smtp_session){.options = &plain, .helo = SPAN("client.example"), .esmtp = true};
    session.transaction.reverse_path.address = SPAN("s@example.com");
    set_recipient(&recipients[0], "a+x-y@example.org", "a+x-y", "example.org");
    set_recipient(&recipients[1], "\"b c\"@example.net", "b c", "example.net");
    set_recipient(&recipients[2], "-rf@x", "-rf", "x");
    recipients[0].next = &recipients[1];
    recipients[1].next = &recipients[2];
}

static void expect_words(char **got, const char *const *expected, size_t n)
{
    cr_assert_not_null(got);
    for (size_t i = 0; i < n; i++) {
        cr_assert_not_null(got[i]);
        cr_expect_str_eq(got[i], expected[i]);
    }
    cr_expect_null(got[n]);
}

#define EXPECT_WORDS(command, count, ...)                                                          \
    do {                                                                                           \
        static const char *const expected_[] = {__VA_ARGS__};                                      \
        expect_words(expand(command, count), expected_, COUNT(expected_));                         \
    } while (0)

Test(macro, every_macro, .init = set_up)
{
    EXPECT_WORDS("/x ${sender} ${size} ${queue_id} ${body}", 1, "/x", "s@example.com", "42", "ID",
                 "7BIT");
    EXPECT_WORDS("/x ${client_address} ${client_port} ${client_hostname} ${client_helo} "
                 "${client_protocol}",
                 1, "/x", "192.0.2.1", "25", "unknown", "client.example", "ESMTP");
    EXPECT_WORDS("/x ${recipient} ${mailbox} ${user} ${extension} ${domain}", 1, "/x",
                 "a+x-y@example.org", "a+x-y", "a", "x-y", "example.org");
    EXPECT_WORDS("/x -a=${user}/${domain} $$HOME $${sender}", 1, "/x", "-a=a/example.org", "$HOME",
                 "${sender}");
}

Test(macro, words_are_repeated_for_each_recipient, .init = set_up)
{
    EXPECT_WORDS("/x -f ${sender} -- ${recipient} end", 3, "/x", "-f", "s@example.com", "--",
                 "a+x-y@example.org", "\"b c\"@example.net", "-rf@x", "end");
    EXPECT_WORDS("/x ${user}", 3, "/x", "a", "b c", "-rf");
    EXPECT_WORDS("/x ${extension}.", 3, "/x", "x-y.", ".", ".");
}

Test(macro, utf8_and_digest, .init = set_up)
{
    set_recipient(&recipients[0], "p\xc3\xa9@example.org", "p\xc3\xa9", "example.org");
    session.transaction.smtputf8 = true;
    EXPECT_WORDS("/x ${user} ${body} ${client_protocol} <${digest}>", 1, "/x", "p\xc3\xa9",
                 "SMTPUTF8", "UTF8SMTP", "<>");
}

Test(macro, null_sender_is_an_empty_word, .init = set_up)
{
    session.transaction.reverse_path.address = SPAN("");
    EXPECT_WORDS("/x -f ${sender} y", 1, "/x", "-f", "", "y");
}

Test(macro, nothing_is_expanded_twice, .init = set_up)
{
    session.transaction.reverse_path.address = SPAN("${recipient}$$\"; id `x`\"@x");
    EXPECT_WORDS("/x ${sender}", 1, "/x", "${recipient}$$\"; id `x`\"@x");
}

static const struct tls_facts secure = {.protocol = {.p = "TLSv1.3", .n = 7},
                                        .cipher = {.p = "CIPHER", .n = 6},
                                        .cipher_iana = {.p = "IANA", .n = 4},
                                        .sni = {.p = "mx.example.org", .n = 14},
                                        .verify = {.p = "SUCCESS", .n = 7},
                                        .name = {.p = "c.example", .n = 9},
                                        .subject = {.p = "CN=c \"x\"", .n = 8},
                                        .fingerprint = {.p = "AA:BB", .n = 5}};

/* Outside TLS they are empty words. */
Test(macro, tls, .init = set_up)
{
    static const char command[] =
        "/x ${tls_protocol} ${tls_cipher} ${tls_sni} ${tls_client_verify} ${tls_client_name} "
        "${tls_client_subject} ${tls_client_fingerprint} <${requiretls}>";

    EXPECT_WORDS(command, 1, "/x", "", "", "", "", "", "", "", "<>");
    peer.tls = &secure;
    session.secure = true;
    EXPECT_WORDS(command, 1, "/x", "TLSv1.3", "CIPHER", "mx.example.org", "SUCCESS", "c.example",
                 "CN=c \"x\"", "AA:BB", "<>");
    session.transaction.requiretls = true;
    EXPECT_WORDS("/x ${requiretls} ${client_protocol}", 1, "/x", "1", "ESMTPS");
    peer.tls = NULL;
}

/* The value of a variable in a run for so many; NULL: there is none. */
static const char *variable_for(size_t count, const char *name)
{
    static char room[16384];
    struct arena a = {.base = room, .cap = sizeof room};
    const struct command_run run = {
        .session = &session, .peer = &peer, .recipient = list, .recipients = count};
    char **e = command_environment(&run, &a);
    const size_t n = strlen(name);

    cr_assert_not_null(e);
    for (; *e != NULL; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    return NULL;
}

static const char *variable(const char *name)
{
    return variable_for(1, name);
}

static const struct smtp_options honours = {.max_errors = 1,
                                            .dsn = true,
                                            .mt_priority = true,
                                            .deliver_by = true,
                                            .future_release = 86400000};

#define EXPECT_VARIABLE(count, name, value)                                                        \
    do {                                                                                           \
        const char *got_ = variable_for(count, name);                                              \
        cr_assert_not_null(got_, "%s", name);                                                      \
        cr_expect_str_eq(got_, value, "%s: %s", name, got_);                                       \
    } while (0)

/* What the client has said behind MAIL: as it came, and only what it has said. */
Test(macro, parameters_of_mail, .init = set_up)
{
    static const char command[] =
        "/x <${dsn_ret}> <${dsn_envid}> <${mt_priority}> <${deliver_by}> <${release}>";

    EXPECT_WORDS(command, 1, "/x", "<>", "<>", "<>", "<>", "<>");
    session.options = &honours;
    session.now = 1795460000;
    EXPECT_WORDS(command, 1, "/x", "<>", "<>", "<>", "<>", "<>");
    cr_expect_null(variable("SMTPIN_DSN_RET"));
    cr_expect_null(variable("SMTPIN_RELEASE"));
    session.transaction.extras = SPAN("ENVID=a+2Bb MT-PRIORITY=-9 BY=60;rt HOLDFOR=60 RET=full");
    session.transaction.release = session.now + 60;
    EXPECT_WORDS(command, 1, "/x", "<full>", "<a+2Bb>", "<-9>", "<60;rt>",
                 "<2026-11-23T18:54:20Z>");
    for (size_t n = 1; n <= 3; n++) {
        EXPECT_VARIABLE(n, "SMTPIN_DSN_RET", "full");
        EXPECT_VARIABLE(n, "SMTPIN_DSN_ENVID", "a+2Bb");
        EXPECT_VARIABLE(n, "SMTPIN_MT_PRIORITY", "-9");
        EXPECT_VARIABLE(n, "SMTPIN_DELIVER_BY", "60;rt");
        EXPECT_VARIABLE(n, "SMTPIN_RELEASE", "2026-11-23T18:54:20Z");
    }
    session.transaction.extras = SPAN("HOLDUNTIL=2026-11-23T20:00:00+01:00");
    session.transaction.release = 1795460400;
    EXPECT_VARIABLE(1, "SMTPIN_RELEASE", "2026-11-23T19:00:00Z");
    cr_expect_null(variable("SMTPIN_DSN_ENVID"));
    /* A time that is over holds nothing. */
    session.transaction.release = session.now;
    cr_expect_null(variable("SMTPIN_RELEASE"));
}

/* Behind RCPT: a word or a line for each, and of an alias for all whom it stands for. */
Test(macro, parameters_of_rcpt, .init = set_up)
{
    session.options = &honours;
    cr_expect_null(variable_for(3, "SMTPIN_DSN_NOTIFY"));
    cr_expect_null(variable_for(3, "SMTPIN_DSN_ORCPT"));
    recipients[1].extras = "NOTIFY=NEVER";
    recipients[2].extras = "ORCPT=rfc822;x+2By NOTIFY=SUCCESS,DELAY";
    EXPECT_WORDS("/x -n ${dsn_notify} -o ${dsn_orcpt}", 3, "/x", "-n", "", "NEVER", "SUCCESS,DELAY",
                 "-o", "", "", "rfc822;x+2By");
    EXPECT_VARIABLE(3, "SMTPIN_DSN_NOTIFY", "\nNEVER\nSUCCESS,DELAY");
    EXPECT_VARIABLE(3, "SMTPIN_DSN_ORCPT", "\n\nrfc822;x+2By");
    EXPECT_VARIABLE(2, "SMTPIN_DSN_NOTIFY", "\nNEVER");
    cr_expect_null(variable_for(2, "SMTPIN_DSN_ORCPT"));
    cr_expect_null(variable_for(1, "SMTPIN_DSN_NOTIFY"));
    recipients[0].of = &recipients[2];
    EXPECT_VARIABLE(1, "SMTPIN_DSN_NOTIFY", "SUCCESS,DELAY");
    EXPECT_VARIABLE(1, "SMTPIN_DSN_ORCPT", "rfc822;x+2By");
}

/* Only inside TLS, and only what is known. */
Test(macro, tls_environment, .init = set_up)
{
    static const struct tls_facts least = {.protocol = {.p = "TLSv1.2", .n = 7}};

    setenv("SSL_PROTOCOL", "evil", 1);
    cr_expect_null(variable("SSL_PROTOCOL"));
    peer.tls = &secure;
    cr_expect_str_eq(variable("SSL_PROTOCOL"), "TLSv1.3");
    cr_expect_str_eq(variable("SSL_CIPHER"), "CIPHER");
    cr_expect_str_eq(variable("SSL_TLS_SNI"), "mx.example.org");
    cr_expect_str_eq(variable("SSL_CLIENT_VERIFY"), "SUCCESS");
    cr_expect_str_eq(variable("SSL_CLIENT_S_DN"), "CN=c \"x\"");
    cr_expect_null(variable("SMTPIN_REQUIRETLS"));
    session.transaction.requiretls = true;
    cr_expect_str_eq(variable("SMTPIN_REQUIRETLS"), "1");
    peer.tls = &least;
    cr_expect_str_eq(variable("SSL_PROTOCOL"), "TLSv1.2");
    cr_expect_null(variable("SSL_TLS_SNI"));
    peer.tls = NULL;
}

Test(macro, a_full_arena_is_an_answer, .init = set_up)
{
    char room[64];
    struct arena a = {.base = room, .cap = sizeof room};
    const struct command_run run = {
        .session = &session, .peer = &peer, .recipient = list, .recipients = 3};

    cr_expect_null(command_environment(&run, &a));
}

Test(macro, environment_has_no_other_names, .init = set_up)
{
    static const char *const names[] = {"PATH",
                                        "LANG",
                                        "TZ",
                                        "RECIPIENT_COUNT",
                                        "SENDER",
                                        "RECIPIENT",
                                        "ORIGINAL_RECIPIENT",
                                        "LOCAL",
                                        "EXTENSION",
                                        "DOMAIN",
                                        "SMTPIN_SIZE",
                                        "SMTPIN_ID",
                                        "SMTPIN_BODY",
                                        "SMTPIN_REPLIES",
                                        "SMTPIN_DIGEST",
                                        "CLIENT_PORT",
                                        "CLIENT_ADDRESS",
                                        "CLIENT_HOSTNAME",
                                        "CLIENT_HELO",
                                        "CLIENT_PROTOCOL"};
    char room[8192];
    struct arena a = {.base = room, .cap = sizeof room};
    const struct command_run run = {
        .session = &session, .peer = &peer, .recipient = list, .recipients = 1};
    char **e;

    setenv("SENDER", "evil", 1);
    setenv("LD_PRELOAD_X", "evil", 1);
    e = command_environment(&run, &a);
    cr_assert_not_null(e);
    for (; *e != NULL; e++) {
        const struct span name = span_first(span_of(*e), span_find(span_of(*e), '='));
        bool known = false;

        for (size_t i = 0; i < COUNT(names); i++)
            known = known || span_eq(name, span_of(names[i]));
        cr_expect(known, "%s", *e);
        cr_expect_null(strstr(*e, "evil"));
    }
}
