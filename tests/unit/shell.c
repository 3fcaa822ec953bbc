/* The shell's pure parts: configuration, macros, networks, rules. */
#include "adapters/admission.h"
#include "adapters/command.h"
#include "adapters/rules.h"
#include "config/load.h"
#include "syntax/macro.h"
#include "syntax/network.h"
#include "unit.h"

#include <arpa/inet.h>
#include <stdlib.h>

Test(network, parse_and_match)
{
    static const struct {
        const char *list, *address;
        bool has;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "192.0.2.1", true},
        {"::ffff:192.0.2.1", "192.0.2.1", true},
        {"192.0.2.0/24", "::ffff:192.0.2.7", true},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"10.0.0.0/8, 192.0.2.1", "192.0.2.1", true},
        {"", "192.0.2.1", false},
        {"192.0.2.0/24", "", false},
        {"192.0.2.0/24", "192.0.2.0/25", false},
        {"192.0.2.0/24", "nonsense", false},
    };
    struct network n;

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(network_list_has(span_of(cases[i].list), span_of(cases[i].address)),
                     cases[i].has, "%s in %s", cases[i].address, cases[i].list);
    cr_expect_not(network_parse(SPAN("192.0.2.1/24"), &n), "host bits");
    cr_expect_not(network_parse(SPAN("192.0.2.0/33"), &n));
    cr_expect_not(network_parse(SPAN("192.0.2.0/"), &n));
    cr_expect_not(network_parse(SPAN("192.0.2"), &n));
    cr_expect_not(network_parse(SPAN("2001:db8::/129"), &n));
}

static struct admission_guest guest(const char *address, unsigned socket)
{
    struct admission_guest g = {.socket = socket};
    struct sockaddr_storage a = {.ss_family = AF_UNIX};

    if (inet_pton(AF_INET, address, &((struct sockaddr_in *)&a)->sin_addr) == 1)
        a.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, address, &((struct sockaddr_in6 *)&a)->sin6_addr) == 1)
        a.ss_family = AF_INET6;
    admission_place(&g, &a);
    return g;
}

Test(admission, sources)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true}, /* one /64 */
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false}, /* one /64 too, but IPv4 */
        {"::1", "192.0.2.1", false},
        {"local", "local", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct admission_guest a = guest(cases[i].a, 0), b = guest(cases[i].b, 0);
        char room[INET6_ADDRSTRLEN];

        cr_expect_eq(admission_same_source(&a, &b), cases[i].same, "%s %s", cases[i].a, cases[i].b);
        cr_expect(span_eq(
            admission_address(&a, room, sizeof room),
            a.local ? SPAN("")
                    : span_of(span_of(cases[i].a).n > 7 && strncmp(cases[i].a, "::ffff:", 7) == 0
                                  ? cases[i].a + 7
                                  : cases[i].a)));
    }
}

Test(admission, limits)
{
    struct admission_seat seat[8];
    struct admission a = {.seat = seat, .cap = COUNT(seat)};
    const struct admission_guest one = guest("192.0.2.1", 0), two = guest("192.0.2.2", 0),
                                 other = guest("192.0.2.1", 1), local = guest("local", 0);
    struct admission_guest left;

    for (pid_t pid = 1; pid <= 3; pid++) {
        cr_expect_eq(admission_ask(&a, &one, 5, 3), ADMISSION_OPEN);
        admission_enter(&a, &one, pid);
    }
    cr_expect_eq(admission_ask(&a, &one, 5, 3), ADMISSION_SOURCE_FULL);
    cr_expect_eq(admission_ask(&a, &one, 5, 0), ADMISSION_OPEN, "0: no limit");
    cr_expect_eq(admission_ask(&a, &one, 3, 3), ADMISSION_FULL, "full goes first");
    cr_expect_eq(admission_ask(&a, &two, 5, 3), ADMISSION_OPEN);
    cr_expect_eq(admission_ask(&a, &other, 1, 1), ADMISSION_OPEN, "another socket");
    admission_enter(&a, &local, 4);
    admission_enter(&a, &local, 5);
    cr_expect_eq(admission_ask(&a, &local, 6, 1), ADMISSION_OPEN, "local ones have no source");
    cr_expect_eq(admission_ask(&a, &local, 5, 1), ADMISSION_FULL);
    cr_expect_not(admission_leave(&a, 99, &left));
    cr_expect(admission_leave(&a, 2, &left));
    cr_expect(admission_same_source(&left, &one));
    cr_expect_eq(a.n, 4);
    cr_expect_eq(admission_ask(&a, &one, 6, 3), ADMISSION_OPEN, "who leaves makes room");
    for (pid_t pid = 10; a.n < a.cap; pid++)
        admission_enter(&a, &other, pid);
    cr_expect_eq(admission_ask(&a, &two, 1000, 0), ADMISSION_FULL, "the table is full");
}

Test(rules, domains)
{
    const struct span list = SPAN("example.org, .example.net [192.0.2.1]");

    cr_expect(rules_domain_listed(list, SPAN("EXAMPLE.org")));
    cr_expect_not(rules_domain_listed(list, SPAN("x.example.org")));
    cr_expect(rules_domain_listed(list, SPAN("a.b.Example.NET")));
    cr_expect_not(rules_domain_listed(list, SPAN("example.net")));
    cr_expect_not(rules_domain_listed(list, SPAN("badexample.net")));
    cr_expect(rules_domain_listed(list, SPAN("[192.0.2.1]")));
    cr_expect_not(rules_domain_listed(list, SPAN("")));
    cr_expect_not(rules_domain_listed(SPAN(""), SPAN("example.org")));
}

struct heard {
    unsigned count, line;
    char key[64], what[128];
};

static void hear(void *context, const char *file, unsigned line, struct span key, const char *what)
{
    struct heard *h = context;

    (void)file;
    h->count++;
    h->line = line;
    snprintf(h->key, sizeof h->key, "%.*s", SPAN_FORMAT(key));
    snprintf(h->what, sizeof h->what, "%s", what);
}

static char config_room[2 * CONFIG_FILE_MAX];

static bool load_for(const char *socket, struct config *c, const char *text, struct heard *h)
{
    char name[] = "/tmp/smtpin-unit.XXXXXX";
    const int fd = mkstemp(name);
    struct arena a = {.base = config_room, .cap = sizeof config_room};
    const struct config_report report = {.say = hear, .context = h};
    bool good;

    *h = (struct heard){0};
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    good = config_load(c, &a, &(struct config_source){.file = name, .socket = span_of(socket)},
                       &report);
    unlink(name);
    return good;
}

static bool load(struct config *c, const char *text, struct heard *h)
{
    return load_for(NULL, c, text, h);
}

Test(config, sections_for_sockets)
{
    static const char text[] = "hostname = mx.example.org\n"
                               "max_errors = 3\n"
                               "[submission]\n"
                               "max_errors = 4\n"
                               "  \n"
                               "[lmtp]\n"
                               "max_errors = 5\n"
                               "[submission]\n"
                               "max_commands = 77\n";
    struct config c;
    struct heard h;

    cr_expect(load_for("submission", &c, text, &h));
    cr_expect_eq(c.smtp.max_errors, 4);
    cr_expect_eq(c.smtp.max_commands, 77);
    cr_expect_eq(c.protocol, 0);
    cr_expect_eq(c.sections, 3);
    cr_expect(load_for("lmtp", &c, text, &h));
    cr_expect_eq(c.smtp.max_errors, 5);
    cr_expect_eq(c.smtp.max_commands, 10000);
    cr_expect(c.smtp.lmtp, "the name says it");
    cr_expect(load_for("smtp", &c, text, &h));
    cr_expect_eq(c.smtp.max_errors, 3);
    cr_expect(load(&c, text, &h));
    cr_expect_eq(c.smtp.max_errors, 3);
    cr_expect(span_eq(c.smtp.hostname, SPAN("mx.example.org")));
}

Test(config, mistakes_in_sections)
{
    static const struct {
        const char *text;
        unsigned line;
    } cases[] = {
        {"[other]\nmax_errors = x\n", 2}, /* another socket's, and still a mistake */
        {"[]\n", 1},
        {"[a b]\n", 1},
        {"[a\n", 1},
        {"\n[a]x\n", 2},
        {"socket = smtp\n", 1},
        {"[1]\n[2]\n[3]\n[4]\n[5]\n[6]\n[7]\n[8]\n[9]\n[10]\n[11]\n[12]\n[13]\n[14]\n[15]\n[16]\n["
         "17]\n",
         17},
        {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", 1},
    };
    struct config c;
    struct heard h;

    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect_not(load_for("smtp2", &c, cases[i].text, &h), "%s", cases[i].text);
        cr_expect_eq(h.line, cases[i].line, "%s", cases[i].text);
    }
}

Test(config, lines_comments_and_continuations)
{
    struct config c;
    struct heard h;

    cr_expect(load(&c,
                   "# a comment\n"
                   "hostname = mx.example.org\r\n"
                   "\n"
                   "domains = a.example,\n"
                   "   b.example\n"
                   "# between\n"
                   "\tc.example\n"
                   "helo_required=yes\n"
                   "deliver = /bin/x \"a b\" \"\" ${sender} \"q\\\"q\"\n"
                   "max_message_size = 10M",
                   &h));
    cr_expect_eq(h.count, 0);
    cr_expect_span(c.smtp.hostname, "mx.example.org", "hostname");
    cr_expect(rules_domain_listed(c.domains, SPAN("b.example")));
    cr_expect(rules_domain_listed(c.domains, SPAN("a.example")));
    cr_expect(c.smtp.helo_required);
    cr_expect_eq(c.smtp.max_message_size, 10U << 20);
    cr_assert_eq(c.deliver.n, 5);
    cr_expect_span(c.deliver.word[4], "q\"q", "a quote in quotes");
    cr_expect_span(c.deliver.word[1], "a b", "quoted");
    cr_expect_span(c.deliver.word[2], "", "empty");
}

Test(config, mistakes_have_their_line_and_key)
{
    static const struct {
        const char *text, *key;
        unsigned line;
    } cases[] = {
        {"nonsense\n", "nonsense", 1},
        {"\n\nno_such_key = 1\n", "no_such_key", 3},
        {"domains = a.example\n  b.example\nmax_errors = none\n", "max_errors", 3},
        {"max_recipients = 99\n", "max_recipients", 1},
        {"max_message_size = -1\n", "max_message_size", 1},
        {"max_text_line = 999\n", "max_text_line", 1},
        {"helo_required = maybe\n", "helo_required", 1},
        {"hostname = not a name\n", "hostname", 1},
        {"domains = ex_ample\n", "domains", 1},
        {"relay_clients = 10.0.0.1/8\n", "relay_clients", 1},
        {"deliver = /bin/x ${nonsense}\n", "deliver", 1},
        {"deliver = /bin/x $sender\n", "deliver", 1},
        {"deliver = /bin/x ${sender\n", "deliver", 1},
        {"deliver = \"/bin/x\n", "deliver", 1},
        {"deliver = ${user}\n", "deliver", 1},
        {"deliver = \"\" x\n", "deliver", 1},
        {"deliver =\n", "deliver", 1},
        {"client_name = a b\n", "client_name", 1},
        {"fixed_id = a/../b\n", "fixed_id", 1},
        {"deliver = /bin/x \x1b[1m\n", "deliver", 1},
        {"\n  maildir = /x\n", "maildir = /x", 2},
        {"deliver_format = smoke\n", "deliver_format", 1},
        {"trace_headers = received sent\n", "trace_headers", 1},
        {"command_timeout = 0\n", "command_timeout", 1},
        {"command_timeout = 5 minutes\n", "command_timeout", 1},
        {"spool_dir = relative\n", "spool_dir", 1},
        {"client_address = 192.0.2.0/24\n", "client_address", 1},
        {"log = everywhere\n", "log", 1},
        {"max_errors = 5\n\nmax_errors = 5\n", "max_errors", 3},
        {"[a]\nmax_errors = 5\n[b]\nmax_errors = 5\nmax_errors = 5\n", "max_errors", 5},
        {"[a]\nmax_errors = 5\n[b]\n[a]\nmax_errors = 5\n", "max_errors", 5},
        {"bare_line_ends = normalize\n", "bare_line_ends", 1},
        {"[smtp]\nbare_line_ends = normalize\n", "bare_line_ends", 2},
        {"[local]\nbare_line_ends = maybe\n", "bare_line_ends", 2},
        {"tolerate = blank everything\n", "tolerate", 1},
        {"max_refused_recipients = 0\n", "max_refused_recipients", 1},
    };
    struct config c;
    struct heard h;

    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect_not(load(&c, cases[i].text, &h), "%s", cases[i].text);
        cr_expect_eq(h.count, 1, "%s", cases[i].text);
        cr_expect_str_eq(h.key, cases[i].key);
        cr_expect_eq(h.line, cases[i].line, "%s", cases[i].text);
    }
}

Test(config, every_mistake_is_told)
{
    struct config c;
    struct heard h;

    cr_expect_not(load(&c, "a = 1\nmax_errors = x\nhostname = mx.example.org\nb\n", &h));
    cr_expect_eq(h.count, 3);
    cr_expect_span(c.smtp.hostname, "mx.example.org", "what is right is taken");
}

static struct smtp_recipient recipients[3];
static const struct smtp_recipient *const list[3] = {&recipients[0], &recipients[1],
                                                     &recipients[2]};
static struct smtp_session session;
static const struct peer peer = {.address = {.p = "192.0.2.1", .n = 9},
                                 .port = {.p = "25", .n = 2}};

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
