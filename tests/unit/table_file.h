/* Files in memory as tables, and what a session finds in them. */
#ifndef SMTPIN_TESTS_TABLE_FILE_H
#define SMTPIN_TESTS_TABLE_FILE_H

#include "adapters/table.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define NOBODY SPAN("nobody@example.org")

/* A file in memory, and a table of it. */
struct file {
    int fd;
    char source[64];
};

static inline struct file file_of(const char *kind, const char *bytes, size_t n)
{
    struct file f = {.fd = memfd_create("table", MFD_CLOEXEC)};

    cr_assert(f.fd >= 0);
    for (size_t at = 0; at < n;) {
        const ssize_t put = write(f.fd, bytes + at, n - at);

        cr_assert(put > 0);
        at += (size_t)put;
    }
    snprintf(f.source, sizeof f.source, "%s:/proc/self/fd/%d", kind, f.fd);
    return f;
}

/* As if it had been written an hour ago, and moved into place. */
static inline void make_old(const struct file *f)
{
    struct timespec times[2];

    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= 3600;
    times[1] = times[0];
    cr_assert_eq(futimens(f->fd, times), 0);
}

static inline struct file old_text(const char *text)
{
    const struct file f = file_of("text", text, strlen(text));

    make_old(&f);
    return f;
}

/* What a new session finds. value: TABLE_VALUE_MAX octets; or NULL. */
static enum table_result ask(const char *source, const struct span *key, size_t n,
                             bool case_matters, size_t *which, struct text *value,
                             const char **wrong)
{
    static char ignored[TABLE_VALUE_MAX];
    struct text none = TEXT(ignored);
    struct table t;
    enum table_result result;
    size_t number = 0;

    table_open(&t, span_of(source));
    result = table_find(&t, key, n, case_matters, which == NULL ? &number : which,
                        value == NULL ? &none : value);
    cr_expect_eq(t.wrong != NULL, result == TABLE_FAILED);
    if (wrong != NULL)
        *wrong = t.wrong;
    table_close(&t);
    return result;
}

static inline bool is_found(const char *source, struct span key, const char *expected)
{
    char room[TABLE_VALUE_MAX];
    struct text value = TEXT(room);

    return ask(source, &key, 1, false, NULL, &value, NULL) == TABLE_FOUND &&
           span_eq(text_span(&value), span_of(expected));
}

static inline bool is_absent(const char *source, struct span key)
{
    return ask(source, &key, 1, false, NULL, NULL, NULL) == TABLE_NOT_FOUND;
}

static inline void expect_failed(const char *source, struct span key, const char *why)
{
    const char *wrong = NULL;

    cr_expect_eq(ask(source, &key, 1, false, NULL, NULL, &wrong), TABLE_FAILED, "%s", why);
    cr_expect(wrong != NULL && strstr(wrong, why) != NULL, "expected \"%s\", got \"%s\"", why,
              wrong);
}

/* All entries, "line:key=value;", or why not. */
static char walked_room[64 * 1024];
static struct text walked;

static inline bool keep_entry(void *context, struct span key, struct span value, unsigned line)
{
    (void)context;
    text_addn(&walked, line, 1);
    text_addc(&walked, ':');
    text_add(&walked, key);
    text_addc(&walked, '=');
    text_add(&walked, value);
    text_addc(&walked, ';');
    return true;
}

static inline bool walk(const char *source)
{
    struct table t;
    unsigned line = 0;
    bool good;

    walked = TEXT(walked_room);
    table_open(&t, span_of(source));
    good = table_walk(&t, keep_entry, NULL, &line);
    cr_expect_eq(good, t.wrong == NULL);
    if (!good) {
        walked.n = 0;
        text_addn(&walked, line, 1);
        text_addc(&walked, ' ');
        text_adds(&walked, t.wrong);
    }
    text_string(&walked);
    table_close(&t);
    return good;
}

#endif
