/* The rules for recipients: whether a list has a domain; and the chain, with real text tables.
 * (Transcripts have what a client hears of it.) */
#include "adapters/rules.h"
#include "config/load.h"
#include "table_file.h"

#include <stdarg.h>
#include <stdlib.h>

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

/* A session's chain. */
static struct config config;
static struct peer peer;
static struct smtp_session session;
static struct rules_sources sources;
static struct rules rules;
static char config_room[2 * CONFIG_FILE_MAX], memory[256 * 1024];
static struct arena arena;
static char told[1024]; /* of the last note */
static unsigned notes;

static void say_mistake(void *context, const char *file, unsigned line, struct span key,
                        const char *what)
{
    (void)context;
    (void)file;
    cr_log_warn("line %u, %.*s: %s", line, SPAN_FORMAT(key), what);
}

static void hear(void *context, const struct rules_note *note)
{
    (void)context;
    notes++;
    snprintf(told, sizeof told, "%.*s %s %.*s", SPAN_FORMAT(note->source), note->what,
             SPAN_FORMAT(note->text));
}

static void set_sender(const char *path)
{
    struct span in = span_of(path);

    cr_assert_eq(smtp_reverse_path(&in, &arena, &session.transaction.reverse_path, NULL),
                 SMTP_PATH_OK);
}

/* Another transaction. */
static void begin(const char *sender)
{
    arena_reset(&arena);
    session.transaction = (struct smtp_transaction){.arena = &arena};
    session.transactions++;
    set_sender(sender);
}

/* A session of a stranger, with these lines behind the usual ones. */
static void open_with(const char *format, ...)
{
    char name[] = "/tmp/smtpin-unit.XXXXXX", lines[4096];
    const int fd = mkstemp(name);
    struct arena a = {.base = config_room, .cap = sizeof config_room};
    const struct config_report report = {.say = say_mistake};
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(lines, sizeof lines, format, list);
    va_end(list);
    cr_assert(fd >= 0 && n >= 0 && (size_t)n < sizeof lines);
    cr_assert(
        dprintf(fd,
                "hostname = mx.example.org\n%s"
                "relay_clients = 192.0.2.0/24\nrecipient_delimiter = +\n%s",
                strncmp(lines, "domains", 7) == 0 ? "" : "domains = example.org example.net\n",
                lines) > 0);
    close(fd);
    cr_assert(config_load(&config, &a, &(struct config_source){.file = name}, &report));
    unlink(name);
    peer = (struct peer){.address = SPAN("198.51.100.7")};
    arena = (struct arena){.base = memory, .cap = sizeof memory};
    session = (struct smtp_session){
        .options = &config.smtp, .helo = SPAN("client.example"), .esmtp = true};
    memset(&sources, 0, sizeof sources);
    rules = (struct rules){.config = &config,
                           .peer = &peer,
                           .session = &session,
                           .id = SPAN("ID"),
                           .sources = &sources,
                           .note = hear};
    notes = 0;
    begin("<a@example.com>");
}

/* The recipient, whom a session would have taken; who asks says which. */
static struct smtp_recipient recipient;

static struct smtp_verdict decide_for(enum smtp_subject about, const char *address)
{
    char room[2 * SMTP_ADDRESS_MAX];
    struct span in;

    snprintf(room, sizeof room, "<%s>", address);
    in = span_of(room);
    recipient = (struct smtp_recipient){.next = NULL};
    cr_assert_eq(smtp_forward_path(&in, &arena, &recipient.mailbox, NULL), SMTP_PATH_OK, "%s",
                 address);
    return rules_decide_for(&rules, about, &recipient);
}

/* "accept domains", "550 recipients", "451 lookup" (the opinion's usual reply), "-". */
static void expect_verdict(struct smtp_verdict v, const char *address, const char *expected)
{
    char got[256];

    if (v.opinion == SMTP_NO_OPINION)
        snprintf(got, sizeof got, "-");
    else if (v.opinion == SMTP_ACCEPT)
        snprintf(got, sizeof got, "accept %s", v.reply.rule);
    else
        snprintf(got, sizeof got, "%u %s",
                 v.reply.code != 0          ? v.reply.code
                 : v.opinion == SMTP_REFUSE ? 5
                                            : 4,
                 v.reply.rule);
    cr_expect_str_eq(got, expected, "%s: expected \"%s\", got \"%s\"", address, expected, got);
    cr_expect(v.opinion != SMTP_REFUSE || v.reply.code == 0 || v.reply.code >= 500);
    cr_expect(v.opinion != SMTP_DEFER || v.reply.code == 0 || v.reply.code / 100 == 4);
}

static void expect(const char *address, const char *expected)
{
    expect_verdict(decide_for(SMTP_ABOUT_RECIPIENT, address), address, expected);
}

static void expect_user(const char *address, const char *expected)
{
    expect_verdict(decide_for(SMTP_ABOUT_USER, address), address, expected);
}

/* Who gets the mail of the last one: addresses, a blank between. */
static void expect_targets(const char *expected)
{
    char room[1024];
    struct text got = TEXT(room);

    for (const struct smtp_recipient *r = recipient.aliased; r != NULL; r = r->next) {
        cr_expect_eq(r->of, &recipient);
        if (got.n > 0)
            text_addc(&got, ' ');
        text_add(&got, r->mailbox.address);
    }
    cr_expect_span(text_span(&got), expected, "who gets it");
}

/* Of the last refusal. */
static void expect_last(const char *rule, const char *key, const char *said)
{
    struct span source = {0}, got_key = {0}, got_said = {0};

    cr_assert(rules_last(&rules, rule, &source, &got_key, &got_said), "%s", rule);
    cr_expect_span(got_key, key, "its key");
    cr_expect_span(got_said, said, "its words");
}

static bool has_last(const char *rule)
{
    struct span source, key, said;

    return rules_last(&rules, rule, &source, &key, &said);
}

Test(chain, without_tables)
{
    open_with("");
    cr_expect_not(config.asks);
    expect("b@example.org", "accept domains");
    expect("b@EXAMPLE.net", "accept domains");
    expect("b@elsewhere.example", "550 relay");
    expect("postmaster", "accept postmaster");
    expect("PostMaster@example.org", "accept postmaster");
    expect("postmaster@mx.example.org", "accept postmaster");
    expect("postmaster@elsewhere.example", "550 relay");
    peer.address = SPAN("192.0.2.9");
    expect("b@elsewhere.example", "accept relay_clients");
}

Test(chain, in_this_order)
{
    const struct file logins = old_text("mine@example.com bob\n"),
                      senders = old_text("mine@example.com 450 4.7.1 Later\n"
                                         "@bad.example 550 5.7.1 No mail from there\n"
                                         "ok@bad.example OK\n"
                                         "odd@example.com what\n"),
                      aliases = old_text("both@example.org b@example.org, c@example.org\n"
                                         "gone@example.org 550 5.1.6 Moved\n"),
                      recipients = old_text("b@example.org OK\n"
                                            "both@example.org 550 5.1.1 Never asked\n"
                                            "later@example.org 450 4.2.1 Later\n");

    open_with("sender_login = %s\nsenders = %s\naliases = %s\nrecipients = %s\n", logins.source,
              senders.source, aliases.source, recipients.source);
    expect("b@example.org", "accept domains");
    expect("b+x@example.org", "accept domains");
    expect("B@Example.ORG", "accept domains");
    expect("nobody@example.org", "550 recipients");
    expect("later@example.org", "450 recipients");
    expect_last("recipients", "later@example.org", "450 4.2.1 Later");
    expect("both@example.org", "accept domains");
    expect_targets("b@example.org c@example.org");
    expect("gone@example.org", "550 aliases");
    expect("b@elsewhere.example", "550 relay");
    /* Nobody is logged in: that is said before what `senders` says. */
    begin("<mine@example.com>");
    expect("nobody@example.org", "550 sender_login");
    begin("<x@bad.example>");
    expect("gone@example.org", "550 senders");
    expect_last("senders", "@bad.example", "550 5.7.1 No mail from there");
    begin("<ok@bad.example>");
    expect("gone@example.org", "550 aliases");
    begin("<odd@example.com>");
    expect("b@example.org", "451 lookup");
    begin("<>");
    expect("b@example.org", "accept domains");
}

/* The client may send anywhere, from any address: but not to users of ours that there are not. */
Test(chain, trusted_clients)
{
    const struct file table = old_text("a@example.com 550 5.7.1 Blocked\nb@example.org OK\n");

    open_with("senders = %s\nsender_login = %s\nrecipients = %s\n", table.source, table.source,
              table.source);
    expect("b@example.org", "550 sender_login");
    peer.address = SPAN("192.0.2.9");
    expect("b@example.org", "accept relay_clients");
    expect("nobody@example.org", "550 recipients");
    expect("x!y%z@example.org", "550 recipients");
    expect("nobody@elsewhere.example", "accept relay_clients");
    open_with("senders = %s\ncheck_relay_clients = yes\n", table.source);
    peer.address = SPAN("192.0.2.9");
    expect("b@elsewhere.example", "550 senders");
}

/* RFC 5321 4.5.1 */
Test(chain, postmaster_need_not_be_listed)
{
    const struct file recipients = old_text("b@example.org OK\n"),
                      aliases = old_text("postmaster@example.org b@example.org\n"),
                      refusing = old_text("postmaster@example.org 550 5.1.1 No\n");

    open_with("recipients = %s\n", recipients.source);
    expect("postmaster@example.org", "accept postmaster");
    expect("postmaster@example.net", "accept postmaster");
    expect("postmaster", "accept postmaster");
    /* Its alias is asked for under each of its names: without a domain it is the first one's. */
    open_with("aliases = %s\nrecipients = %s\n", aliases.source, recipients.source);
    expect("POSTMASTER@example.org", "accept postmaster");
    expect_targets("b@example.org");
    expect("postmaster", "accept postmaster");
    expect_targets("b@example.org");
    expect("postmaster@example.net", "accept postmaster");
    expect_targets("");
    /* An administrator who says so means it. */
    open_with("recipients = %s\n", refusing.source);
    expect("postmaster@example.org", "550 recipients");
}

Test(chain, routing)
{
    const struct file recipients = old_text("a%b@example.org OK\n@example.net OK\n"),
                      aliases = old_text("c%d.example@example.org b@example.org\n");

    open_with("");
    expect("x%elsewhere.example@example.org", "550 routing");
    expect("elsewhere.example!x@example.org", "550 routing");
    expect("\"x@elsewhere.example\"@example.org", "550 routing");
    expect("%@example.org", "accept domains");
    expect("!x@example.org", "accept domains");
    expect("100%@example.org", "accept domains");
    expect("hey!@example.org", "accept domains");
    peer.address = SPAN("192.0.2.9");
    expect("x%elsewhere.example@example.org", "accept relay_clients");
    /* Who is listed by the whole address is no route; a domain's own entry lists nobody so. */
    open_with("recipients = %s\naliases = %s\n", recipients.source, aliases.source);
    expect("a%b@example.org", "accept domains");
    expect("c%d.example@example.org", "accept domains");
    expect_targets("b@example.org");
    expect("x%elsewhere.example@example.net", "550 routing");
    expect("x@example.net", "accept domains");
}

/* What can't be looked up is never a yes, and never a no. */
Test(chain, lost_tables)
{
    static const char *const settings[] = {"recipients", "aliases", "senders", "sender_login"};
    const struct file fresh = file_of("text", "b@example.org OK\nd@example.org OK\n", 34);

    for (size_t i = 0; i < COUNT(settings); i++) {
        open_with("%s = text:/nonexistent/table\n", settings[i]);
        expect("b@example.org", "451 lookup");
        expect_last("lookup", "", "No such file or directory");
        expect("b@example.org", "451 lookup"); /* it stays so for the session */
        expect("b@elsewhere.example", "550 relay");
    }
    open_with("domains = example.org text:/nonexistent/table\nrecipients = text:/nonexistent/x\n");
    expect("b@elsewhere.example", "451 lookup");
    expect("postmaster@elsewhere.example", "451 lookup");
    expect("b@example.org", "451 lookup");
    expect_user("b@elsewhere.example", "451 lookup");
    /* To what may be ours, a trusted client waits too. */
    peer.address = SPAN("192.0.2.9");
    expect("b@elsewhere.example", "451 lookup");
    expect_last("lookup", "", "No such file or directory");
    /* One that may be being written says no once it is at rest. */
    open_with("recipients = %s\n", fresh.source);
    expect("b@example.org", "accept domains");
    expect("c@example.org", "550 recipients");
}

Test(chain, domains_of_a_table)
{
    const struct file domains = old_text("example.com x\n.sub.example OK\n"
                                         "closed.example 550 5.1.2 Closed\n"
                                         "later.example 450 4.3.0 Moving\n"),
                      recipients = old_text("b@example.com OK\n");

    open_with("domains = example.org %s\nrecipients = %s\n", domains.source, recipients.source);
    cr_expect(config.asks);
    expect("b@example.com", "accept domains");
    expect("c@EXAMPLE.com", "550 recipients");
    expect("b@example.org", "550 recipients");
    expect("b@x.sub.example", "550 recipients");
    expect("b@sub.example", "550 relay");
    expect("b@closed.example", "550 domains");
    expect("b@later.example", "450 domains");
    expect("postmaster@example.com", "accept postmaster");
    peer.address = SPAN("192.0.2.9");
    expect("b@closed.example", "550 recipients");
    expect("b@elsewhere.example", "accept relay_clients");
}

/* qmail appends RELAYCLIENT to each recipient, those of ours too. */
Test(chain, relay_suffix)
{
    const struct file aliases = old_text("x@example.org y@example.org\n");

    open_with("aliases = %s\n", aliases.source);
    peer.relays = true;
    peer.relay_suffix = SPAN("@relay.example");
    expect("b@elsewhere.example", "accept relay_clients");
    expect_targets("\"b@elsewhere.example\"@relay.example");
    expect("\"a b\"@elsewhere.example", "accept relay_clients");
    expect_targets("\"\\\"a b\\\"@elsewhere.example\"@relay.example");
    expect("b@example.org", "accept relay_clients");
    expect_targets("\"b@example.org\"@relay.example");
    expect("x@example.org", "accept relay_clients");
    expect_targets("\"x@example.org\"@relay.example");
    /* Without an @ it goes on with the domain; and what is no address. */
    peer.relay_suffix = SPAN(".relay.example");
    expect("b@elsewhere.example", "accept relay_clients");
    expect_targets("b@elsewhere.example.relay.example");
    peer.relay_suffix = SPAN("@not a domain");
    expect("b@elsewhere.example", "451 relay_suffix");
    expect_last("relay_suffix", "", "@not a domain");
}

/* VRFY: the tables alone; what they do not know is no opinion (252). */
Test(chain, only_listed)
{
    const struct file aliases = old_text("both@example.org b@example.org, c@example.org\n"),
                      recipients =
                          old_text("b@example.org OK\nlater@example.org 450 4.2.1 Later\n"),
                      senders = old_text("a@example.com 550 5.7.1 No\n");

    open_with("aliases = %s\nrecipients = %s\nsenders = %s\nvrfy = yes\n"
              "check_recipient = /nonexistent\npolicy = unix:/nonexistent\n",
              aliases.source, recipients.source, senders.source);
    expect_user("b@example.org", "accept domains");
    expect_user("both@example.org", "accept domains");
    expect_user("nobody@example.org", "550 recipients");
    expect_user("later@example.org", "450 recipients");
    expect_user("b@elsewhere.example", "-");
    expect_user("postmaster@example.org", "-");
    cr_expect_eq(notes, 0, "nobody else is asked: %s", told);
    peer.address = SPAN("192.0.2.9");
    expect_user("b@elsewhere.example", "-");
    open_with("");
    expect_user("b@example.org", "-");
}

/* max_recipients holds for those that aliases add too: the others come with the next message. */
Test(chain, most_targets)
{
    const struct file aliases =
        old_text("two@example.org a@example.org, b@example.org\n"
                 "four@example.org a@example.org, b@example.org, c@example.org, d@example.org\n");

    open_with("aliases = %s\n", aliases.source);
    config.smtp.max_recipients = 3;
    expect("two@example.org", "accept domains");
    smtp_add_recipient(&session.transaction, &recipient);
    cr_expect_eq(session.transaction.recipients, 1);
    cr_expect_eq(session.transaction.targets, 2);
    {
        const struct smtp_recipient kept = recipient;

        expect("two@example.org", "452 max_recipients");
        expect("c@example.org", "accept domains");
        recipient = kept;
    }
    /* More than one message may have: an administrator's mistake, which the client can't help. */
    begin("<a@example.com>");
    expect("four@example.org", "451 lookup");
}

/* A sender outside ASCII is blocked under both its names. */
Test(chain, senders_outside_ascii)
{
    const struct file senders = old_text("@xn--bcher-kva.example 550 5.7.1 No\n");

    open_with("senders = %s\n", senders.source);
    begin("<a@xn--bcher-kva.example>");
    expect("b@example.org", "550 senders");
    begin("<a@b\xc3\xbc"
          "cher.example>");
    expect("b@example.org", "550 senders");
}

/* A message may have as many recipients with tables as without: what was looked up is forgotten. */
Test(chain, memory_of_recipients)
{
    const struct file recipients =
        old_text("@example.org OK\n@example.net 450 4.2.1 Later, please\n");
    size_t used;

    open_with("recipients = %s\npolicy = unix:/nonexistent\npolicy_default = DUNNO\n"
              "policy_states = MAIL RCPT DATA\n",
              recipients.source);
    {
        const size_t before = arena.used;
        struct smtp_mailbox plain;
        struct span in = SPAN("<b@example.org>");
        size_t path;

        cr_assert_eq(smtp_forward_path(&in, &arena, &plain, NULL), SMTP_PATH_OK);
        path = arena.used - before;
        expect("b@example.org", "accept domains");
        cr_expect_eq(arena.used, before + 2 * path, "no more than the address's own");
    }
    used = arena.used;
    cr_expect_eq(rules_decide_for(&rules, SMTP_ABOUT_SENDER, NULL).opinion, SMTP_NO_OPINION);
    cr_expect_eq(rules_decide_for(&rules, SMTP_ABOUT_DATA, NULL).opinion, SMTP_NO_OPINION);
    cr_expect_eq(arena.used, used);
}

/* Whose login is an address may send as it, in whichever form either has the domain. */
Test(chain, a_login_that_is_the_sender)
{
    static const struct {
        const char *login, *sender;
        bool same;
    } cases[] = {
        {"jane@m\xc3\xbcller.example", "<jane@xn--mller-kva.example>", true},
        {"Jane@xn--mller-kva.example", "<jane@M\xc3\xbcller.example>", true},
        {"jane@m\xc3\xbcller.example", "<jane@m\xc3\xbcller.example>", true},
        {"jane@m\xc3\xbcller.example", "<joan@xn--mller-kva.example>", false},
        {"jane@m\xc3\xbcllers.example", "<jane@xn--mller-kva.example>", false},
        {"jane", "<jane@xn--mller-kva.example>", false},
        {"\xc3\xbc", "<jane@m\xc3\xbcller.example>", false},
    };
    const struct file logins = old_text("nobody@example.com nobody\n");

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct smtp_login login = {.user = span_of(cases[i].login)};

        open_with("sender_login = %s\n", logins.source);
        session.authenticated = true;
        session.login = &login;
        begin(cases[i].sender);
        expect("b@example.org", cases[i].same ? "accept domains" : "550 sender_login");
    }
}

/* The record of a refusal has what that refusal was about, and nothing of one before. */
Test(chain, the_last_opinion)
{
    const struct file recipients = old_text("later@example.org 450 4.2.1 Later\n");

    open_with("recipients = %s\n", recipients.source);
    expect("later@example.org", "450 recipients");
    expect_last("recipients", "later@example.org", "450 4.2.1 Later");
    cr_expect_not(has_last("relay"));
    expect("b@elsewhere.example", "550 relay");
    cr_expect_not(has_last("recipients"));
    expect("nobody@example.org", "550 recipients");
    expect_last("recipients", "", "");
    /* A step's is its own server's. */
    open_with("policy = unix:/nonexistent unix:/nowhere\npolicy_states = RCPT MAIL\n"
              "policy_default = 550 5.7.1 No\n");
    expect("b@example.org", "550 policy_default");
    cr_expect(has_last("policy_default"));
    cr_expect_eq(rules_decide_for(&rules, SMTP_ABOUT_SENDER, NULL).opinion, SMTP_REFUSE);
    cr_expect(has_last("policy_default"));
}
