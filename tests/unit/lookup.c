/* Keys and values of tables: what is looked up of an address and of a domain, and what a value
 * means. */
#include "adapters/lookup.h"
#include "fake_table.h"
#include "unit.h"

static char room[65536];
static struct arena arena;

static struct lookup find(const char *table, const char *local, const char *domain,
                          bool case_matters, enum table_result expected)
{
    struct table t = {.source = span_of(table)};
    struct lookup found;

    arena = (struct arena){.base = room, .cap = sizeof room};
    cr_expect_eq(lookup_address(&t, span_of(local), span_of(domain), SPAN("+-"), case_matters,
                                &arena, &found),
                 expected, "%s@%s", local, domain);
    return found;
}

static void expect_keys(const char *local, const char *domain, bool case_matters,
                        const char *expected)
{
    find("", local, domain, case_matters, TABLE_NOT_FOUND);
    cr_expect_str_eq(asked.keys, expected);
}

Test(lookup, keys_of_an_address)
{
    expect_keys("bob", "example.org", false, "bob@example.org @example.org ");
    expect_keys("Bob+X-y", "Example.ORG", false,
                "bob+x-y@example.org bob@example.org @example.org ");
    expect_keys("Bob+X-y", "Example.ORG", true,
                "Bob+X-y@example.org Bob@example.org @example.org ");
    expect_keys("bob+", "x", false, "bob+@x bob@x @x ");
    expect_keys("+bob", "x", false, "+bob@x @x ");
    expect_keys("a", "[IPv6:::1]", false, "a@[ipv6:::1] @[ipv6:::1] ");
    expect_keys("\xc3\x9c", "x", false, "\xc3\x9c@x @x ");
    expect_keys("", "", false, "<> ");
}

Test(lookup, a_local_part_that_needs_quotes_is_looked_up_with_them_and_without)
{
    expect_keys("A b", "X", false, "\"a b\"@x a b@x @x ");
    expect_keys("a b+c", "x", false, "\"a b+c\"@x a b+c@x \"a b\"@x a b@x @x ");
    expect_keys("b+c d", "x", false, "\"b+c d\"@x b+c d@x b@x @x ");
    expect_keys("a\"\\", "x", false, "\"a\\\"\\\\\"@x a\"\\@x @x ");
    expect_keys("a@b", "x", false, "\"a@b\"@x a@b@x @x ");
    expect_keys("", "x", false, "\"\"@x @x @x ");
}

Test(lookup, the_longest_address_has_room)
{
    char local[SMTP_LOCAL_MAX + 2] = "", domain[SMTP_DOMAIN_MAX + 2] = "";

    memset(local, '"', SMTP_LOCAL_MAX);
    local[SMTP_LOCAL_MAX - 1] = '+';
    memset(domain, 'x', SMTP_DOMAIN_MAX);
    asked.questions = 0;
    find("", local, domain, false, TABLE_NOT_FOUND);
    cr_expect_eq(asked.questions, 1);
    cr_expect_eq(span_count(span_of(asked.keys), '@'), 5);
    cr_expect_eq(strlen(asked.keys), (2 * 127 + 3 + 128 + 2 * 127 + 2 + 127) + 5 * (255 + 2));

    strcat(domain, "x");
    find("", local, domain, false, TABLE_NOT_FOUND);
    strcat(local, "x");
    find("", local, "x", false, TABLE_NOT_FOUND);
    find("", "postmaster", "", false, TABLE_NOT_FOUND);
    cr_expect_eq(asked.questions, 1, "nothing that long is in a table");
}

Test(lookup, the_most_exact_key_wins)
{
    static const char table[] = "@x all\nbob@x b\nbob+a@x ext\n\"c d\"@x quoted\nc d@x plain\n"
                                "e f@x plain\ne f-h@x plain\nempty@x \n";
    struct lookup found = find(table, "bob+a", "x", false, TABLE_FOUND);

    cr_expect_span(found.key, "bob+a@x", "key");
    cr_expect_span(found.value, "ext", "value");
    cr_expect_not(found.extension_unmatched);
    found = find(table, "BOB-a", "X", false, TABLE_FOUND);
    cr_expect_span(found.key, "bob@x", "key");
    cr_expect_span(found.value, "b", "value");
    cr_expect(found.extension_unmatched);
    found = find(table, "jane+a", "x", false, TABLE_FOUND);
    cr_expect_span(found.key, "@x", "key");
    cr_expect_not(found.extension_unmatched, "@domain takes the whole local-part");
    found = find(table, "BOB", "x", true, TABLE_FOUND);
    cr_expect_span(found.key, "@x", "key");
    found = find(table, "c d", "x", false, TABLE_FOUND);
    cr_expect_span(found.value, "quoted", "value");
    cr_expect_not(found.extension_unmatched);
    found = find(table, "e f", "x", false, TABLE_FOUND);
    cr_expect_span(found.value, "plain", "value");
    cr_expect_not(found.extension_unmatched);
    found = find(table, "e f-g", "x", false, TABLE_FOUND);
    cr_expect(found.extension_unmatched);
    found = find(table, "e f-h", "x", false, TABLE_FOUND);
    cr_expect_span(found.key, "e f-h@x", "key");
    cr_expect_not(found.extension_unmatched);
    found = find(table, "bob+c d", "x", false, TABLE_FOUND);
    cr_expect_span(found.key, "bob@x", "key");
    cr_expect(found.extension_unmatched);
    found = find(table, "empty", "x", false, TABLE_FOUND);
    cr_expect_span(found.value, "", "value");
    found = find(table, "bob", "y", false, TABLE_NOT_FOUND);
    cr_expect_eq(found.key.n, 0);
}

Test(lookup, failures)
{
    struct table t = {.source = SPAN("@x v\n"), .wrong = "is cut short"};
    struct arena a = {.base = room, .cap = 4};
    struct lookup found;

    cr_expect_eq(lookup_address(&t, SPAN("a"), SPAN("x"), SPAN("+"), false, &a, &found),
                 TABLE_FAILED);
    cr_expect_str_eq(found.wrong, "is cut short");
    t.wrong = NULL;
    cr_expect_eq(lookup_address(&t, SPAN("a"), SPAN("x"), SPAN("+"), false, &a, &found),
                 TABLE_FAILED);
    cr_expect_not_null(strstr(found.wrong, "memory"));
    cr_expect_null(t.wrong, "the table is good");
    cr_expect_eq(found.key.n, 0);
}

static void expect_domain_keys(const char *domain, const char *expected)
{
    struct table t = {.source = SPAN("")};
    struct lookup found;

    asked.keys[0] = '\0';
    cr_expect_eq(lookup_domain(&t, span_of(domain), &arena, &found), TABLE_NOT_FOUND);
    cr_expect_str_eq(asked.keys, expected);
}

Test(lookup, keys_of_a_domain)
{
    char most[SMTP_DOMAIN_MAX + 1];

    expect_domain_keys("A.b.Example.org", "a.b.example.org .b.example.org .example.org .org ");
    expect_domain_keys("localhost", "localhost ");
    expect_domain_keys("[192.0.2.1]", "[192.0.2.1] ");
    expect_domain_keys("", "");
    for (size_t i = 0; i < sizeof most; i++)
        most[i] = i % 2 == 0 ? 'a' : '.';
    most[SMTP_DOMAIN_MAX] = '\0';
    find("", "", most, false, TABLE_NOT_FOUND);
    {
        struct table t = {.source = SPAN(".a.a v\n.a w\n")};
        struct lookup found;

        cr_expect_eq(lookup_domain(&t, span_of(most), &arena, &found), TABLE_FOUND);
        cr_expect_span(found.key, ".a.a", "the nearest parent");
        cr_expect_span(found.value, "v", "its value");
        t.source = SPAN(".a w\n");
        cr_expect_eq(lookup_domain(&t, span_of(most), &arena, &found), TABLE_FOUND);
        cr_expect_span(found.value, "w", "the last of the keys");
        /* No domain, but what a caller may hold: no more keys than there is room for. */
        memset(most, '.', SMTP_DOMAIN_MAX);
        cr_expect_eq(lookup_domain(&t, span_of(most), &arena, &found), TABLE_NOT_FOUND);
    }
}

static void expect_meaning(const char *value, enum lookup_meaning expected)
{
    char words[SMTP_RESULT_TEXT_MAX];
    struct text text = TEXT(words);
    struct smtp_reply reply;
    const struct span s = guarded(value, strlen(value));

    cr_expect_eq(lookup_read_value(s, &reply, &text), expected, "\"%s\"", value);
}

Test(lookup, meaning)
{
    static const char *const ok[] = {"", "OK", "ok", " Ok "};
    static const char *const reply[] = {"550 No", "450 4.2.1 Try again", "550", "421 Go away",
                                        "550\t5.1.1 x"};
    static const char *const addresses[] = {"a@b",
                                            "a@b,c@d",
                                            "a@b c@d",
                                            " a@b , , c@d ,",
                                            "@b",
                                            "\"a b, c\"@d,e@f",
                                            "<a@b>",
                                            "\"a\\\"b\"@c x@y",
                                            "a@[192.0.2.1]",
                                            "a..b@c",
                                            "550-a@b",
                                            "550@b",
                                            "\xc3\xbc@\xc3\xbc.example"};
    static const char *const other[] = {"bob",
                                        "example.org/bob/",
                                        "/var/mail/bob",
                                        "|/bin/x",
                                        "REJECT",
                                        "REJECT no such user",
                                        "OK then",
                                        "a@b bob",
                                        "a@b, /x",
                                        "a@",
                                        "@",
                                        "@@",
                                        "a@b@c",
                                        "\"a",
                                        "\"a\\",
                                        "\"a b\"",
                                        "<postmaster>",
                                        "<>",
                                        "<a@b",
                                        "<a@b>c",
                                        "a@b;c@d",
                                        ",",
                                        ", ,\t",
                                        "a@b\xff",
                                        "a\x01@b",
                                        "250 OK",
                                        "Bob <a@b>"};

    for (size_t i = 0; i < COUNT(ok); i++)
        expect_meaning(ok[i], LOOKUP_OK);
    for (size_t i = 0; i < COUNT(reply); i++)
        expect_meaning(reply[i], LOOKUP_REPLY);
    for (size_t i = 0; i < COUNT(addresses); i++)
        expect_meaning(addresses[i], LOOKUP_ADDRESSES);
    for (size_t i = 0; i < COUNT(other); i++)
        expect_meaning(other[i], LOOKUP_OTHER);
}

Test(lookup, meaning_of_long_values)
{
    static char value[TABLE_VALUE_MAX + 1];

    memset(value, ',', TABLE_VALUE_MAX);
    expect_meaning(value, LOOKUP_OTHER);
    memset(value, '"', TABLE_VALUE_MAX);
    expect_meaning(value, LOOKUP_OTHER);
    memset(value, 'a', TABLE_VALUE_MAX);
    expect_meaning(value, LOOKUP_OTHER);
    memset(value + TABLE_VALUE_MAX - 300, '@', 1);
    expect_meaning(value, LOOKUP_OTHER);
    for (size_t i = 0; i < TABLE_VALUE_MAX; i += 4)
        memcpy(value + i, "a@b,", 4);
    expect_meaning(value, LOOKUP_ADDRESSES);
}

Test(lookup, words)
{
    const struct span value = SPAN(" a,b\t\"c d\"@e,,\"f\\\" g\"@h,\"i j");
    static const char *const expected[] = {"a", "b", "\"c d\"@e", "\"f\\\" g\"@h", "\"i j"};
    struct span rest = value, word;
    size_t n = 0;

    for (; lookup_next_word(&rest, &word) && n < COUNT(expected); n++)
        cr_expect_span(word, expected[n], "word");
    cr_expect_eq(n, COUNT(expected));
    cr_expect_eq(rest.n, 0);
}

Test(lookup, lists)
{
    static const char *const lists[] = {"bob",     "bob, jane",    "bob,jane ,carl,",
                                        "a@b c@d", "a@b c@d, bob", "@x @y",
                                        ",bob",    "\"a b\"@c d@e"};
    static const char *const others[] = {"",         " ",       ",",        "REJECT no such user",
                                         "bob jane", "a@b bob", "bob\ta@b", "a@b c@d bob"};

    for (size_t i = 0; i < COUNT(lists); i++)
        cr_expect(lookup_is_list(span_of(lists[i])), "%s", lists[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        cr_expect_not(lookup_is_list(span_of(others[i])), "%s", others[i]);
}

static void expect_mailbox(const char *word, const char *expected)
{
    const struct smtp_mailbox of = {.local = SPAN("jane doe+x"), .domain = SPAN("own.example")};
    const struct span w = guarded(word, strlen(word));
    struct smtp_mailbox m;
    enum smtp_path_result result;

    arena = (struct arena){.base = room, .used = 16, .cap = sizeof room};
    result = lookup_mailbox(w, &of, &arena, &m);
    cr_expect_eq(result == SMTP_PATH_OK, expected != NULL, "%s", word);
    if (result == SMTP_PATH_OK && expected != NULL)
        cr_expect_span(m.address, expected, word);
    if (result != SMTP_PATH_OK)
        cr_expect_eq(arena.used, 16, "%s", word);
}

Test(lookup, mailboxes)
{
    expect_mailbox("a@b", "a@b");
    expect_mailbox("<a@B>", "a@B");
    expect_mailbox("bob", "bob@own.example");
    expect_mailbox("bob+y", "bob+y@own.example");
    expect_mailbox("@other.example", "\"jane doe+x\"@other.example");
    expect_mailbox("@[192.0.2.1]", "\"jane doe+x\"@[192.0.2.1]");
    expect_mailbox("\"a\"@b", "a@b");
    expect_mailbox("a..b@c", "\"a..b\"@c");
    expect_mailbox("@", NULL);
    expect_mailbox("@-x", NULL);
    expect_mailbox("bob/", NULL);
    expect_mailbox("|bob", NULL);
    expect_mailbox("\"bob\"", NULL);
    expect_mailbox("<bob>", NULL);
    expect_mailbox("<postmaster>", NULL);
    expect_mailbox("a@b>", NULL);
}
