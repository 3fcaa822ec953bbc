/* The header of submitted mail: adapters/submission.h, and the fields that smtp/header.h finds. */
#include "adapters/submission.h"
#include "smtp/header.h"
#include "unit.h"

enum { BUFFER = 16 * 1024 };
#define OURS "Received: from x\n"
#define DATE "Date: Thu, 1 Jan 1970 00:00:00 +0000\n"
#define ID "Message-ID: <abc@mx.example.org>\n"
#define BOTH (CONFIG_ADD_DATE | CONFIG_ADD_MESSAGE_ID)

static char buffer[BUFFER], got[4 * 1024 * 1024], arena_room[8 * 1024 * 1024];

/* What is on disk or in memory from a message with so much of ours before it. */
struct fixed {
    enum submission_result result;
    size_t head;
    struct span message; /* in got */
    uint64_t size;
};

struct wish {
    uint64_t add, line_ending;
    bool from, keep_bcc, stranger; /* stranger: has not logged in */
    uint64_t memory;               /* spool_memory; 0: in a file */
};

static struct fixed fix(struct wish w, struct span ours, struct span message)
{
    struct config c = {.add_header = w.add,
                       .line_ending = w.line_ending,
                       .require_from = w.from,
                       .keep_bcc = w.keep_bcc,
                       .smtp = {.hostname = SPAN("mx.example.org")}};
    struct smtp_session session = {.authenticated = !w.stranger};
    struct head_facts f = {.config = &c, .session = &session, .id = SPAN("abc")};
    struct spool spool = {.buffer = buffer, .cap = BUFFER, .memory = w.memory, .dir = "/tmp"};
    struct arena a = {.base = arena_room, .cap = sizeof arena_room, .used = 64};
    struct fixed fixed = {.head = ours.n};
    const struct span parts[] = {ours, message};
    ssize_t n;

    cr_assert(spool_open(&spool, 0));
    for (size_t i = 0; i < COUNT(parts); i++)
        for (struct span left = parts[i]; left.n > 0;) {
            size_t room;
            char *at = spool_room(&spool, &room);

            cr_assert_not_null(at);
            room = room < left.n ? room : left.n;
            memcpy(at, left.p, room);
            spool_add(&spool, room);
            left = span_from(left, room);
        }
    cr_assert_geq(spool_finish(&spool), 0);
    cr_assert_eq(spool.in_file, ours.n + message.n > w.memory);
    fixed.result = submission_fix(&f, &spool, &fixed.head, &a);
    cr_expect_eq(a.used, 64, "the arena is as it was");
    n = pread(spool.fd, got, sizeof got, 0);
    cr_assert(n >= 0 && (size_t)n < sizeof got);
    cr_expect_eq(lseek(spool.fd, 0, SEEK_CUR), 0, "where the command begins to read");
    fixed.message = (struct span){.p = got, .n = (size_t)n};
    fixed.size = spool.size;
    cr_expect_eq(spool.size, fixed.message.n);
    spool_close(&spool);
    return fixed;
}

static const struct wish usual = {.add = BOTH, .memory = 1024 * 1024};

/* `wish` with both kinds of line ends, in memory and in a file. */
static void expect(struct wish w, const char *ours, const char *message, const char *wanted,
                   size_t head)
{
    static char with_cr[3][1024];
    const char *lines[3] = {ours, message, wanted};

    for (int in_file = 0; in_file < 2; in_file++) {
        size_t crs = 0;
        struct fixed f;

        w.memory = in_file ? 0 : 1024 * 1024;
        w.line_ending = 0;
        f = fix(w, span_of(ours), span_of(message));
        cr_expect_eq(f.result, SUBMISSION_FINE, "%s", message);
        cr_expect_span(f.message, wanted, message);
        cr_expect_eq(f.head, head, "%s: %zu are ours", message, f.head);
        for (size_t i = 0; i < 3; i++) {
            char *to = with_cr[i];

            for (const char *p = lines[i]; *p != 0; *to++ = *p++)
                if (*p == '\n')
                    *to++ = '\r';
            *to = 0;
        }
        for (size_t i = 0; i < head; i++)
            crs += wanted[i] == '\n';
        w.line_ending = 1;
        f = fix(w, span_of(with_cr[0]), span_of(with_cr[1]));
        cr_expect_eq(f.result, SUBMISSION_FINE);
        cr_expect_span(f.message, with_cr[2], message);
        cr_expect_eq(f.head, head + crs, "%s: %zu are ours, with CRLF", message, f.head);
    }
}

/* What is added is ours, wherever the whole of it stands in front. */
#define ADDED_BEFORE(message) OURS DATE ID message, sizeof OURS DATE ID - 1

Test(submission, adds_what_is_missing)
{
    expect(usual, OURS, "From: a\n\nx\n", ADDED_BEFORE("From: a\n\nx\n"));
    expect(usual, OURS, "Date: y\nmessage-id \t: z\n\nx\n", OURS "Date: y\nmessage-id \t: z\n\nx\n",
           sizeof OURS - 1);
    expect(usual, OURS, "DATE: y\n\nx\n", OURS ID "DATE: y\n\nx\n", sizeof OURS ID - 1);
    expect(usual, OURS, "Message-ID:\n z\n\nx\n", OURS DATE "Message-ID:\n z\n\nx\n",
           sizeof OURS DATE - 1);
    /* Not of the text, of a folded line, of another field, of one that only begins so. */
    expect(usual, OURS, "From: a\n\nDate: y\nMessage-ID: z\n",
           ADDED_BEFORE("From: a\n\nDate: y\nMessage-ID: z\n"));
    expect(usual, OURS, "Subject: a\n Date: y\n\tMessage-ID: z\n\n",
           ADDED_BEFORE("Subject: a\n Date: y\n\tMessage-ID: z\n\n"));
    expect(usual, OURS, "Date-X: y\nX-Date: y\nDat: y\nResent-Message-ID: z\n\n",
           ADDED_BEFORE("Date-X: y\nX-Date: y\nDat: y\nResent-Message-ID: z\n\n"));
    expect((struct wish){.add = CONFIG_ADD_DATE}, OURS, "From: a\n\n", OURS DATE "From: a\n\n",
           sizeof OURS DATE - 1);
    expect((struct wish){.add = 0}, OURS, "From: a\n\n", OURS "From: a\n\n", sizeof OURS - 1);
    expect((struct wish){.add = BOTH, .stranger = true}, OURS, "Bcc: b\n\n",
           ADDED_BEFORE("Bcc: b\n\n"));
}

/* A program that reads on behind a line that is no field would show it. */
Test(submission, refuses_bcc_behind_a_broken_line)
{
    static const char *const hidden[] = {"From: a\nno field\nBcc: b\n\nx\n",
                                         "From: a\r\nno field\r\nbcc : b\r\n\r\nx\r\n",
                                         "From: a\nno field\nTo: c\nResent-Bcc: b"};

    for (size_t i = 0; i < COUNT(hidden); i++) {
        cr_expect_eq(fix(usual, SPAN(OURS), span_of(hidden[i])).result, SUBMISSION_BROKEN, "%s",
                     hidden[i]);
        cr_expect_eq(fix((struct wish){.keep_bcc = true}, SPAN(OURS), span_of(hidden[i])).result,
                     SUBMISSION_FINE);
    }
}

Test(submission, stands_where_a_header_is)
{
    /* A message without fields: its empty line, or ours before its text. */
    expect(usual, OURS, "\nDate: y\n", ADDED_BEFORE("\nDate: y\n"));
    expect(usual, OURS, "", ADDED_BEFORE(""));
    expect(usual, OURS "\n", "text, no field\n", OURS DATE ID "\ntext, no field\n",
           sizeof OURS DATE ID "\n" - 1);
    expect(usual, OURS "\n", " Date: folded\n", OURS DATE ID "\n Date: folded\n",
           sizeof OURS DATE ID "\n" - 1);
    expect(usual, "", "text, no field\n", DATE ID "\ntext, no field\n", sizeof DATE ID "\n" - 1);
    expect((struct wish){.add = 0}, "", "text\nBcc: b\n", "text\nBcc: b\n", 0);
    /* "From " that is text, and an mbox file's mark, which stays what the header begins with. */
    expect(usual, OURS "\n", "From now on\nthis is text\n",
           OURS DATE ID "\nFrom now on\nthis is text\n", sizeof OURS DATE ID "\n" - 1);
    expect(usual, "", "From a@b Mon\nBcc: b\nFrom: a\n\nx\n",
           "From a@b Mon\n" DATE ID "From: a\n\nx\n", 0);
    expect(usual, OURS, ">From a@b Mon\nFrom: a\n\nx\n",
           OURS ">From a@b Mon\n" DATE ID "From: a\n\nx\n", sizeof OURS - 1);
    /* A header that ends with a line that is no field. */
    expect(usual, OURS, "From: a\nno field\nDate: y\n\nBcc: b\n",
           ADDED_BEFORE("From: a\nno field\nDate: y\n\nBcc: b\n"));
    expect(usual, OURS, "From: a\nFrom now on\nDate: y\n\n",
           ADDED_BEFORE("From: a\nFrom now on\nDate: y\n\n"));
}

Test(submission, removes_bcc)
{
    const struct wish only = {.add = 0};
    static const char *const blind[] = {
        "Bcc: b@example.org\n", "BCC:\n",          "bcc : b,\n c,\n\td\n", "bCC\t \t:b\n",
        "Bcc: a\nBcc: b\n",     "Resent-Bcc: b\n", "Bcc:\n \n \n"};
    static char message[256], wanted[256];

    for (size_t i = 0; i < COUNT(blind); i++) {
        static const char *const around[][2] = {{"", "\nx\n"},
                                                {"From: a\n", "\nBcc: text\n"},
                                                {"From: a\n x\n", "To: c\n\nx\n"},
                                                {"From: a\n", ""},
                                                {"", "From: a\n\nBcc: text\n"},
                                                {"", ""},
                                                {"", "no field\n"},
                                                {"From: a\n", "no field\n\nBcc: b\n"}};

        for (size_t k = 0; k < COUNT(around); k++) {
            snprintf(message, sizeof message, "%s%s%s", around[k][0], blind[i], around[k][1]);
            snprintf(wanted, sizeof wanted, OURS "%s%s", around[k][0], around[k][1]);
            expect(only, OURS, message, wanted, sizeof OURS - 1);
            expect(only, "", message, wanted + sizeof OURS - 1, 0);
            snprintf(wanted, sizeof wanted, OURS DATE ID "%s%s", around[k][0], around[k][1]);
            expect(usual, OURS, message, wanted, sizeof OURS DATE ID - 1);
        }
    }
    /* The last field, without a line end; between fields; not what only looks like it. */
    expect(only, OURS, "From: a\nBcc: b", OURS "From: a\n", sizeof OURS - 1);
    expect(only, OURS, "Bcc: b", OURS, sizeof OURS - 1);
    expect(only, OURS, "X-Bcc: b\nBcc-X: b\nBc: b\nSubject: x\n Bcc: b\n\nBcc: b\n",
           OURS "X-Bcc: b\nBcc-X: b\nBc: b\nSubject: x\n Bcc: b\n\nBcc: b\n", sizeof OURS - 1);
    expect((struct wish){.keep_bcc = true}, OURS, "Bcc: b\n\n", OURS "Bcc: b\n\n", sizeof OURS - 1);
    /* As long as what is added in its place. */
    snprintf(message, sizeof message, "Bcc:%*s\n\n", (int)(sizeof DATE - 1 - 5), "b");
    expect((struct wish){.add = CONFIG_ADD_DATE}, OURS, message, OURS DATE "\n",
           sizeof OURS DATE - 1);
}

Test(submission, wants_an_author)
{
    static const struct {
        const char *message;
        bool has;
    } cases[] = {{"From: a\n\n", true},
                 {"To: a\nfrom \t:\n\n", true},
                 {"", false},
                 {"\nFrom: a\n", false},
                 {"text\nFrom: a\n", false},
                 {"To: a\n From: b\n\n", false},
                 {"To: a\n\nFrom: a\n", false},
                 {"From a@b Mon\nTo: a\n\n", false},
                 {"Froms: a\n\n", false},
                 {"Resent-From: a\n\n", false}};

    for (size_t i = 0; i < COUNT(cases); i++)
        for (int login = 0; login < 2; login++) {
            const struct wish w = {.from = true, .stranger = login == 0, .memory = 4096};
            const struct fixed f = fix(w, SPAN(OURS), span_of(cases[i].message));

            cr_expect_eq(f.result, cases[i].has ? SUBMISSION_FINE : SUBMISSION_REFUSED, "%s",
                         cases[i].message);
            cr_expect_eq(f.head, sizeof OURS - 1);
        }
}

/* `n` octets of fields, with `last` behind them, and a text. */
static struct span long_header(char *room, size_t n, const char *last)
{
    struct text t = {.p = room, .cap = n + 100};

    while (t.n < n) {
        const size_t piece = n - t.n < 80 ? n - t.n : 50;
        const size_t end = t.n + piece - 1;

        text_adds(&t, t.n % 3 == 0 && t.n > 0 ? " x" : "X:");
        while (t.n < end)
            text_addc(&t, 'x');
        text_addc(&t, '\n');
    }
    text_adds(&t, last);
    text_adds(&t, "\nBcc: this is text\n");
    return text_span(&t);
}

/* A header's end, or a field, where one look ends and another begins. */
Test(submission, has_long_headers)
{
    static char room[2 * 1024 * 1024];
    const char last[] = "Bcc: b,\n c\nFrom: a\n";
    const size_t kept = strlen("From: a\n"), text = strlen("\nBcc: this is text\n");

    for (size_t before = 64 * 1024 - 40; before < 64 * 1024 + 4; before++) {
        struct span m = long_header(room, before, last);

        for (int in_file = 0; in_file < 2; in_file++) {
            const struct fixed f =
                fix((struct wish){.from = true, .memory = in_file ? 0 : 1 << 20}, SPAN(OURS), m);

            cr_expect_eq(f.result, SUBMISSION_FINE, "%zu", before);
            cr_expect_eq(f.message.n, sizeof OURS - 1 + before + kept + text, "%zu", before);
            cr_expect_eq(memcmp(got + sizeof OURS - 1, room, before), 0);
            cr_expect_span(span_from(f.message, sizeof OURS - 1 + before),
                           "From: a\n\nBcc: this is text\n", "behind it");
        }
    }
    for (size_t more = 0; more < 2; more++) {
        const size_t before = SUBMISSION_HEADER_MAX - sizeof last + more * 40;
        const struct fixed f = fix(usual, SPAN(OURS), long_header(room, before, last));

        cr_expect_eq(f.result, more ? SUBMISSION_TOO_LONG : SUBMISSION_FINE);
        cr_expect_eq(f.message.n, more ? sizeof OURS - 1 + before + sizeof last - 1 + text
                                       : sizeof OURS DATE ID - 1 + before + kept + text);
        cr_expect_eq(f.head, more ? sizeof OURS - 1 : sizeof OURS DATE ID - 1);
    }
    /* One line that does not end is no field, and no name. */
    memset(room, 'x', 300 * 1024);
    cr_expect_eq(
        fix((struct wish){.add = 0}, SPAN(OURS "\n"), (struct span){.p = room, .n = 300 * 1024})
            .result,
        SUBMISSION_FINE);
}

Test(submission, needs_memory)
{
    struct config c = {.add_header = BOTH, .smtp = {.hostname = SPAN("mx")}};
    struct smtp_session session = {.authenticated = true};
    struct head_facts f = {.config = &c, .session = &session, .id = SPAN("abc")};
    struct spool spool = {.buffer = buffer, .cap = BUFFER, .memory = 4096, .dir = "/tmp"};
    struct arena a = {.base = arena_room, .cap = 64 * 1024 + 100};
    struct text message;
    size_t head = 0;

    cr_assert(spool_open(&spool, 0));
    message = TEXT(buffer);
    text_adds(&message, "Bcc: b\n\n");
    spool_add(&spool, message.n);
    cr_assert_geq(spool_finish(&spool), 0);
    cr_expect_eq(submission_fix(&f, &spool, &head, &a), SUBMISSION_NO_ROOM);
    cr_expect_eq(a.used, 0);
    a.cap = 1000;
    cr_expect_eq(submission_fix(&f, &spool, &head, &a), SUBMISSION_NO_ROOM);
    cr_expect_eq(spool.size, 8);
    cr_expect_eq(head, 0);
    spool_close(&spool);
}

Test(submission, fields_of_a_header)
{
    static const struct {
        const char *bytes;
        const char *fields[3];
        const char *rest;
    } cases[] = {
        {"", {NULL}, ""},
        {"\nx", {NULL}, "\nx"},
        {"\r\nx", {NULL}, "\r\nx"},
        {"A: b\r\n\r\nx", {"A: b\r\n"}, "\r\nx"},
        {"A: b\n c\n\td\nE:\n\nF: g\n", {"A: b\n c\n\td\n", "E:\n"}, "\nF: g\n"},
        {"A:\n \n\nx", {"A:\n \n"}, "\nx"},
        {" A: b\n", {NULL}, " A: b\n"},
        {"A: b\nno field\nC: d\n", {"A: b\n"}, "no field\nC: d\n"},
        {"A: b\nFrom x\nC: d\n", {"A: b\n"}, "From x\nC: d\n"},
        {"From x\nC: d\n", {NULL}, "From x\nC: d\n"},
        {"A: b\nC", {"A: b\n"}, "C"},
        {"A: b\nC :d", {"A: b\n", "C :d"}, ""},
        {"A\t: b\n: c\n", {"A\t: b\n"}, ": c\n"},
        {"A\xc3: b\n", {NULL}, "A\xc3: b\n"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span left = guarded(cases[i].bytes, strlen(cases[i].bytes)), field;

        for (size_t k = 0; k < 3 && cases[i].fields[k] != NULL; k++) {
            cr_expect(smtp_header_next(&left, &field), "%s", cases[i].bytes);
            cr_expect_span(field, cases[i].fields[k], cases[i].bytes);
        }
        cr_expect_not(smtp_header_next(&left, &field), "%s", cases[i].bytes);
        cr_expect_span(left, cases[i].rest, cases[i].bytes);
    }
}

Test(submission, names_of_fields)
{
    static const struct {
        const char *field;
        bool is;
    } cases[] = {{"Bcc:", true},   {"BCC: x\n", true},  {"bcc \t :x", true}, {"Bcc", false},
                 {"Bcc ", false},  {"Bcc x:", false},   {"Bc:", false},      {"", false},
                 {"Bccc:", false}, {"X-Bcc: x", false}, {" Bcc: x", false},  {"Bcc\n:", false}};

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(smtp_header_is(guarded(cases[i].field, strlen(cases[i].field)), SPAN("Bcc")),
                     cases[i].is, "%s", cases[i].field);
    cr_expect_eq(smtp_header_mark(SPAN("From a\nB: c\n")), 7);
    cr_expect_eq(smtp_header_mark(SPAN(">From a\r\nB: c\r\n")), 9);
    cr_expect_eq(smtp_header_mark(SPAN("From: a\nB: c\n")), 0);
    cr_expect_eq(smtp_header_mark(SPAN("From a\ntext\n")), 0);
    cr_expect_eq(smtp_header_mark(SPAN("From a\n\n")), 0);
    cr_expect_eq(smtp_header_mark(SPAN("From a")), 0);
    cr_expect_eq(smtp_header_mark(SPAN("")), 0);
    cr_expect_eq(smtp_header_mark(SPAN("From : b\n")), 0);
}
