#include "smtp/path.h"
#include "unit.h"

struct path_case {
    const char *text;
    const char *address; /* NULL: refused */
    const char *local, *domain;
    const char *rest;
};

static const struct path_case forward[] = {
    {"<a@b>", "a@b", "a", "b", ""},
    {"<a@b.c.d> SIZE=1", "a@b.c.d", "a", "b.c.d", " SIZE=1"},
    {"<A.b.C@EXAMPLE.org>", "A.b.C@EXAMPLE.org", "A.b.C", "EXAMPLE.org", ""},
    {"<Postmaster>", "Postmaster", "Postmaster", "", ""},
    {"<postmaster@x.y>", "postmaster@x.y", "postmaster", "x.y", ""},
    {"<!#$%&'*+-/=?^_`{|}~@x>", "!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~", "x", ""},
    {"<\"\"@x>", "\"\"@x", "", "x", ""},
    {"<\"a b\"@x>", "\"a b\"@x", "a b", "x", ""},
    {"<\"ab\"@x>", "ab@x", "ab", "x", ""},
    {"<\"a.b\"@x>", "a.b@x", "a.b", "x", ""},
    {"<\"a..b\"@x>", "\"a..b\"@x", "a..b", "x", ""},
    {"<\".\"@x>", "\".\"@x", ".", "x", ""},
    {"<\"a\\\"b\"@x>", "\"a\\\"b\"@x", "a\"b", "x", ""},
    {"<\"a\\\\b\"@x>", "\"a\\\\b\"@x", "a\\b", "x", ""},
    {"<\"\\a\"@x>", "a@x", "a", "x", ""},
    {"<\"a@b\"@x>", "\"a@b\"@x", "a@b", "x", ""},
    {"<\"<>\"@x>", "\"<>\"@x", "<>", "x", ""},
    {"<@a:b@c>", "b@c", "b", "c", ""},
    {"<@a,@b.x,@c:d@e>", "d@e", "d", "e", ""},
    {"<a@[192.0.2.1]>", "a@[192.0.2.1]", "a", "[192.0.2.1]", ""},
    {"<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", ""},
    {"<a@[ipv6:::]>", "a@[ipv6:::]", "a", "[ipv6:::]", ""},
    {"<a@[X400:c=us]>", "a@[X400:c=us]", "a", "[X400:c=us]", ""},
    {"<a@1.2.3.4>", "a@1.2.3.4", "a", "1.2.3.4", ""},
    {"<a@xn--80ak6aa92e.com>", "a@xn--80ak6aa92e.com", "a", "xn--80ak6aa92e.com", ""},
    {"<\xc3\xa9@\xc3\xa9.x>", "\xc3\xa9@\xc3\xa9.x", "\xc3\xa9", "\xc3\xa9.x", ""},
    {"<a@b>x", "a@b", "a", "b", "x"},
    {"", NULL},
    {"<", NULL},
    {"<>", NULL},
    {"<a>", NULL},
    {"<postmaster", NULL},
    {"<Postmaster2>", NULL},
    {"<@>", NULL},
    {"<a@>", NULL},
    {"<@b>", NULL},
    {"a@b", NULL},
    {" <a@b>", NULL},
    {"< a@b>", NULL},
    {"<a @b>", NULL},
    {"<a@b >", NULL},
    {"<a@b", NULL},
    {"<<a@b>", NULL},
    {"<a@b@c>", NULL},
    {"<.a@b>", NULL},
    {"<a.@b>", NULL},
    {"<a..b@c>", NULL},
    {"<.@b>", NULL},
    {"<a@.b>", NULL},
    {"<a@b.>", NULL},
    {"<a@b..c>", NULL},
    {"<a@-b>", NULL},
    {"<a@b->", NULL},
    {"<a@b_c>", NULL},
    {"<a@b c>", NULL},
    {"<a(b)@c>", NULL},
    {"<a,b@c>", NULL},
    {"<a:b@c>", NULL},
    {"<a;b@c>", NULL},
    {"<a[b]@c>", NULL},
    {"<a\\b@c>", NULL},
    {"<\"a@b>", NULL},
    {"<\"a\"b@c>", NULL},
    {"<a\"b\"@c>", NULL},
    {"<\"a\"\"b\"@c>", NULL},
    {"<\"a\\", NULL},
    {"<\"a\tb\"@c>", NULL},
    {"<\"a\x7f\"@c>", NULL},
    {"<@a;b@c>", NULL},
    {"<@a,b@c>", NULL},
    {"<@a:>", NULL},
    {"<@a:@b:c@d>", NULL},
    {"<@a b@c>", NULL},
    {"<@[1.2.3.4]:b@c>", NULL},
    {"<a@[1.2.3]>", NULL},
    {"<a@[1.2.3.4.5]>", NULL},
    {"<a@[1.2.3.256]>", NULL},
    {"<a@[1.2.3.0004]>", NULL},
    {"<a@[1.2.3.4>", NULL},
    {"<a@1.2.3.4]>", NULL},
    {"<a@[]>", NULL},
    {"<a@[:x]>", NULL},
    {"<a@[x:]>", NULL},
    {"<a@[x-:y]>", NULL},
    {"<a@[x:y z]>", NULL},
    {"<a@[x:[y]>", NULL},
    {"<a@[IPv6:1:2:3:4:5:6:7]>", NULL},
    {"<a@[IPv6:1::2::3]>", NULL},
    {"<a@[IPv6:12345::]>", NULL},
    {"<a@[IPv6:g::]>", NULL},
    {"<a@[IPv6:]>", NULL},
    {"<\xc3@b>", NULL},
    {"<a\xff@b>", NULL},
    {"<a@\xc3.b>", NULL},
    {"<\"\xc0\xaf\"@b>", NULL},
};

Test(path, forward_path_table)
{
    for (size_t i = 0; i < COUNT(forward); i++) {
        const struct path_case *c = &forward[i];
        char room[2048];
        struct arena a = {.base = room, .cap = sizeof room};
        struct span in = guarded(c->text, strlen(c->text));
        struct smtp_mailbox m;
        const enum smtp_path_result result = smtp_forward_path(&in, &a, &m, NULL);

        if (c->address == NULL) {
            cr_expect_neq(result, SMTP_PATH_OK, "%s is refused", c->text);
            cr_expect_eq(a.used, 0, "%s leaves the arena alone", c->text);
            continue;
        }
        cr_assert_eq(result, SMTP_PATH_OK, "%s is taken", c->text);
        cr_expect_span(m.address, c->address, c->text);
        cr_expect_span(m.local, c->local, c->text);
        cr_expect_span(m.domain, c->domain, c->text);
        cr_expect_span(in, c->rest, c->text);
        cr_expect_str_eq(m.address.p, c->address, "terminated");
    }
}

Test(path, null_reverse_path)
{
    char room[512];
    struct arena a = {.base = room, .cap = sizeof room};
    struct span in = SPAN("<> SIZE=1");
    struct smtp_mailbox m;

    cr_expect_eq(smtp_reverse_path(&in, &a, &m, NULL), SMTP_PATH_OK);
    cr_expect_eq(m.address.n, 0);
    cr_expect_span(in, " SIZE=1", "rest");
    in = SPAN("<postmaster>");
    cr_expect_eq(smtp_reverse_path(&in, &a, &m, NULL), SMTP_PATH_SYNTAX, "only RCPT knows it");
}

Test(path, the_canonical_address_reads_back_as_itself)
{
    for (size_t i = 0; i < COUNT(forward); i++) {
        char room[2048], again_room[600];
        struct arena a = {.base = room, .cap = sizeof room};
        struct smtp_mailbox m, n;
        struct span in;

        if (forward[i].address == NULL || forward[i].domain[0] == '\0')
            continue;
        in = span_of(forward[i].text);
        cr_assert_eq(smtp_forward_path(&in, &a, &m, NULL), SMTP_PATH_OK);
        snprintf(again_room, sizeof again_room, "<%s>", m.address.p);
        in = span_of(again_room);
        cr_assert_eq(smtp_forward_path(&in, &a, &n, NULL), SMTP_PATH_OK);
        cr_expect(span_eq(m.address, n.address) && span_eq(m.local, n.local) &&
                  span_eq(m.domain, n.domain));
    }
}

Test(path, a_full_arena_is_an_answer)
{
    char room[20];
    struct arena a = {.base = room, .cap = sizeof room};
    struct span in = SPAN("<somebody@somewhere.example>");
    struct smtp_mailbox m;

    cr_expect_eq(smtp_forward_path(&in, &a, &m, NULL), SMTP_PATH_FULL);
    cr_expect_eq(a.used, 0);
}

Test(path, ipv6)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"1:2:3:4:5:6:7:8", true},
        {"::", true},
        {"::1", true},
        {"1::", true},
        {"1:2:3:4:5:6::", true},
        {"::1:2:3:4:5:6", true},
        {"1:2:3::4:5:6", true},
        {"1:2:3:4:5:6:7::", false}, /* "::" is two groups or more */
        {"::2:3:4:5:6:7:8", false},
        {"1:2:3:4:5:6:1.2.3.4", true},
        {"::1.2.3.4", true},
        {"::ffff:1.2.3.4", true},
        {"1:2:3:4::1.2.3.4", true},
        {"1:2:3:4:5::1.2.3.4", false},
        {"1:2:3:4:5:6:7:1.2.3.4", false},
        {"1.2.3.4", false},
        {"1:2:3:4:5:6:7:8:9", false},
        {":1:2:3:4:5:6:7", false},
        {"1:2:3:4:5:6:7:", false},
        {":::", false},
        {"1:::2", false},
        {"fe80::1%eth0", false},
        {"::1.2.3.256", false},
        {"1.2.3.4::", false},
        {"abcd:EF01::", true},
        {"00000::", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct span s = guarded(cases[i].text, strlen(cases[i].text));

        cr_expect_eq(smtp_is_ipv6(s), cases[i].valid, "%s", cases[i].text);
    }
}

Test(path, limits)
{
    static char label[64 + 1], domain[257];
    char text[700], room[2048];
    struct arena a = {.base = room, .cap = sizeof room};
    struct smtp_mailbox m;
    struct span in;

    memset(label, 'a', sizeof label - 1);
    cr_expect(smtp_is_domain(span_first(span_of(label), 63), false));
    cr_expect_not(smtp_is_domain(span_first(span_of(label), 64), false));
    memset(domain, 'd', sizeof domain - 1);
    for (size_t i = 63; i < 255; i += 64)
        domain[i] = '.';
    cr_expect(smtp_is_domain(span_first(span_of(domain), 255), false));
    cr_expect_not(smtp_is_domain(span_of(domain), false));
    for (size_t local = 63; local <= SMTP_LOCAL_MAX + 1; local++) {
        const int n =
            snprintf(text, sizeof text, "<%.*s%.*s%.*s@%.255s>", (int)(local > 64 ? 64 : local),
                     label, (int)(local > 64 ? (local > 128 ? 64 : local - 64) : 0), label,
                     (int)(local > 128 ? local - 128 : 0), label, domain);

        in = (struct span){.p = text, .n = (size_t)n};
        arena_reset(&a);
        cr_expect_eq(smtp_forward_path(&in, &a, &m, NULL),
                     local <= SMTP_LOCAL_MAX ? SMTP_PATH_OK : SMTP_PATH_TOO_LONG, "%zu", local);
    }
}

Test(path, mailbox_of_its_parts)
{
    static const struct {
        const char *local, *domain, *address; /* NULL: refused */
    } cases[] = {
        {"a", "b", "a@b"},
        {"a b", "[192.0.2.1]", "\"a b\"@[192.0.2.1]"},
        {"a\"\\", "x", "\"a\\\"\\\\\"@x"},
        {"", "x", "\"\"@x"},
        {".", "x", "\".\"@x"},
        {"\xc3\xa9", "\xc3\xa9.x", "\xc3\xa9@\xc3\xa9.x"},
        {"a", "", NULL},
        {"a", "-x", NULL},
        {"a", "[x", NULL},
        {"a\n", "x", NULL},
        {"\xff", "x", NULL},
        {"a", "\xff", NULL},
    };
    char room[2048], local[SMTP_LOCAL_MAX + 2] = "", domain[SMTP_DOMAIN_MAX + 2] = "";
    struct arena a = {.base = room, .cap = sizeof room}, full = {.base = room, .cap = 3};
    struct smtp_mailbox m;

    for (size_t i = 0; i < COUNT(cases); i++) {
        const enum smtp_path_result result =
            smtp_mailbox_of(span_of(cases[i].local), span_of(cases[i].domain), &a, &m);

        cr_expect_eq(result, cases[i].address == NULL ? SMTP_PATH_SYNTAX : SMTP_PATH_OK, "%s@%s",
                     cases[i].local, cases[i].domain);
        if (result == SMTP_PATH_OK && cases[i].address != NULL) {
            cr_expect_span(m.address, cases[i].address, "address");
            cr_expect_span(m.local, cases[i].local, "local-part");
            cr_expect_span(m.domain, cases[i].domain, "domain");
        }
    }
    cr_expect_eq(smtp_mailbox_of(SPAN("a"), SPAN("b"), &full, &m), SMTP_PATH_FULL);
    cr_expect_eq(full.used, 0);
    memset(local, 'a', SMTP_LOCAL_MAX + 1);
    cr_expect_eq(smtp_mailbox_of(span_of(local), SPAN("b"), &a, &m), SMTP_PATH_TOO_LONG);
    local[SMTP_LOCAL_MAX] = '\0';
    cr_expect_eq(smtp_mailbox_of(span_of(local), SPAN("b"), &a, &m), SMTP_PATH_OK);
    memset(domain, 'a', SMTP_DOMAIN_MAX + 1);
    cr_expect_eq(smtp_mailbox_of(SPAN("a"), span_of(domain), &a, &m), SMTP_PATH_TOO_LONG);
}

Test(path, extension)
{
    cr_expect_eq(smtp_extension_at(SPAN("a+b-c"), SPAN("-+")), 1);
    cr_expect_eq(smtp_extension_at(SPAN("a+b-c"), SPAN("-")), 3);
    cr_expect_eq(smtp_extension_at(SPAN("a+b"), SPAN("")), 3);
    cr_expect_eq(smtp_extension_at(SPAN("+a"), SPAN("+")), 2);
    cr_expect_eq(smtp_extension_at(SPAN("++"), SPAN("+")), 1);
    cr_expect_eq(smtp_extension_at(SPAN(""), SPAN("+")), 0);
    cr_expect_eq(smtp_extension_at(SPAN("a+"), SPAN("+")), 1);
}
