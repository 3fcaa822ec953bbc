/* The configuration: what the text of a file sets, and what is told of its mistakes. */
#include "adapters/rules.h"
#include "config/load.h"
#include "unit.h"

#include <stdlib.h>

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
        {"error_delay = 61s\n", "error_delay", 1},
        {"greet_delay = 61s\n", "greet_delay", 1},
        {"helo_bare_name = no\n", "helo_bare_name", 1},
        {"helo_is_us = defer\n", "helo_is_us", 1},
        {"unexpected_pipelining = yes\n", "unexpected_pipelining", 1},
        {"log = everywhere\n", "log", 1},
        {"max_errors = 5\n\nmax_errors = 5\n", "max_errors", 3},
        {"[a]\nmax_errors = 5\n[b]\nmax_errors = 5\nmax_errors = 5\n", "max_errors", 5},
        {"[a]\nmax_errors = 5\n[b]\n[a]\nmax_errors = 5\n", "max_errors", 5},
        {"bare_line_ends = normalize\n", "bare_line_ends", 1},
        {"[smtp]\nbare_line_ends = normalize\n", "bare_line_ends", 2},
        {"[local]\nbare_line_ends = maybe\n", "bare_line_ends", 2},
        {"tolerate = blank everything\n", "tolerate", 1},
        {"max_refused_recipients = 0\n", "max_refused_recipients", 1},
        {"dsn = maybe\n", "dsn", 1},
        {"mt_priority = 9\n", "mt_priority", 1},
        {"deliver_by = 5m\n", "deliver_by", 1},
        {"future_release = yes\n", "future_release", 1},
        {"future_release = 1000000000\n", "future_release", 1}, /* more than nine digits */
        {"proxy_protocol = yes\n", "proxy_protocol", 1},
        {"proxy_timeout = 0\n", "proxy_timeout", 1},
        {"proxy_tls = maybe\n", "proxy_tls", 1},
        {"trusted_proxies = 10.0.0.1 nobody\n", "trusted_proxies", 1},
        {"relay_clients = local\n", "relay_clients", 1},
        {"xclient_clients = local\n", "xclient_clients", 1},
        {"xclient_login = LOGIN\n", "xclient_login", 1},
        {"tls = yes\n", "tls", 1},
        {"tls_certificate = relative.pem\n", "tls_certificate", 1},
        {"tls_certificate = /a /b /c\n", "tls_certificate", 1},
        {"tls_certificate = /a\ntls_certificate = self-signed /b\n", "tls_certificate", 2},
        {"tls_certificate = /a,  , /b\n", "tls_certificate", 1},
        {"tls_options = MinProtocol\n", "tls_options", 1},
        {"tls_options = MinProtocol=TLSv1.2 =x\n", "tls_options", 1},
        {"tls_timeout = 0\n", "tls_timeout", 1},
        {"tls_timeout = 11m\n", "tls_timeout", 1},
        {"tls_socket = tls.sock\n", "tls_socket", 1},
        {"tls_client_ca = ca.pem\n", "tls_client_ca", 1},
        {"tls_command =\n", "tls_command", 1},
        {"tls_service = sometimes\n", "tls_service", 1},
        {"tls_timeout = 5\ntls_timeout = 5\n", "tls_timeout", 2},
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

/* A key that may be repeated adds to what it has in the same place, and takes the place of what a
 * more general one has. */
Test(config, certificates_add_up)
{
    static const char text[] = "tls = may\n"
                               "tls_certificate = /a/chain.pem /a/key.pem\n"
                               "tls_certificate = /b, /c.pem\n"
                               "[submissions]\n"
                               "tls = implicit\n"
                               "tls_certificate = /d\n"
                               "tls_certificate = /e.pem /e.key\n"
                               "[lmtp]\n"
                               "tls = off\n"
                               "[other]\n"
                               "tls_certificate =\n";
    struct config c;
    struct heard h;

    cr_expect(load_for("smtp", &c, text, &h), "%s", h.what);
    cr_expect_span(c.tls_certificate, "/a/chain.pem /a/key.pem, /b, /c.pem", "all of them");
    cr_expect_eq(c.smtp.tls, SMTP_TLS_MAY);
    cr_expect(load_for("submissions", &c, text, &h), "%s", h.what);
    cr_expect_span(c.tls_certificate, "/d, /e.pem /e.key", "the section's alone");
    cr_expect_eq(c.smtp.tls, SMTP_TLS_IMPLICIT);
    cr_expect(load_for("lmtp", &c, text, &h), "%s", h.what);
    cr_expect_eq(c.smtp.tls, SMTP_TLS_OFF);
    cr_expect(load_for("other", &c, text, &h), "%s", h.what);
    cr_expect_span(c.tls_certificate, "", "none");
}

Test(config, certificates_of_the_command_line)
{
    static const char *const more[] = {"tls_certificate=/o.pem", "tls_certificate=/p",
                                       "tls=required"};
    static char room[2 * CONFIG_FILE_MAX];
    struct arena a = {.base = room, .cap = sizeof room};
    char name[] = "/tmp/smtpin-unit.XXXXXX";
    const int fd = mkstemp(name);
    struct heard h = {0};
    const struct config_report report = {.say = hear, .context = &h};
    struct config c;

    cr_assert(fd >= 0 && write(fd, "tls_certificate = /a\n", 21) == 21);
    close(fd);
    cr_expect(config_load(
        &c, &a, &(struct config_source){.file = name, .override = more, .overrides = COUNT(more)},
        &report));
    unlink(name);
    cr_expect_span(c.tls_certificate, "/o.pem, /p", "the file's are replaced");
    cr_expect_eq(c.smtp.tls, SMTP_TLS_REQUIRED);
}

Test(config, tls_as_a_whole)
{
    struct config c;
    struct heard h;

    cr_expect(load(&c, "tls = may\n", &h));
    cr_expect_eq(c.tls_timeout, 30 * 1000);
    cr_expect_span(c.tls_socket, "/run/smtpin/tls.sock", "of the units");
    cr_assert_eq(c.tls_command.n, 1);
    cr_expect_span(c.tls_command.word[0], SMTPIN_SBINDIR "/smtpin-tls", "installed");
    cr_expect_not(load(&c, "requiretls = yes\n", &h), "nothing without TLS");
    cr_expect(load(&c, "tls = may\nrequiretls = yes\n", &h));
    cr_expect_not(load(&c, "tls = may\ntls_command = /bin/x ${sender}\n", &h));
    cr_expect_str_eq(h.what, "takes no macros");
    cr_expect(load(&c, "tls_options = MinProtocol=TLSv1.2  Groups=X25519:P-256\n", &h));
}

/* RFC 8314 3.3 */
Test(config, the_socket_of_submissions_is_inside_tls)
{
    static const struct {
        const char *text, *socket;
        enum smtp_tls tls;
    } cases[] = {
        {"", "submissions", SMTP_TLS_IMPLICIT},
        {"tls = may\n", "submissions", SMTP_TLS_IMPLICIT},
        {"tls = may\n[submissions]\nmax_recipients = 100\n", "submissions", SMTP_TLS_IMPLICIT},
        {"tls = may\n[submissions]\ntls = off\n", "submissions", SMTP_TLS_OFF},
        {"[smtp]\ntls = may\n", "submissions", SMTP_TLS_IMPLICIT},
        {"tls = may\n", "submission", SMTP_TLS_MAY},
        {"tls = may\n[submissions]\ntls = off\n", "smtp", SMTP_TLS_MAY},
    };
    struct config c;
    struct heard h;

    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect(load_for(cases[i].socket, &c, cases[i].text, &h), "%s", h.what);
        cr_expect_eq(c.smtp.tls, cases[i].tls, "row %zu", i);
    }
}

/* What is wrong says what would be right. */
Test(config, mistakes_say_what_is_wanted)
{
    static const struct {
        const char *text, *what;
    } cases[] = {
        {"max_recipients = 99\n", "must be a number from 100 to 1000000"},
        {"max_errors = none\n", "must be a number, at least 1"},
        {"max_message_size = 1\n",
         "must be a size (octets, or with K, M or G) from 64K to 4294967296G"},
        {"spool_memory = 2G\n", "must be a size (octets, or with K, M or G) from 0 to 1G"},
        {"command_timeout = 2d\n",
         "must be a time (seconds, or with ms, s, m, h or d) from 1ms to 1d"},
        {"sandbox = maybe\n", "must be one of: auto yes no"},
        {"domains = a.example, 'b.example\n", "has a word that is not a domain: 'b.example"},
        {"relay_clients = 192.0.2.*\n",
         "has a word that is not an address or a network: 192.0.2.*"},
        {"domains = '*.example.org'\n", "has quotes around its value: leave them out"},
        {"hostname = \"a.example\"\n", "has quotes around its value: leave them out"},
        {"deliver = /bin/sh -c 'cat >x'\n",
         "has single quotes: only \"...\" keeps blanks together"},
        {"trace_headers = sent\n",
         "has a word that is none of: return-path delivered-to received x-original-to"},
        {"domains = *.example.org\n",
         "has a '*': .example.org stands for every domain below example.org"},
        {"max_errors = 5 # or more\n",
         "has a '#' after its value: write a comment on a line of its own"},
        {"domains = example.org\t# ours\n",
         "has a '#' after its value: write a comment on a line of its own"},
        {"maildir = /var/mail # theirs\n",
         "has a '#' after its value: write a comment on a line of its own"},
        {"recipient_delimiter = + # usual\n",
         "has a '#' after its value: write a comment on a line of its own"},
        {"deliver = /bin/x # mine\n",
         "has a '#' after its value: write a comment on a line of its own"},
        {"deliver = /bin/x #mine\n",
         "has a '#' after its value: write a comment on a line of its own"},
    };
    struct config c;
    struct heard h;

    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect_not(load(&c, cases[i].text, &h), "%s", cases[i].text);
        cr_expect_str_eq(h.what, cases[i].what);
    }
    cr_expect(load(&c, "deliver = /bin/x \"#mine\" x#y\n", &h), "in quotes, or within a word");
    cr_expect_span(c.deliver.word[1], "#mine", "quoted");
    cr_expect_span(c.deliver.word[2], "x#y", "within a word");
}
