/* Aliases: which recipients an address stands for. */
#include "adapters/alias.h"
#include "fake_table.h"
#include "syntax/idn.h"
#include "unit.h"

static char room[4 * 1024 * 1024];
static struct arena arena;

static struct alias_question question = {
    .depth_max = 10, .recipients_max = 100, .delimiter = {.p = "+", .n = 1}};

struct outcome {
    enum alias_result result;
    struct smtp_recipient *first;
    struct smtp_reply reply;
    const char *why;
    struct lookup at;
};

static struct outcome expand(const char *table, const char *path)
{
    struct table t = {.source = span_of(table)};
    struct span in = span_of(path);
    struct smtp_mailbox from;
    struct outcome o = {0};

    arena = (struct arena){.base = room, .cap = sizeof room};
    cr_assert_eq(smtp_forward_path(&in, &arena, &from, NULL), SMTP_PATH_OK, "%s", path);
    question.table = &t;
    question.own_domain = SPAN("own.example");
    o.result = alias_expand(&question, &from, &arena, &o.first, &o.reply, &o.why, &o.at);
    return o;
}

/* `expected`: the addresses, with a blank behind each. */
static void expect_list(const struct smtp_recipient *first, const char *expected, const char *what)
{
    char got_room[65536];
    struct text got = TEXT(got_room);

    for (; first != NULL; first = first->next) {
        cr_expect_eq(first->mailbox.address.p[first->mailbox.address.n], '\0');
        cr_expect_eq(first->result.code, 0);
        text_add(&got, first->mailbox.address);
        text_addc(&got, ' ');
    }
    cr_expect_span(text_span(&got), expected, what);
}

static void expect_found(const char *table, const char *path, const char *expected)
{
    const struct outcome o = expand(table, path);

    cr_expect_eq(o.result, ALIAS_FOUND, "%s: %d %s", path, (int)o.result, o.why);
    expect_list(o.first, expected, path);
    cr_expect(o.at.key.n > 0);
}

static void expect_bad(const char *table, const char *path, const char *why)
{
    const struct outcome o = expand(table, path);

    cr_expect_eq(o.result, ALIAS_BAD, "%s: %d", path, (int)o.result);
    cr_assert_not_null(o.why);
    cr_expect_not_null(strstr(o.why, why), "%s: %s", path, o.why);
}

Test(alias, one_and_many)
{
    expect_found("info@x bob@y\n", "<info@x>", "bob@y ");
    expect_found("info@x bob@y\n", "<INFO@X>", "bob@y ");
    expect_found("info@x bob@y, jane@z carl@z\n", "<info@x>", "bob@y jane@z carl@z ");
    expect_found("@x bob@y\n", "<anyone@x>", "bob@y ");
    expect_found("@x @y\n", "<Any.One+z@x>", "Any.One+z@y ");
    expect_found("@x @y, @z\n", "<\"a b\"@x>", "\"a b\"@y \"a b\"@z ");
    expect_found("info@x bob, \"a b, c\"@y\n", "<info@x>", "bob@x \"a b, c\"@y ");
    expect_found("\"a b\"@x bob@y\n", "<\"a b\"@x>", "bob@y ");
    expect_found("a@[192.0.2.1] b@[192.0.2.2]\n", "<a@[192.0.2.1]>", "b@[192.0.2.2] ");
}

Test(alias, of_aliases_in_the_order_of_the_table)
{
    expect_found("all@x a@x, staff@x, z@x\nstaff@x bob@x, jane@x\nbob@x bob@y\n", "<all@x>",
                 "a@x bob@y jane@x z@x ");
    /* One that comes twice stands where it comes first. */
    expect_found("all@x a@x, staff@x, z@x\nstaff@x z@x, A@X, b@x\n", "<all@x>", "a@x b@x z@x ");
}

Test(alias, none)
{
    struct outcome o = expand("other@x bob@x\n", "<jane@x>");

    cr_expect_eq(o.result, ALIAS_NONE);
    cr_expect_null(o.first);
    cr_expect_eq(o.at.key.n, 0);
    o = expand("jane@x OK\nbob@x \n", "<jane@x>");
    cr_expect_eq(o.result, ALIAS_NONE);
    cr_expect_span(o.at.key, "jane@x", "the table has it");
    o = expand("jane@x OK\nbob@x \n", "<bob@x>");
    cr_expect_eq(o.result, ALIAS_NONE);
    cr_expect_null(o.first);
    expect_found("all@x jane@x, bob@x\njane@x ok\nbob@x \n@x dropped@x\n", "<all@x>",
                 "jane@x bob@x ");
}

Test(alias, no_alias_takes_no_memory)
{
    struct table t = {.source = SPAN("a@x b@x\n")};
    const struct smtp_mailbox from = {
        .address = SPAN("c@x"), .local = SPAN("c"), .domain = SPAN("x")};
    struct outcome o;

    arena = (struct arena){.base = room, .cap = 4096};
    question.table = &t;
    o.result = alias_expand(&question, &from, &arena, &o.first, &o.reply, &o.why, &o.at);
    cr_expect_eq(o.result, ALIAS_NONE);
    cr_expect_eq(arena.used, 0);
}

Test(alias, an_address_in_its_own_value_stays)
{
    expect_found("jane@x jane@x, bob@x\n", "<jane@x>", "jane@x bob@x ");
    expect_found("jane@x bob@x, jane@x, jane@x\n", "<jane@x>", "bob@x jane@x ");
    expect_found("jane@x jane@x, bob@x, jane@x\n", "<jane@x>", "jane@x bob@x ");
    expect_found("jane@x JANE@X\n", "<Jane@x>", "Jane@x ");
    expect_found("jane@x jane@x, bob@x\nbob@x bob@x, jane@x\n", "<jane@x>", "jane@x bob@x ");
    expect_found("jane@x jane@x, bob@x\nbob@x bob@x, jane@x\n", "<bob@x>", "bob@x jane@x ");
    expect_found("jane@x bob@x\nbob@x bob@x, jane@x\n", "<jane@x>", "bob@x ");
    expect_found("@x bob@x\n", "<any@x>", "bob@x ");
    expect_found("@x @x\n", "<any@x>", "any@x ");
    expect_found("a@x a@x\n", "<a+b@x>", "a+b@x ");
}

Test(alias, each_mailbox_once)
{
    expect_found("all@x staff@x, boss@x\nboss@x staff@x\nstaff@x a@x\n", "<all@x>", "a@x ");
    expect_found("a@x b@y, B@Y, b@Y, \"b\"@y\n", "<a@x>", "b@y ");
    question.case_matters = true;
    expect_found("a@x b@y, B@Y, b@Y\n", "<a@x>", "b@y B@Y ");
    expect_found("a@x A@x, b@x\n", "<a@x>", "A@x b@x ");
    question.case_matters = false;
}

Test(alias, loops)
{
    expect_bad("a@x b@x\nb@x a@x\n", "<a@x>", "loop");
    expect_bad("a@x b@x, c@x\nb@x c@x\nc@x b@x, a@x\n", "<a@x>", "loop");
    expect_found("a@x b@x, c@x\nb@x a@x\n", "<a@x>", "c@x ");
}

Test(alias, extension)
{
    expect_found("jane@x jane@x bob@y\n", "<jane+x@x>", "jane+x@x bob+x@y ");
    expect_found("jane@x bob+lists@y carl@y\n", "<Jane+X@x>", "bob+lists+X@y carl+X@y ");
    expect_found("jane+x@x bob@y\n", "<jane+x@x>", "bob@y ");
    expect_found("@x bob@y\n", "<jane+x@x>", "bob@y ");
    expect_found("jane@x @y\n", "<jane+x@x>", "jane+x@y ");
    expect_found("jane@x bob\nbob@x carl@y\n", "<jane+x@x>", "carl+x@y ");
    expect_found("jane@x bob\nbob+x@x carl@y\nbob@x no@y\n", "<jane+x@x>", "carl@y ");
    expect_found("jane@x \"b c\"@y\n", "<jane+x@x>", "\"b c+x\"@y ");
    expect_found("jane@x bob@y\n", "<\"jane+a b\"@x>", "\"bob+a b\"@y ");
    expect_found("jane@x bob@y\n", "<jane+@x>", "bob+@y ");
}

Test(alias, an_extension_that_does_not_fit)
{
    char local[SMTP_LOCAL_MAX + 1] = "jane+", path[SMTP_LOCAL_MAX + 10], to[SMTP_LOCAL_MAX + 10];

    memset(local + 5, 'e', SMTP_LOCAL_MAX - 5);
    snprintf(path, sizeof path, "<%s@x>", local);
    snprintf(to, sizeof to, "%s@y ", local);
    expect_bad("jane@x jane.doe@x\n", path, "too long");
    expect_found("jane@x @y\n", path, to);
    expect_found("jane@x jane@y\n", path, to);
}

/* UTF-8, and without libidn2 as it stands. */
Test(alias, domains_outside_ascii)
{
    static const char table[] = "a@x \xc3\xbc@b\xc3\xbc"
                                "cher.example, \xc3\xbc@xn--bcher-kva.example, c@x\n"
                                "c@x d@B\xc3\xbc"
                                "cher.example\nd@xn--bcher-kva.example e@y\n";

    if (!idn_works(NULL))
        cr_skip("no libidn2");
    expect_found(table, "<a@x>",
                 "\xc3\xbc@b\xc3\xbc"
                 "cher.example e@y ");
    expect_found(table,
                 "<d@b\xc3\xbc"
                 "cher.example>",
                 "e@y ");
    cr_expect(expand(table, "<a@x>").first->mailbox.utf8);
    cr_expect_span(expand(table, "<a@x>").first->mailbox.ascii, "xn--bcher-kva.example", "ascii");
}

Test(alias, postmaster)
{
    expect_found("postmaster@own.example bob@y\n", "<Postmaster>", "bob@y ");
    expect_found("postmaster@own.example bob\n", "<postmaster>", "bob@own.example ");
    cr_expect_eq(expand("a@x b@x\n", "<postmaster>").result, ALIAS_NONE);
}

Test(alias, replies)
{
    struct outcome o = expand("gone@x 551 5.1.6 Moved to bob@y\n", "<gone@x>");

    cr_expect_eq(o.result, ALIAS_REPLY);
    cr_expect_eq(o.reply.code, 551);
    cr_expect_span(o.reply.enhanced, "5.1.6", "enhanced");
    cr_expect_span(o.reply.text, "Moved to bob@y", "text");
    cr_expect_span(o.at.key, "gone@x", "key");
    cr_expect(o.reply.text.p > room && o.reply.text.p < room + sizeof room, "it outlives the call");
    o = expand("all@x bob@x, gone@x\ngone@x 450 Later\n", "<all@x>");
    cr_expect_eq(o.result, ALIAS_REPLY);
    cr_expect_eq(o.reply.code, 450);
    cr_expect_span(o.at.key, "gone@x", "key");
}

Test(alias, a_table_that_fails)
{
    struct table t = {.source = SPAN(""), .wrong = "is cut short"};
    const struct smtp_mailbox from = {
        .address = SPAN("c@x"), .local = SPAN("c"), .domain = SPAN("x")};
    struct outcome o;

    arena = (struct arena){.base = room, .cap = 4096};
    question.table = &t;
    o.result = alias_expand(&question, &from, &arena, &o.first, &o.reply, &o.why, &o.at);
    cr_expect_eq(o.result, ALIAS_FAILED);
    cr_expect_str_eq(o.why, "is cut short");
}

Test(alias, values_that_are_no_addresses)
{
    expect_bad("a@x ,,,\n", "<a@x>", "no address");
    expect_bad("a@x example.org/bob/\n", "<a@x>", "no address");
    expect_bad("a@x |/bin/false\n", "<a@x>", "no address");
    expect_bad("a@x REJECT no such user\n", "<a@x>", "no address");
    expect_bad("a@x b@x bob\n", "<a@x>", "no address");
    expect_bad("a@x bob b@x\n", "<a@x>", "no address");
    expect_found("a@x bob , jane,carl@x\tjoe@x, b\n", "<a@x>", "bob@x jane@x carl@x joe@x b@x ");
    expect_bad("a@x b@x, \"c\n", "<a@x>", "no address");
    expect_bad("a@x b@x\nb@x c@@d\n", "<a@x>", "no address");
}

Test(alias, of_a_table_of_recipients)
{
    question.other_is_ok = true;
    expect_found("all@x a@x, b@x, c@x\na@x x/a/\nb@x archive\nc@x d@x, e\n", "<all@x>",
                 "a@x b@x c@x ");
    cr_expect_eq(expand("a@x archive\n", "<a@x>").result, ALIAS_NONE);
    question.other_is_ok = false;
}

Test(alias, depth)
{
    static const char chain[] = "a@x b@x\nb@x c@x\nc@x d@x\n";

    question.depth_max = 3;
    expect_found(chain, "<a@x>", "d@x ");
    question.depth_max = 2;
    expect_bad(chain, "<a@x>", "too many times");
    expect_found(chain, "<b@x>", "d@x ");
    question.depth_max = 0;
    expect_bad(chain, "<c@x>", "too many times");
    cr_expect_eq(expand(chain, "<d@x>").result, ALIAS_NONE);
    question.depth_max = 10;
    /* An address without an end: each look-up finds a longer one. */
    expect_bad("@x bob@y\nbob@y @z\n@z c@x\nc@x d@w\n@w @v\n@v e@u\n@u @t\n@t f@s\n@s @r\n@r g@q\n"
               "@q @p\n@p h@o\n",
               "<a@x>", "too many times");
}

Test(alias, recipients)
{
    question.recipients_max = 3;
    expect_found("a@x b@x, c@x, d@x, B@X\n", "<a@x>", "b@x c@x d@x ");
    expect_bad("a@x b@x, c@x, d@x, e@x\n", "<a@x>", "too many recipients");
    expect_found("a@x b@x, c@x, d@x\nb@x e@x\nc@x e@x\nd@x e@x\n", "<a@x>", "e@x ");
    question.recipients_max = 100;
}

/* Each of n aliases stands for the next `width`, and for what is in `also`. */
static const char *bomb(size_t n, size_t width, const char *also)
{
    static char table[1024 * 1024];
    struct text t = TEXT(table);

    for (size_t i = 0; i < n; i++) {
        text_adds(&t, "a");
        text_addn(&t, i, 1);
        text_adds(&t, "@x ");
        text_adds(&t, also);
        for (size_t k = 1; k <= width; k++) {
            text_adds(&t, ",a");
            text_addn(&t, i * width + k, 1);
        }
        text_addc(&t, '\n');
    }
    text_string(&t);
    cr_assert_not(t.cut);
    return table;
}

Test(alias, bombs, .timeout = 60)
{
    asked.questions = 0;
    expect_bad(bomb(4000, 10, ""), "<a0@x>", "too many");
    cr_expect_leq(asked.questions, 2 * 100 + 10);
    asked.questions = 0;
    question.recipients_max = 3;
    expect_bad(bomb(30, 20, ""), "<a0@x>", "too many addresses");
    cr_expect_eq(asked.questions, 1);
    question.recipients_max = 100;
    asked.questions = 0;
    expect_bad(bomb(5000, 1, ""), "<a0@x>", "too many times");
    cr_expect_eq(asked.questions, 11);
}

/* Without limits (a configuration has some) memory is the limit, and no address is asked for
 * twice. */
Test(alias, without_limits, .timeout = 60)
{
    question.recipients_max = UINT64_MAX;
    question.depth_max = UINT64_MAX;
    asked.questions = 0;
    expect_found(bomb(2000, 1, "b"), "<a0@x>", "b@x a2000@x ");
    cr_expect_eq(asked.questions, 2002);
    {
        struct table t = {.source = span_of(bomb(2000, 5, ""))};
        const struct smtp_mailbox from = {
            .address = SPAN("a0@x"), .local = SPAN("a0"), .domain = SPAN("x")};

        question.table = &t;
        for (size_t cap = 0; cap < 65536; cap += cap < 2048 ? 1 : 777) {
            struct outcome o;

            arena = (struct arena){.base = room, .cap = cap};
            o.result = alias_expand(&question, &from, &arena, &o.first, &o.reply, &o.why, &o.at);
            cr_expect_eq(o.result, ALIAS_BAD);
            cr_expect_not_null(strstr(o.why, "memory"), "%zu", cap);
        }
    }
}
