#include "commands/report/state.h"

#include "base/number.h"
#include "base/sha256.h"

static const struct span first = {.p = "smtpin-report state 1\n", .n = 22};

static void add_sum(struct text *out, struct span lines)
{
    struct sha256 h;
    char hex[64];

    sha256_open(&h);
    sha256_add(&h, lines);
    sha256_close(&h, hex);
    text_adds(out, "sum ");
    text_add(out, (struct span){.p = hex, .n = sizeof hex});
    text_addc(out, '\n');
}

static bool take_line(struct span *s, struct span *line)
{
    const size_t n = span_find(*s, '\n');

    if (n == s->n)
        return false;
    *line = span_first(*s, n);
    *s = span_from(*s, n + 1);
    return true;
}

/* Its last line is the sum of those before. */
static bool is_whole(struct span all, struct span *lines)
{
    char room[128];
    struct text sum = TEXT(room);
    size_t n = all.n < 1 ? 0 : all.n - 1;

    while (n > 0 && all.p[n - 1] != '\n')
        n--;
    *lines = span_first(all, n);
    add_sum(&sum, *lines);
    return span_eq(span_from(all, n), text_span(&sum));
}

/* The total of that name; NULL: there is none. They come in the order in which they were written,
 * so the search goes on behind the last one. */
static uint64_t *find(struct totals *t, struct span wanted, size_t *at)
{
    char room[96];
    struct text name = TEXT(room);
    uint64_t *value;

    for (int round = 0; round < 2; round++) {
        while (totals_next(t, at, &name, &value))
            if (span_eq(span_of(room), wanted))
                return value;
        *at = 0;
    }
    return NULL;
}

static const char *read_lines(struct span lines, struct totals *t, char *cursor)
{
    struct span line;
    size_t at = 0;

    (void)take_line(&lines, &line); /* `first` */
    if (!take_line(&lines, &line) || line.n < 7 || memcmp(line.p, "cursor ", 7) != 0)
        return "has no cursor";
    line = span_from(line, 7);
    if (line.n >= JOURNAL_CURSOR_MAX || !span_is_printable(line))
        return "has a cursor that is none";
    memcpy(cursor, line.p, line.n);
    cursor[line.n] = '\0';
    while (take_line(&lines, &line)) {
        const size_t blank = span_find(line, ' ');
        uint64_t *value = find(t, span_first(line, blank), &at), number;

        if (number_parse(span_from(line, blank + 1), UINT64_MAX / 2, &number) != NUMBER_OK)
            return "has a total that is no number";
        if (value != NULL)
            *value = number;
    }
    return NULL;
}

const char *state_parse(struct span all, struct totals *t, char cursor[JOURNAL_CURSOR_MAX])
{
    struct span lines;
    const char *wrong;

    memset(t, 0, sizeof *t);
    cursor[0] = '\0';
    if (all.n == 0)
        return NULL;
    if (all.n < first.n || !span_eq(span_first(all, first.n), first))
        return "is no state of smtpin-report";
    if (!is_whole(all, &lines))
        return "is not whole, or was changed: its sum is another";
    wrong = read_lines(lines, t, cursor);
    if (wrong != NULL) {
        memset(t, 0, sizeof *t);
        cursor[0] = '\0';
    }
    return wrong;
}

bool state_write(struct text *out, struct totals *t, const char *cursor)
{
    const size_t begin = out->n;
    char room[96];
    struct text name = TEXT(room);
    uint64_t *value;
    size_t at = 0;

    text_add(out, first);
    text_adds(out, "cursor ");
    text_adds(out, cursor);
    text_addc(out, '\n');
    while (totals_next(t, &at, &name, &value)) {
        text_adds(out, room);
        text_addc(out, ' ');
        text_addn(out, *value, 1);
        text_addc(out, '\n');
    }
    add_sum(out, (struct span){.p = out->p + begin, .n = out->n - begin});
    return !out->cut;
}
