/* cdb files: held against libtinycdb, cut and altered at every octet, and made with malice. */
#include "cdb_library.h"
#include "cdb_maker.h"
#include "table_file.h"

#include <stdlib.h>

static struct maker made;

static struct file cdb_file(void)
{
    return file_of("cdb", made.bytes, made.n);
}

/* A small file that has what files have: a key twice, no value, a hash table with two keys. */
static void make_small(void)
{
    maker_start(&made);
    maker_add(&made, SPAN("a@example.org"), SPAN("OK"));
    maker_add(&made, SPAN("b@example.org"), SPAN("450 4.2.1 Later"));
    maker_add(&made, SPAN("a@example.org"), SPAN("550 never seen"));
    maker_add(&made, SPAN("@example.org"), SPAN(""));
    maker_add(&made, SPAN("@example.com"), SPAN("x@example.org, y@example.org"));
    maker_end(&made);
}

/* Does it say what make_small has put there, and nothing else? */
static bool is_small(const char *source)
{
    return is_found(source, SPAN("a@example.org"), "OK") &&
           is_found(source, SPAN("b@example.org"), "450 4.2.1 Later") &&
           is_found(source, SPAN("@example.org"), "") &&
           is_found(source, SPAN("@example.com"), "x@example.org, y@example.org") &&
           is_absent(source, NOBODY) && is_absent(source, SPAN("@example.net"));
}

Test(cdb, first_of_several_keys)
{
    const struct span first[] = {NOBODY, SPAN("b@example.org"), SPAN("a@example.org")};
    const struct span second[] = {NOBODY, SPAN("@example.org")};
    char room[TABLE_VALUE_MAX];
    struct text value = TEXT(room);
    struct file f;
    struct table t;
    size_t which = 9;

    make_small();
    f = cdb_file();
    cr_assert(is_small(f.source));
    table_open(&t, span_of(f.source));
    cr_expect_eq(t.fd, -1, "nothing is opened yet");
    cr_assert_eq(table_find(&t, first, COUNT(first), false, &which, &value), TABLE_FOUND);
    cr_expect_eq(which, 1);
    cr_expect_span(text_span(&value), "450 4.2.1 Later", "the first that is there");
    cr_expect(fcntl(t.fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(table_find(&t, second, COUNT(second), false, &which, &value), TABLE_FOUND);
    cr_expect_eq(which, 1);
    cr_expect_eq(value.n, 0, "nothing of an earlier answer");
    table_close(&t);
    cr_expect_eq(t.fd, -1);
    cr_expect(walk(f.source), "%s", walked.p);
    cr_expect_str_eq(walked.p, "0:a@example.org=OK;0:b@example.org=450 4.2.1 Later;"
                               "0:a@example.org=550 never seen;0:@example.org=;"
                               "0:@example.com=x@example.org, y@example.org;");
    close(f.fd);
}

/* Random keys of few letters: some come twice, some share a hash table or a hash. */
static struct span random_text(char *room, size_t most)
{
    const size_t n = (size_t)random() % (most + 1);

    for (size_t i = 0; i < n; i++)
        room[i] = "ab.@x"[random() % 5];
    return (struct span){.p = room, .n = n};
}

enum { RANDOM_RECORDS = 400, RANDOM_VALUE = 600 };

static void expect_as_library(const struct file *f, struct span key)
{
    char ours_room[TABLE_VALUE_MAX], theirs_room[TABLE_VALUE_MAX];
    struct text ours = TEXT(ours_room), theirs = TEXT(theirs_room);
    const bool there = library_find(f->fd, key, &theirs);

    cr_assert_eq(ask(f->source, &key, 1, false, NULL, &ours, NULL),
                 there ? TABLE_FOUND : TABLE_NOT_FOUND, "%.*s", SPAN_FORMAT(key));
    cr_assert(!there || span_eq(text_span(&ours), text_span(&theirs)), "%.*s", SPAN_FORMAT(key));
}

Test(cdb, as_libtinycdb_reads_it, .timeout = 120)
{
    static char keys[RANDOM_RECORDS][16], values[RANDOM_RECORDS][RANDOM_VALUE];
    static struct span key[RANDOM_RECORDS], value[RANDOM_RECORDS];
    char other[16];
    unsigned seen = 0;

    if (!library_load())
        cr_skip_test("no libcdb (Debian: libcdb-dev)");
    srandom(1);
    for (unsigned round = 0; round < 60; round++) {
        const size_t n = (size_t)random() % (round < 20 ? 8 : RANDOM_RECORDS);
        const struct file f = file_of("cdb", "", 0);

        for (size_t i = 0; i < n; i++) {
            key[i] = random_text(keys[i], 1 + round % 15);
            value[i] = random_text(values[i], round % 2 == 0 ? 8 : RANDOM_VALUE);
        }
        cr_assert(library_make(f.fd, key, value, n));
        for (size_t i = 0; i < n; i++)
            expect_as_library(&f, key[i]);
        for (size_t i = 0; i < 200; i++)
            expect_as_library(&f, random_text(other, 15));
        cr_assert(walk(f.source), "%s", walked.p);
        seen += (unsigned)span_count(text_span(&walked), ';');
        close(f.fd);
    }
    cr_expect_gt(seen, 5000);
}

Test(cdb, cut_anywhere)
{
    struct file f;

    make_small();
    for (size_t n = 0; n < made.n; n++) {
        f = file_of("cdb", made.bytes, n);
        for (size_t i = 0; i < made.records; i++) {
            const char *const record = made.bytes + made.place[i];
            const struct span key = {.p = record + 8, .n = (size_t)record[0]};

            expect_failed(f.source, key, "is cut short");
        }
        expect_failed(f.source, NOBODY, "is cut short");
        cr_expect_not(walk(f.source));
        close(f.fd);
    }
}

/* Whatever is altered: what table_walk calls sound gives every answer that it should. */
Test(cdb, altered_anywhere, .timeout = 120)
{
    static const unsigned char with[] = {1, 2, 8, 0x80, 0xff};
    const struct span key = NOBODY;
    unsigned sound = 0, damaged = 0;

    make_small();
    for (size_t at = 0; at < made.n; at++)
        for (size_t i = 0; i < COUNT(with); i++) {
            struct file f;

            made.bytes[at] = (char)(made.bytes[at] ^ with[i]);
            f = cdb_file();
            if (!walk(f.source)) {
                damaged++;
                ask(f.source, &key, 1, false, NULL, NULL, NULL);
            } else if (strstr(walked.p, "0:a@example.org=OK;0:b@example.org=450 4.2.1 Later;"
                                        "0:a@example.org=550 never seen;0:@example.org=;"
                                        "0:@example.com=x@example.org, y@example.org;") != NULL) {
                sound++;
                cr_expect(is_small(f.source), "octet %zu", at);
            } else {
                /* The octet is a value's. */
                cr_expect(at >= MAKER_HEADER && at < made.records_end, "octet %zu", at);
            }
            made.bytes[at] = (char)(made.bytes[at] ^ with[i]);
            close(f.fd);
        }
    cr_expect_gt(damaged, 500);
    cr_expect_gt(sound, 500); /* pointers of empty tables, hashes in empty slots */
}

/* One hash table of `slots` slots for all keys of the first record's hash, each slot with it. */
static struct file full_table(struct span key, struct span value, uint32_t slots, struct span asked)
{
    const uint32_t hash = maker_hash(asked);

    maker_start(&made);
    maker_add(&made, key, value);
    made.records_end = made.n;
    maker_set(&made, 8 * (hash % 256), (uint32_t)made.n);
    maker_set(&made, 8 * (hash % 256) + 4, slots);
    for (uint32_t i = 0; i < slots; i++) {
        maker_set(&made, made.n, hash);
        maker_set(&made, made.n + 4, MAKER_HEADER);
        made.n += 8;
    }
    return cdb_file();
}

Test(cdb, chains_end)
{
    struct file f = full_table(SPAN("x"), SPAN("v"), 60, NOBODY);

    cr_expect(is_absent(f.source, NOBODY), "a table without an empty slot");
    cr_expect_not(walk(f.source), "its record is never found");
    close(f.fd);
    f = full_table(SPAN("x"), SPAN("v"), CDB_PROBES_MAX, NOBODY);
    cr_expect(is_absent(f.source, NOBODY));
    close(f.fd);
    f = full_table(SPAN("x"), SPAN("v"), CDB_PROBES_MAX + 1, NOBODY);
    expect_failed(f.source, NOBODY, "thousands of entries with one key");
    close(f.fd);
    f = full_table(NOBODY, SPAN("v"), CDB_PROBES_MAX + 1, NOBODY);
    cr_expect(is_found(f.source, NOBODY, "v"), "it comes first");
    close(f.fd);
}

Test(cdb, numbers_out_of_nowhere)
{
    static const uint32_t number[] = {1,          7,          8,          2047,       65535,
                                      0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 0xfffff7f8};
    const size_t slot = MAKER_HEADER + 8 + NOBODY.n + 1;
    struct file f;

    for (size_t i = 0; i < COUNT(number); i++)
        for (int what = 0; what < 3; what++) {
            const size_t at = what < 2 ? MAKER_HEADER + 4 * (size_t)what : slot + 4;

            close(full_table(NOBODY, SPAN("v"), 1, NOBODY).fd);
            if (number[i] == 1 && what == 1)
                continue; /* that is right */
            maker_set(&made, at, number[i]);
            f = cdb_file();
            cr_expect_not(is_found(f.source, NOBODY, "v"), "%d: %u", what, number[i]);
            cr_expect_not(walk(f.source), "%d: %u", what, number[i]);
            if (number[i] > 1000)
                expect_failed(f.source, NOBODY, "is damaged");
            close(f.fd);
        }
}

Test(cdb, that_is_empty_or_unfinished)
{
    static const char zeros[MAKER_HEADER + 1];
    struct file f = file_of("cdb", zeros, MAKER_HEADER);

    cr_expect(is_absent(f.source, NOBODY), "a table without keys");
    cr_expect(walk(f.source));
    cr_expect_str_eq(walked.p, "");
    close(f.fd);
    f = file_of("cdb", zeros, sizeof zeros);
    expect_failed(f.source, NOBODY, "is not complete");
    close(f.fd);
    f = file_of("cdb", "bob@example.org OK\n", 19);
    expect_failed(f.source, NOBODY, "is not a cdb");
    close(f.fd);
}

/* "cdb -c -0" leaves of a record nothing but its length; a record of which nothing leads is damage.
 */
Test(cdb, records_that_no_look_up_finds)
{
    struct file f;

    maker_start(&made);
    maker_add(&made, SPAN(""), (struct span){.p = "\0\0\0\0", .n = 4});
    maker_add(&made, NOBODY, SPAN("OK"));
    made.hash[0] = made.hash[1];
    made.place[0] = made.place[1];
    made.records = 1;
    maker_end(&made);
    f = cdb_file();
    cr_expect(walk(f.source), "%s", walked.p);
    cr_expect_str_eq(walked.p, "0:nobody@example.org=OK;");
    close(f.fd);
    made.bytes[MAKER_HEADER + 8] = 'x';
    f = cdb_file();
    cr_expect_not(walk(f.source));
    cr_expect_str_eq(walked.p, "0 is damaged");
    close(f.fd);
}

Test(cdb, values)
{
    static char longest[TABLE_VALUE_MAX + 1];
    const struct span key = NOBODY;
    const struct {
        struct span value;
        const char *is; /* NULL: it fails */
    } values[] = {
        {SPAN(" \t\r\n OK \r\n\r\n"), "OK"},
        {SPAN(" \r\n"), ""},
        {SPAN("a\tb  c"), "a\tb  c"},
        {SPAN("550 no\r\n250 yes"), NULL},
        {SPAN("OK\0"), NULL},
        {SPAN(" \x07."), NULL},
        {SPAN("\0"), NULL},
        {SPAN("a\x7f"), NULL},
        {SPAN("b\xc3\xbc"), "b\xc3\xbc"},
    };
    struct file f;

    for (size_t i = 0; i < COUNT(values); i++) {
        maker_start(&made);
        maker_add(&made, NOBODY, values[i].value);
        maker_end(&made);
        f = cdb_file();
        cr_expect_eq(walk(f.source), values[i].is != NULL, "%zu", i);
        if (values[i].is != NULL)
            cr_expect(is_found(f.source, NOBODY, values[i].is), "%zu", i);
        else
            expect_failed(f.source, NOBODY, "control character");
        close(f.fd);
    }
    memset(longest, 'v', sizeof longest);
    for (size_t n = TABLE_VALUE_MAX; n <= sizeof longest; n++) {
        maker_start(&made);
        maker_add(&made, NOBODY, (struct span){.p = longest, .n = n});
        maker_end(&made);
        f = cdb_file();
        cr_expect_eq(walk(f.source), n == TABLE_VALUE_MAX);
        if (n == TABLE_VALUE_MAX)
            cr_expect_eq(ask(f.source, &key, 1, false, NULL, NULL, NULL), TABLE_FOUND);
        else
            expect_failed(f.source, NOBODY, "a value that is too long");
        close(f.fd);
    }
}

Test(cdb, keys_of_any_length)
{
    static char longest[CDB_KEY_MAX + 1];
    struct file f;

    memset(longest, 'k', sizeof longest);
    for (size_t n = 0; n <= sizeof longest; n += n < 20 || n >= CDB_KEY_MAX ? 1 : 251) {
        const struct span key = {.p = longest, .n = n};

        maker_start(&made);
        maker_add(&made, key, SPAN("v"));
        maker_end(&made);
        f = cdb_file();
        cr_expect_eq(walk(f.source), n <= CDB_KEY_MAX, "%zu", n);
        if (n <= CDB_KEY_MAX)
            cr_expect(is_found(f.source, key, "v"), "%zu", n);
        else
            expect_failed(f.source, key, "too long");
        close(f.fd);
    }
}
