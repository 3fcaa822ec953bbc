/* Tables: what text files have in each line, whom they answer while somebody writes them, and files
 * that are none. */
#include "io/clock.h"
#include "table_file.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

static const char old_entry[] =
    "a@example.org OK\nb@example.org 550 No\n@example.org c@example.com\n";

Test(table, text_line_by_line)
{
    static const struct {
        const char *text, *entries;
    } tables[] = {
        {"# nothing\n\n  \t\n", ""},
        {"a@b OK\n", "1:a@b=OK;"},
        {"a@b OK", "1:a@b=OK;"},
        {"a@b\n", "1:a@b=;"},
        {"a@b \t \n", "1:a@b=;"},
        {"a@b\t550  5.1.1 No \t\n", "1:a@b=550  5.1.1 No;"},
        {"a@b OK\r\n\r\n# c\r\nc@d x y\r\n", "1:a@b=OK;4:c@d=x y;"},
        {"# c\na@b x,\n  y,\n\tz\n\nc@d v\n", "2:a@b=x,  y,\tz;6:c@d=v;"},
        {"a@b x\n# c\n \n y\n", "1:a@b=x y;"},
        {"a@b x\n y", "1:a@b=x y;"},
        {"a@b x\n #y\n", "1:a@b=x;"},
        {"a@b x #y\n", "1:a@b=x #y;"},
        {"#a@b x\n", ""},
        {"\"a b\"@c OK\n", "1:\"a b\"@c=OK;"},
        {"\"a\\\" b\"@c OK\n", "1:\"a\\\" b\"@c=OK;"},
        {"A@B Value\na@b v\n", "1:A@B=Value;2:a@b=v;"},
        {"b\xc3\xbc@b OK\n", "1:b\xc3\xbc@b=OK;"},
        {" a@b OK\n", "1 begins with a blank, but there is no line before it to continue"},
        {"# c\n\n\ta@b OK\n", "3 begins with a blank, but there is no line before it to continue"},
        {"a@b OK\nc@d \x01\n", "2 has a control character"},
        {"a@b OK\nc@d x\ry\n", "2 has a control character"},
        {"a@b OK\nc@d x\n \x7f\n", "2 has a control character"},
        {"\xef\xbb\xbf"
         "a@b OK\n",
         "1 begins with a byte order mark: save it without"},
        {"\xef\xbb\xbf# c\na@b OK\n", "1 begins with a byte order mark: save it without"},
    };

    for (size_t i = 0; i < COUNT(tables); i++) {
        const struct file f = old_text(tables[i].text);

        walk(f.source);
        cr_expect_str_eq(walked.p, tables[i].entries, "%s: %s", tables[i].text, walked.p);
        close(f.fd);
    }
}

/* Lines, entries and values, each at its limit and above it. */
Test(table, text_lengths)
{
    static char text[3 * TABLE_LINE_MAX + TABLE_VALUE_MAX];
    static const struct {
        const char *before;
        size_t n; /* so many x */
        const char *after, *wrong;
    } tables[] = {
        {"a@b ", TABLE_VALUE_MAX, "\n", NULL},
        {"a@b ", TABLE_VALUE_MAX + 1, "\n", "has a value that is too long"},
        {"", TABLE_LINE_MAX, "\n", NULL},
        {"", TABLE_LINE_MAX + 1, "\n", "has a line that is too long"},
        {"", 2 * TABLE_LINE_MAX + 1, "\n", "has a line that is too long"},
        {"", TABLE_LINE_MAX - 1, "\n y\n", "has a line that is too long"},
        {"# ", 2 * TABLE_LINE_MAX - 3, "\n", NULL},
        {"# ", 2 * TABLE_LINE_MAX, "\n", "has a line that is too long"},
    };

    for (size_t i = 0; i < COUNT(tables); i++) {
        char expected[64];
        struct text t = TEXT(text);
        struct file f;

        text_adds(&t, "z@b OK\n");
        text_adds(&t, tables[i].before);
        memset(t.p + t.n, 'x', tables[i].n);
        t.n += tables[i].n;
        text_adds(&t, tables[i].after);
        f = old_text(text_string(&t));
        cr_expect_eq(walk(f.source), tables[i].wrong == NULL, "%zu: %s", i, walked.p);
        if (tables[i].wrong != NULL) {
            snprintf(expected, sizeof expected, "2 %s", tables[i].wrong);
            cr_expect_str_eq(walked.p, expected, "%zu: %s", i, walked.p);
            expect_failed(f.source, NOBODY, tables[i].wrong);
        } else {
            cr_expect(is_found(f.source, SPAN("z@b"), "OK"), "%zu", i);
            cr_expect(is_absent(f.source, NOBODY), "%zu", i);
        }
        close(f.fd);
    }
}

/* Wherever the buffer ends, the same entries are found. */
Test(table, text_larger_than_the_buffer)
{
    static char text[TABLE_TEXT_MAX + 2];
    const size_t line = strlen("# 0123456789abcdef\n");

    for (size_t extra = 0; extra < line; extra++) {
        struct text t = TEXT(text);
        struct file f;

        t.cap = 40 * 1024;
        text_addc(&t, '#');
        for (size_t i = 0; i < extra; i++)
            text_addc(&t, 'x');
        text_addc(&t, '\n');
        for (unsigned i = 0; !t.cut; i++) {
            text_adds(&t, "user");
            text_addn(&t, i, 6);
            text_adds(&t, "@b v\n");
        }
        f = old_text(text_string(&t));
        cr_expect(is_found(f.source, SPAN("user000000@b"), "v"));
        cr_expect(is_found(f.source, SPAN("user001021@b"), "v"));
        cr_expect(is_found(f.source, SPAN("user002000@b"), "v"));
        cr_expect(is_absent(f.source, SPAN("user009999@b")));
        close(f.fd);
    }
    memset(text, 'x', sizeof text);
    for (size_t at = 0; at < sizeof text; at += 1000)
        memcpy(text + at, "\n# ", 3);
    for (size_t n = TABLE_TEXT_MAX; n < sizeof text; n++) {
        const struct file f = file_of("text", text, n);

        make_old(&f);
        if (n == TABLE_TEXT_MAX)
            cr_expect(is_absent(f.source, NOBODY));
        else
            expect_failed(f.source, NOBODY, "is larger than 1 MiB");
        close(f.fd);
    }
}

Test(table, text_keys)
{
    static const char text[] = "Bob@Example.ORG b1\nbob@example.org b2\n@example.org all\n"
                               "bob+x@example.org x\n\"J D\"@example.org j\nexample.net d\n";
    static const struct {
        const char *key[3];
        bool case_matters;
        size_t which;
        const char *value; /* NULL: none is there */
    } questions[] = {
        {{"bob@example.org"}, false, 0, "b1"},
        {{"bob@example.org"}, true, 0, "b2"},
        {{"Bob@example.org"}, true, 0, "b1"},
        {{"BOB@example.org"}, true, 0, NULL},
        {{"@example.org"}, true, 0, "all"},
        {{"example.net"}, true, 0, "d"},
        /* The first key, whatever comes first in the file. */
        {{"bob+x@example.org", "bob@example.org", "@example.org"}, false, 0, "x"},
        {{"bob+y@example.org", "bob@example.org", "@example.org"}, false, 1, "b1"},
        {{"jim+y@example.org", "jim@example.org", "@example.org"}, false, 2, "all"},
        {{"jim+y@example.com", "jim@example.com", "@example.com"}, false, 0, NULL},
        {{"\"j d\"@example.org"}, false, 0, "j"},
        {{"bob@example.or"}, false, 0, NULL},
        {{""}, false, 0, NULL},
    };
    const struct file f = old_text(text);

    for (size_t i = 0; i < COUNT(questions); i++) {
        struct span key[3];
        char room[TABLE_VALUE_MAX];
        struct text value = TEXT(room);
        size_t n = 0, which = 9;

        for (; n < 3 && questions[i].key[n] != NULL; n++)
            key[n] = span_of(questions[i].key[n]);
        cr_expect_eq(ask(f.source, key, n, questions[i].case_matters, &which, &value, NULL),
                     questions[i].value == NULL ? TABLE_NOT_FOUND : TABLE_FOUND, "%zu", i);
        if (questions[i].value != NULL) {
            cr_expect_eq(which, questions[i].which, "%zu", i);
            cr_expect_span(text_span(&value), questions[i].value, questions[i].key[0]);
        }
    }
    close(f.fd);
}

/* How long ago it was written, milliseconds. */
static int64_t age_of(const struct file *f)
{
    struct stat st;

    cr_assert_eq(fstat(f->fd, &st), 0);
    return (int64_t)(clock_wall_micros() / 1000) - (int64_t)st.st_mtim.tv_sec * 1000 -
           st.st_mtim.tv_nsec / 1000000;
}

/* A file that was just written: what no later octet could change is an answer at once, everything
 * else when it has been at rest. */
Test(table, text_that_was_just_written, .timeout = 120)
{
    const struct span none_yet[] = {SPAN("x@example.org"), SPAN("b@example.org")};
    struct file f;
    int64_t age = TABLE_CHANGING;

    for (int times = 0; times < 20 && age >= TABLE_CHANGING; times++) {
        f = file_of("text", old_entry, strlen(old_entry));
        cr_expect(is_found(f.source, SPAN("a@example.org"), "OK"));
        cr_expect(is_found(f.source, SPAN("b@example.org"), "550 No"));
        age = age_of(&f);
        close(f.fd);
    }
    cr_expect_lt(age, TABLE_CHANGING, "nothing is waited for");
    f = file_of("text", old_entry, strlen(old_entry));
    cr_expect(is_found(f.source, SPAN("@example.org"), "c@example.com"));
    cr_expect_geq(age_of(&f), TABLE_CHANGING, "the last entry might have gone on");
    cr_assert_eq(pwrite(f.fd, "a", 1, 0), 1);
    cr_expect(is_absent(f.source, NOBODY));
    cr_expect_geq(age_of(&f), TABLE_CHANGING, "nobody might have come");
    cr_assert_eq(pwrite(f.fd, "a", 1, 0), 1);
    cr_expect_eq(ask(f.source, none_yet, 2, false, NULL, NULL, NULL), TABLE_FOUND);
    cr_expect_geq(age_of(&f), TABLE_CHANGING, "x might have come");
    cr_assert_eq(ftruncate(f.fd, 0), 0);
    expect_failed(f.source, NOBODY, "is empty");
    make_old(&f);
    expect_failed(f.source, NOBODY, "is empty");
    cr_expect_not(walk(f.source));
    cr_expect_str_eq(walked.p, "0 is empty");
    close(f.fd);
}

enum { RIGHT, WRONG, FAILED, ENDS };

/* In a process of its own: what a session hears that asks for Bob. */
static pid_t start_session(const struct file *f)
{
    static const char bob[] = "550 5.1.1 Bob has left";
    const struct span key[] = {SPAN("bob@example.org"), SPAN("@example.org")};
    const pid_t child = fork();
    char room[TABLE_VALUE_MAX];
    struct text value = TEXT(room);
    struct table t;
    enum table_result result;
    size_t which;

    cr_assert_geq(child, 0);
    if (child > 0)
        return child;
    table_open(&t, span_of(f->source));
    result = table_find(&t, key, COUNT(key), false, &which, &value);
    _exit(result == TABLE_FAILED                                              ? FAILED
          : result == TABLE_FOUND && span_eq(text_span(&value), span_of(bob)) ? RIGHT
                                                                              : WRONG);
}

/* An editor writes the first n octets, and a moment later the others: for each n, a session that
 * comes between. How each has ended; false: the moment was too long. */
static bool write_in_two_pieces(unsigned end[ENDS])
{
    static const char text[] = "a@example.org 550 No,\n really not\n# c\n@example.org OK\n"
                               "bob@example.org 550 5.1.1\n Bob has left\n";
    enum { LENGTH = sizeof text - 1 };
    struct file f[LENGTH];
    pid_t child[LENGTH];
    bool good = true;
    int status;

    memset(end, 0, ENDS * sizeof *end);
    for (size_t n = 1; n < LENGTH; n++) {
        f[n] = file_of("text", text, n);
        child[n] = start_session(&f[n]);
    }
    usleep(200 * 1000);
    for (size_t n = 1; n < LENGTH; n++) {
        cr_assert_eq(pwrite(f[n].fd, text + n, LENGTH - n, (off_t)n), (ssize_t)(LENGTH - n));
        good = good && age_of(&f[1]) < TABLE_CHANGING;
    }
    for (size_t n = 1; n < LENGTH; n++) {
        cr_assert_eq(waitpid(child[n], &status, 0), child[n]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) < ENDS);
        end[WEXITSTATUS(status)]++;
        close(f[n].fd);
    }
    return good;
}

Test(table, text_written_in_two_pieces, .timeout = 240)
{
    unsigned end[ENDS];
    int times = 0;

    while (!write_in_two_pieces(end) && times++ < 10)
        continue;
    cr_expect_eq(end[WRONG], 0, "%u", end[WRONG]);
    cr_expect_gt(end[RIGHT], 10, "%u, %u failed", end[RIGHT], end[FAILED]);
}

/* Nobody waits for ever. */
Test(table, text_that_is_written_all_the_time, .timeout = 60)
{
    const struct file f = file_of("text", old_entry, strlen(old_entry));
    const pid_t writer = fork();
    int status;

    if (writer == 0)
        for (;;) {
            if (pwrite(f.fd, "a", 1, 0) != 1)
                _exit(1);
            usleep(20 * 1000);
        }
    expect_failed(f.source, NOBODY, "is being written: write another file and move it into place");
    kill(writer, SIGKILL);
    cr_expect_eq(waitpid(writer, &status, 0), writer);
    close(f.fd);
}

/* A session sees one table, or none. */
Test(table, text_changed_in_a_session)
{
    static const char *const changes[] = {"", "z", "a@example.org OK\n"};
    const struct span key = SPAN("a@example.org");

    for (size_t i = 0; i < COUNT(changes); i++) {
        const struct file f = old_text(old_entry);
        char room[TABLE_VALUE_MAX];
        struct text value = TEXT(room);
        struct table t;
        size_t which;

        table_open(&t, span_of(f.source));
        for (int again = 0; again < 2; again++)
            cr_expect_eq(table_find(&t, &key, 1, false, &which, &value), TABLE_FOUND);
        if (i == 0)
            cr_assert_eq(ftruncate(f.fd, 0), 0);
        cr_assert_eq(pwrite(f.fd, changes[i], strlen(changes[i]), 0), (ssize_t)strlen(changes[i]));
        for (int again = 0; again < 2; again++) {
            cr_expect_eq(table_find(&t, &key, 1, false, &which, &value), TABLE_FAILED);
            cr_expect_str_eq(t.wrong, "was changed in its place");
            make_old(&f);
        }
        table_close(&t);
        close(f.fd);
    }
}

/* ---- Files */

static char directory[] = "/tmp/smtpin-table.XXXXXX";
static char path[64], source[72];

static void make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/table", directory);
}

static void remove_directory(void)
{
    unlink(path);
    rmdir(directory);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    cr_assert_not_null(f);
    cr_assert_geq(fputs(text, f), 0);
    fclose(f);
}

Test(table, files_that_are_none, .init = make_directory, .fini = remove_directory, .timeout = 20)
{
    static const char *const kinds[] = {"cdb", "text", "CDB", "Text"};

    for (size_t i = 0; i < COUNT(kinds); i++) {
        snprintf(source, sizeof source, "%s:%s", kinds[i], path);
        expect_failed(source, NOBODY, "No such file or directory");
        cr_expect_not(walk(source));
        cr_assert_eq(mkfifo(path, 0600), 0);
        expect_failed(source, NOBODY, "is not a regular file");
        unlink(path);
        cr_assert_eq(mkdir(path, 0700), 0);
        expect_failed(source, NOBODY, "is not a regular file");
        rmdir(path);
        cr_assert_eq(symlink("/dev/null", path), 0);
        expect_failed(source, NOBODY, "is not a regular file");
        unlink(path);
        cr_assert_eq(symlink(path, path), 0);
        expect_failed(source, NOBODY, "Too many levels of symbolic links");
        unlink(path);
        if (geteuid() != 0) {
            write_file(path, "a@b OK\n");
            cr_assert_eq(chmod(path, 0), 0);
            expect_failed(source, NOBODY, "Permission denied");
            unlink(path);
        }
    }
}

Test(table, a_failure_lasts_for_the_session, .init = make_directory, .fini = remove_directory)
{
    const struct span key = SPAN("a@b");
    char room[TABLE_VALUE_MAX];
    struct text value = TEXT(room);
    struct table t;
    size_t which;
    unsigned line;

    snprintf(source, sizeof source, "text:%s", path);
    table_open(&t, span_of(source));
    cr_expect_eq(table_find(&t, &key, 1, false, &which, &value), TABLE_FAILED);
    write_file(path, "a@b OK\nc@d OK\n");
    cr_expect_eq(table_find(&t, &key, 1, false, &which, &value), TABLE_FAILED);
    cr_expect_not(table_walk(&t, keep_entry, NULL, &line));
    cr_expect_str_eq(t.wrong, "No such file or directory");
    table_close(&t);
    cr_expect(is_found(source, key, "OK"), "the next one's is new");
}

/* A file that is replaced stays what it was for those that have it open. */
Test(table, a_session_sees_one_file, .init = make_directory, .fini = remove_directory)
{
    const struct span key = SPAN("a@b");
    char other[80], room[TABLE_VALUE_MAX];
    struct text value = TEXT(room);
    struct table t;
    size_t which;

    snprintf(source, sizeof source, "text:%s", path);
    snprintf(other, sizeof other, "%s.new", path);
    write_file(path, "a@b old\nc@d OK\n");
    table_open(&t, span_of(source));
    cr_expect_eq(table_find(&t, &key, 1, false, &which, &value), TABLE_FOUND);
    write_file(other, "a@b new\nc@d OK\n");
    cr_assert_eq(rename(other, path), 0);
    cr_expect_eq(table_find(&t, &key, 1, false, &which, &value), TABLE_FOUND);
    cr_expect_span(text_span(&value), "old", "this session's");
    table_close(&t);
    cr_expect(is_found(source, key, "new"));
}

Test(table, cut_while_it_is_open, .timeout = 20)
{
    static char bytes[3000];
    const struct span key = NOBODY;
    char room[TABLE_VALUE_MAX];
    struct text value = TEXT(room);
    struct table t;
    struct file f;
    size_t which;

    /* One slot for every key, behind the records; nobody's is empty. */
    for (size_t i = 0; i < 2048; i += 8) {
        bytes[i + 1] = 9;
        bytes[i + 4] = 1;
    }
    f = file_of("cdb", bytes, sizeof bytes);
    table_open(&t, span_of(f.source));
    cr_expect_eq(table_find(&t, &key, 1, false, &which, &value), TABLE_NOT_FOUND);
    cr_assert_eq(ftruncate(f.fd, 2304), 0);
    cr_expect_eq(table_find(&t, &key, 1, false, &which, &value), TABLE_FAILED);
    cr_expect(strstr(t.wrong, "is cut short") != NULL);
    table_close(&t);
    close(f.fd);
}
