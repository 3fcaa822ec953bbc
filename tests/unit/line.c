#include "smtp/line.h"
#include "unit.h"

struct outcome {
    enum smtp_line_result result;
    const char *line;
};

/* Feeds `bytes` in pieces of `step`, as serve.c does: what is not used is offered again. */
static void feed(const char *bytes, size_t n, size_t step, const struct outcome *expected,
                 size_t count)
{
    struct smtp_line l = {0};
    size_t start = 0, end = 0, seen = 0;

    while (end < n || start < end) {
        const struct span in = guarded(bytes + start, end - start);
        enum smtp_line_result result;
        struct span line = {0};
        size_t used;

        result = smtp_line_scan(&l, in, &line, &used);
        cr_assert_leq(used, in.n);
        start += used;
        if (result == SMTP_LINE_MORE) {
            cr_expect_leq(end - start, SMTP_LINE_MAX, "no more than a line is ever kept");
            if (end == n)
                break;
            end += n - end < step ? n - end : step;
            continue;
        }
        cr_assert_lt(seen, count, "one outcome too many at step %zu", step);
        cr_expect_eq(result, expected[seen].result, "outcome %zu at step %zu", seen, step);
        if (result == SMTP_LINE_READY && expected[seen].line != NULL)
            cr_expect_span(line, expected[seen].line, "line");
        seen++;
        if (result == SMTP_LINE_BARE_CR || result == SMTP_LINE_BARE_LF)
            break;
    }
    cr_expect_eq(seen, count, "outcomes at step %zu", step);
}

static void feed_all_ways(const char *bytes, size_t n, const struct outcome *expected, size_t count)
{
    static const size_t steps[] = {1, 2, 3, 7, 4096, 1 << 20};

    for (size_t i = 0; i < COUNT(steps); i++)
        feed(bytes, n, steps[i], expected, count);
}

#define FEED(bytes, ...)                                                                           \
    do {                                                                                           \
        static const struct outcome expected_[] = {__VA_ARGS__};                                   \
        feed_all_ways(bytes, sizeof(bytes) - 1, expected_, COUNT(expected_));                      \
    } while (0)

Test(line, only_crlf_ends_a_line)
{
    FEED("NOOP\r\n", {SMTP_LINE_READY, "NOOP"});
    FEED("\r\n", {SMTP_LINE_READY, ""});
    FEED("A\r\nB\r\nC", {SMTP_LINE_READY, "A"}, {SMTP_LINE_READY, "B"});
    FEED("A\n", {SMTP_LINE_BARE_LF, NULL});
    FEED("\nA\r\n", {SMTP_LINE_BARE_LF, NULL});
    FEED("A\rB\r\n", {SMTP_LINE_BARE_CR, NULL});
    FEED("A\r\r\n", {SMTP_LINE_BARE_CR, NULL});
    FEED("A\r\nB\n", {SMTP_LINE_READY, "A"}, {SMTP_LINE_BARE_LF, NULL});
}

Test(line, long_lines_cost_no_memory)
{
    enum { LENGTH = 1 << 17 };
    static char bytes[LENGTH];
    static const struct outcome expected[] = {{SMTP_LINE_TOO_LONG, NULL}, {SMTP_LINE_READY, "OK"}};
    static const size_t steps[] = {1000, 4096, LENGTH};

    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes + sizeof bytes - 6, "\r\nOK\r\n", 6);
    for (size_t i = 0; i < COUNT(steps); i++)
        feed(bytes, sizeof bytes, steps[i], expected, 2);
}

Test(line, the_limit_is_exact)
{
    static char bytes[SMTP_LINE_MAX + 1];
    static const struct outcome fits[] = {{SMTP_LINE_READY, NULL}};
    static const struct outcome too_long[] = {{SMTP_LINE_TOO_LONG, NULL}};

    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes + SMTP_LINE_MAX - 2, "\r\n", 2);
    feed_all_ways(bytes, SMTP_LINE_MAX, fits, 1);
    memcpy(bytes + SMTP_LINE_MAX - 2, "x\r\n", 3);
    feed_all_ways(bytes, SMTP_LINE_MAX + 1, too_long, 1);
}

Test(line, bare_ends_within_a_long_line)
{
    static char bytes[SMTP_LINE_MAX * 2];
    static const struct outcome cr[] = {{SMTP_LINE_BARE_CR, NULL}};
    static const struct outcome lf[] = {{SMTP_LINE_BARE_LF, NULL}};

    memset(bytes, 'x', sizeof bytes);
    bytes[sizeof bytes - 5] = '\r';
    feed_all_ways(bytes, sizeof bytes, cr, 1);
    bytes[sizeof bytes - 5] = '\n';
    feed_all_ways(bytes, sizeof bytes, lf, 1);
}
