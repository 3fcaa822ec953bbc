/* smtpin-milter's reading side: packets, terms, replies and what may be in them; what changes make
 * of a message and an envelope; options. tests/programs/milter.py has the conversation. */
#include "commands/milter/answer.h"
#include "commands/milter/changes.h"
#include "commands/milter/facts.h"
#include "commands/milter/options.h"
#include "smtp/result.h"
#include "unit.h"

#include <stdlib.h>

#define OCTETS(literal) guarded((literal), sizeof(literal) - 1)

Test(milter, packets)
{
    static const char two[] = "\0\0\0\1c\0\0\0\4yab\0";
    struct milter_packet p;
    size_t used;

    for (size_t n = 0; n < 5; n++) {
        cr_expect(milter_packet_take(guarded(two, n), 4, &p, &used) == MILTER_MORE, "%zu", n);
        cr_expect(used == (n < 4 ? 0 : 5), "%zu", n);
    }
    cr_expect(milter_packet_take(guarded(two, 5), 4, &p, &used) == MILTER_TAKEN);
    cr_expect(p.letter == 'c' && p.data.n == 0 && used == 5);
    cr_expect(milter_packet_take(guarded(two + 5, 8), 4, &p, &used) == MILTER_TAKEN);
    cr_expect(p.letter == 'y' && p.data.n == 3 && used == 8);
    cr_expect(milter_packet_take(guarded(two + 5, 8), 3, &p, &used) == MILTER_BAD);
    cr_expect(milter_packet_take(OCTETS("\0\0\0\0c"), 9, &p, &used) == MILTER_BAD);
    cr_expect(milter_packet_take(OCTETS("\377\377\377\377c"), 9, &p, &used) == MILTER_BAD);
    cr_expect(milter_packet_take(OCTETS("\200\0\0\1c"), 9, &p, &used) == MILTER_BAD);
}

Test(milter, numbers_and_strings)
{
    struct span data = OCTETS("\1\2\3\4text\0\0x"), s;
    uint32_t n;

    cr_expect(milter_take_number(&data, &n) && n == 0x01020304);
    cr_expect(milter_take_string(&data, &s));
    cr_expect_span(s, "text", "a string");
    cr_expect(milter_take_string(&data, &s) && s.n == 0);
    cr_expect(!milter_take_string(&data, &s), "it has no NUL");
    cr_expect(!milter_take_number(&data, &n), "it is too short");
}

Test(milter, written_packets)
{
    char room[16];
    struct text t = TEXT(room);
    size_t begun = milter_packet_begin(&t, 'H');

    milter_add_string(&t, (struct span){.p = "a\0b", .n = 3});
    milter_packet_end(&t, begun);
    cr_expect(t.n == 7 && memcmp(room, "\0\0\0\3Ha\0", 7) == 0);
    begun = milter_packet_begin(&t, 'H');
    milter_add_string(&t, SPAN("too long"));
    milter_packet_end(&t, begun);
    cr_expect(t.cut);
}

static const char *agree(struct span data, struct milter_terms *t)
{
    const struct milter_packet p = {.letter = 'O', .data = data};

    return milter_agree(&p, t);
}

Test(milter, terms)
{
    struct milter_terms t;

    cr_expect(agree(OCTETS("\0\0\0\6\377\377\377\377\377\377\377\377"), &t) == NULL);
    cr_expect(t.actions == 0x1ff && t.protocol == 0x1ff7ff, "what was not offered does not hold");
    cr_expect(!milter_wants(&t, MILTER_HEADER) && milter_wants(&t, MILTER_END));
    cr_expect(milter_answers(&t, MILTER_END) && !milter_answers(&t, MILTER_BODY));
    cr_expect(agree(OCTETS("\0\0\0\2\0\0\0\0\0\0\0\0"), &t) == NULL);
    cr_expect(!milter_wants(&t, MILTER_DATA) && milter_wants(&t, MILTER_RCPT));
    cr_expect(!milter_leading_blank(&t));
    cr_expect(agree(OCTETS("\0\0\0\7\0\0\0\0\0\0\0\0"), &t) != NULL);
    cr_expect(agree(OCTETS("\0\0\0\1\0\0\0\0\0\0\0\0"), &t) != NULL);
    cr_expect(agree(OCTETS("\0\0\0\6\0\0\0\0\0\0\0"), &t) != NULL);
    cr_expect(agree(OCTETS("\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\3i j\0"), &t) == NULL);
    cr_expect_span(t.macros[3], "i j", "names of macros");
    cr_expect(t.macros[2].p == NULL);
    cr_expect(agree(OCTETS("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\3i j\0"), &t) == NULL);
    cr_expect(t.macros[3].p == NULL, "it has not asked for that");
    cr_expect(agree(OCTETS("\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\7i\0"), &t) != NULL);
    cr_expect(agree(OCTETS("\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\3i"), &t) != NULL);
}

static const struct milter_terms all = {.version = 6, .actions = 0x1ff, .protocol = 0x400};

static const char *reply(enum milter_event event, char letter, struct span data,
                         struct milter_reply *r)
{
    const struct milter_packet p = {.letter = letter, .data = data};

    return milter_read_reply(&all, event, &p, r);
}

Test(milter, replies)
{
    static const struct {
        char letter;
        enum milter_said said;
        unsigned code;
    } rows[] = {{'c', MILTER_CONTINUE, 0}, {'a', MILTER_ACCEPT, 0},   {'d', MILTER_DISCARD, 0},
                {'p', MILTER_PROGRESS, 0}, {'r', MILTER_REFUSE, 550}, {'t', MILTER_REFUSE, 451},
                {'f', MILTER_REFUSE, 451}, {'4', MILTER_REFUSE, 451}};
    struct milter_reply r;

    for (size_t i = 0; i < COUNT(rows); i++)
        for (enum milter_event event = MILTER_CONNECT; event < MILTER_EVENTS; event++) {
            cr_expect(reply(event, rows[i].letter, SPAN(""), &r) == NULL);
            cr_expect(r.said == rows[i].said && r.code == rows[i].code);
            cr_expect(reply(event, rows[i].letter, SPAN("x"), &r) != NULL);
        }
    for (unsigned letter = 0; letter < 256; letter++)
        if (letter == 0 || strchr("cadprtf4syhimb+2-eq", (int)letter) == NULL)
            cr_expect(reply(MILTER_END, (char)letter, SPAN(""), &r) != NULL, "%u", letter);
    for (enum milter_event event = MILTER_CONNECT; event < MILTER_EVENTS; event++) {
        const bool skips = event == MILTER_HEADER || event == MILTER_BODY;

        cr_expect((reply(event, 's', SPAN(""), &r) == NULL) == skips, "%d", (int)event);
        cr_expect((reply(event, 'b', SPAN("x"), &r) == NULL) == (event == MILTER_END));
    }
    cr_expect(reply(MILTER_END, 'y', OCTETS("451-4.7.1 x\0"), &r) == NULL);
    cr_expect(r.code == 451);
    cr_expect_span(r.text, "4.7.1 x", "a code");
    cr_expect(reply(MILTER_END, 'y', OCTETS("550"), &r) == NULL);
    cr_expect(reply(MILTER_END, 'y', OCTETS("55"), &r) != NULL);
    cr_expect(reply(MILTER_END, 'y', OCTETS("250 x\0"), &r) != NULL);
    cr_expect(reply(MILTER_END, 'y', OCTETS("550.x\0"), &r) != NULL);
    cr_expect(reply(MILTER_END, 'y', OCTETS("550 x\0y"), &r) != NULL);
}

static bool is_field(struct span name_and_value)
{
    struct milter_reply r;

    return reply(MILTER_END, 'h', name_and_value, &r) == NULL;
}

Test(milter, fields)
{
    cr_expect(is_field(OCTETS("X\0y\0")));
    cr_expect(is_field(OCTETS("X\0\0")));
    cr_expect(is_field(OCTETS("X\0a\n\tb\r\n c\n\0")));
    cr_expect(is_field(OCTETS("!~\0\1\377\0")), "octets of the value are not ours to judge");
    cr_expect(!is_field(OCTETS("\0y\0")));
    cr_expect(!is_field(OCTETS("X \0y\0")));
    cr_expect(!is_field(OCTETS("X:\0y\0")));
    cr_expect(!is_field(OCTETS("X\0y")));
    cr_expect(!is_field(OCTETS("X\0y\0z\0")));
    cr_expect(!is_field(OCTETS("X\0a\nb\0")));
    cr_expect(!is_field(OCTETS("X\0a\rb\0")));
    cr_expect(!is_field(OCTETS("X\0a\n \n\tb\0")));
    cr_expect(!is_field(OCTETS("X\0\n\n\tb\0")));
    cr_expect(!is_field(OCTETS("X\0a\r\r\n b\0")));
}

Test(milter, answers)
{
    static const struct {
        unsigned code;
        const char *text, *line;
    } rows[] = {
        {550, "5.7.1 No", "550 5.7.1 No"},
        {550, "No", "550 5.7.1 No"},
        {450, "4.2.0 a%%b%c", "450 4.2.0 a%b%c"},
        {550, "5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c", "550 5.7.1 a b c"},
        {571, "x", "554 5.7.1 x"},
        {421, "4.3.2 Bye", "451 4.3.2 Bye"},
        {550, "4.7.1 x", "554 5.7.1 Refused by a filter"},
        {599, "x", "554 5.7.1 x"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[512], bytes[1024];
        struct text room = TEXT(bytes);
        struct smtp_reply r;

        answer_line(line, sizeof line, rows[i].code, span_of(rows[i].text));
        cr_expect_span(span_of(line), rows[i].line, rows[i].text);
        cr_expect(smtp_result_of_line(&r, span_of(line), &room), "%s", line);
    }
}

static struct envelope make_envelope(struct arena *a, char **words, size_t n, const char *sender,
                                     const char *count)
{
    setenv("SENDER", sender, 1);
    setenv("RECIPIENT_COUNT", count, 1);
    return (struct envelope){.arena = a, .recipients_max = 2, .command = {.word = words, .n = n}};
}

Test(milter, recipients_in_words)
{
    char memory[65536];
    struct arena a = {.base = memory, .cap = sizeof memory};
    char *words[] = {"cmd", "s@x.example", "a@x.example", "b@x.example"};
    char *more[] = {"cmd", "a@x.example", "b@x.example", "c@x.example"};
    struct envelope e = make_envelope(&a, words, 4, "s@x.example", "2");

    unsetenv("RECIPIENT");
    cr_expect(envelope_read(&e, NULL, 0) == NULL);
    cr_expect_span(e.recipient[0].address, "a@x.example", "the first of two");
    e = make_envelope(&a, words, 4, "s@x.example", "3");
    cr_expect(envelope_read(&e, NULL, 0) == NULL, "the sender may be a recipient");
    e = make_envelope(&a, words, 3, "s@x.example", "3");
    cr_expect(envelope_read(&e, NULL, 0) != NULL, "too few");
    e = make_envelope(&a, more, 4, "s@x.example", "2");
    cr_expect(envelope_read(&e, NULL, 0) != NULL,
              "an address before them that is not the sender's");
    e = make_envelope(&a, more, 4, "s@x.example", "0");
    cr_expect(envelope_read(&e, NULL, 0) != NULL, "nobody");
    e = make_envelope(&a, more, 4, "s@x.example", "2");
    cr_expect(envelope_read(&e, more + 1, 2) == NULL, "they are given");
    cr_expect(envelope_read(&e, more + 1, 3) != NULL, "too many are");
}

Test(milter, envelope)
{
    char memory[65536];
    struct arena a = {.base = memory, .cap = sizeof memory};
    char *words[] = {"cmd", "s@x.example", "a@x.example", "b@x.example"};
    struct envelope e = make_envelope(&a, words, 4, "s@x.example", "2"), kept;

    unsetenv("RECIPIENT");
    cr_assert(envelope_read(&e, NULL, 0) == NULL && envelope_keep(&e, &kept));
    envelope_delete(&e, SPAN("<A@x.example>"));
    cr_expect(envelope_same_recipients(&e), "local-parts differ by case");
    envelope_delete(&e, SPAN("a@X.EXAMPLE"));
    cr_expect(!envelope_same_recipients(&e) && envelope_count(&e) == 1);
    cr_expect(envelope_add(&e, SPAN("a@x.example")) && envelope_same_recipients(&e));
    cr_expect(envelope_add(&e, SPAN("c@x.example")) && envelope_add(&e, SPAN("d@x.example")));
    cr_expect(!envelope_add(&e, SPAN("e@x.example")), "two at the most");
    cr_expect(envelope_set_sender(&e, SPAN("<>")) && !envelope_same_sender(&e));
    envelope_restore(&e, &kept);
    cr_expect(envelope_same_recipients(&e) && envelope_same_sender(&e) && e.n == 2);
    cr_expect(!envelope_is_recipient(SPAN("<>")) && envelope_is_sender(SPAN("<>")));
    cr_expect(!envelope_is_recipient(SPAN("<a@b.example> x")));
    cr_expect(!envelope_is_recipient(SPAN("a@b.example\r\n")));
    cr_expect(!envelope_is_recipient(SPAN("a")) &&
              envelope_is_recipient(SPAN("\"a b\"@c.example")));
}

static void expect_words(struct envelope *e, const size_t *who, size_t n, const char *expected)
{
    char room[1024];
    struct text t = TEXT(room);
    const char *wrong;
    char **words = envelope_words(e, who, n, &wrong);

    for (; words != NULL && *words != NULL; words++) {
        text_addc(&t, '[');
        text_adds(&t, *words);
        text_addc(&t, ']');
    }
    cr_expect_span(text_span(&t), expected, wrong);
}

Test(milter, words)
{
    char memory[65536];
    struct arena a = {.base = memory, .cap = sizeof memory};
    char *one[] = {"cmd", "-fs@x.example", "--from=<s@x.example>", "--to=a@x.example",
                   "s@x.example"};
    char *equal[] = {"cmd", "a@x.example", "a@x.example"};
    char *empty[] = {"cmd", "", "", "a@x.example"};
    char *same = "a@x.example";
    struct envelope e = make_envelope(&a, one, 5, "s@x.example", "1");
    static const size_t first[] = {0}, both[] = {0, 1}, second[] = {1};

    setenv("LOCAL", "a", 1);
    cr_assert(envelope_read(&e, &same, 1) == NULL && envelope_add(&e, SPAN("b@x.example")));
    expect_words(&e, both, 2,
                 "[cmd][-fs@x.example][--from=<s@x.example>][--to=a@x.example][--to=b@x.example]"
                 "[s@x.example]");
    cr_assert(envelope_set_sender(&e, SPAN("r@y.example")));
    expect_words(&e, second, 1,
                 "[cmd][-fr@y.example][--from=<r@y.example>][--to=b@x.example][r@y.example]");
    e = make_envelope(&a, equal, 3, "a@x.example", "1");
    cr_assert(envelope_read(&e, &same, 1) == NULL && envelope_add(&e, SPAN("b@x.example")));
    expect_words(&e, second, 1, "");
    e = make_envelope(&a, empty, 4, "", "1");
    cr_assert(envelope_read(&e, &same, 1) == NULL);
    expect_words(&e, first, 1, "[cmd][][][a@x.example]");
    cr_assert(envelope_set_sender(&e, SPAN("r@y.example")));
    expect_words(&e, first, 1, "");
}

static const char *read_options(struct options *o, int argc, char **argv)
{
    static char *recipients[32];
    const char *word;

    *o = (struct options){.recipient = recipients};
    return options_read(o, argc, argv, &word);
}

Test(milter, options)
{
    char *argv[] = {
        "smtpin-milter", "--default", "accept",   "-rx@y.example",  "unix:/a",  "--timeout=2s",
        "--default",     "reject",    "inet:1@h", "inet6:25@[::1]", "local:/b", "cmd",
        "unix:/c",       NULL};
    struct options o;

    cr_assert(read_options(&o, 13, argv) == NULL);
    cr_expect(o.filters == 4 && o.words == 2 && o.recipients == 1);
    cr_expect_span(span_of(o.filter[0].server), "unix:/a", "unix");
    cr_expect_span(span_of(o.filter[1].server), "h:1", "sendmail's way");
    cr_expect_span(span_of(o.filter[2].server), "[::1]:25", "an address of IPv6");
    cr_expect_span(span_of(o.filter[3].server), "unix:/b", "local");
    cr_expect(o.filter[0].otherwise == FILTER_ACCEPT && o.filter[0].timeout == 30000);
    cr_expect(o.filter[1].otherwise == FILTER_REJECT && o.filter[1].timeout == 2000);
    cr_expect(read_options(&o, 11, argv) != NULL, "no command");
    cr_expect(read_options(&o, 2, argv) != NULL, "no value");
}

Test(milter, limits)
{
    struct limits l = limits_usual();

    cr_expect(limits_set(&l, SPAN("header=2M")) == NULL && l.of[LIMIT_HEADER] == 2 << 20);
    cr_expect(limits_set(&l, SPAN("recipients=0")) == NULL && l.of[LIMIT_RECIPIENTS] == 0);
    cr_expect(limits_set(&l, SPAN("header=1023")) != NULL);
    cr_expect(limits_set(&l, SPAN("header=65M")) != NULL);
    cr_expect(limits_set(&l, SPAN("header")) != NULL);
    cr_expect(limits_set(&l, SPAN("head=2M")) != NULL);
    cr_expect(l.of[LIMIT_HEADER] == 2 << 20, "what is wrong changes nothing");
}
