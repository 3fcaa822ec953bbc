#include "adapters/text_table.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char line_too_long[] = "has a line that is too long";

void text_table_open(struct text_table *t, int fd, uint64_t size)
{
    t->fd = fd;
    t->size = size;
    t->at = 0;
    t->end = false;
    t->from = t->to = 0;
    t->physical = t->line = 0;
    t->last = false;
    t->wrong = NULL;
    t->entry = TEXT(t->entry_room);
}

/* More of the file behind what is left of the buffer. */
static bool fill(struct text_table *t)
{
    const uint64_t left = t->size - t->at;
    size_t free;
    ssize_t got;

    memmove(t->buffer, t->buffer + t->from, t->to - t->from);
    t->to -= t->from;
    t->from = 0;
    free = sizeof t->buffer - t->to;
    if (free == 0) {
        t->line = t->physical + 1;
        t->wrong = line_too_long;
        return false;
    }
    do
        got = pread(t->fd, t->buffer + t->to, left < free ? (size_t)left : free, (off_t)t->at);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        t->wrong = strerror(errno);
        return false;
    }
    t->at += (uint64_t)got;
    t->to += (size_t)got;
    t->end = got == 0 || t->at == t->size;
    return true;
}

/* The next line of the file, without its end, not taken off yet. False: there is none. */
static bool peek(struct text_table *t, struct span *line, size_t *used)
{
    for (;;) {
        const struct span left = {.p = t->buffer + t->from, .n = t->to - t->from};
        const size_t end = span_find(left, '\n');

        if (end < left.n || (t->end && left.n > 0)) {
            *line = span_first(left, end);
            *used = end < left.n ? end + 1 : left.n;
            if (line->n > 0 && line->p[line->n - 1] == '\r')
                line->n--;
            return true;
        }
        if (t->end || !fill(t))
            return false;
    }
}

static bool is_nothing(struct span line)
{
    const struct span rest = span_trim(line);

    return rest.n == 0 || rest.p[0] == '#';
}

/* Key and value of the entry: blanks within quotes belong to a key. */
static bool take_apart(struct text_table *t, struct span *key, struct span *value)
{
    const struct span entry = text_span(&t->entry);
    bool quoted = false;
    size_t n = 0;

    if (t->entry.cut)
        t->wrong = line_too_long;
    else if (t->line == 1 && span_starts_nocase(entry, SPAN("\xef\xbb\xbf")))
        t->wrong = "begins with a byte order mark: save it without";
    else if (span_has_control_but_tab(entry))
        t->wrong = "has a control character";
    for (; t->wrong == NULL && n < entry.n && (quoted || !byte_is_blank(entry.p[n])); n++) {
        if (entry.p[n] == '"')
            quoted = !quoted;
        else if (quoted && entry.p[n] == '\\' && n + 1 < entry.n)
            n++;
    }
    *key = span_first(entry, n);
    *value = span_trim(span_from(entry, n));
    if (t->wrong == NULL && value->n > TABLE_VALUE_MAX)
        t->wrong = "has a value that is too long";
    return t->wrong == NULL;
}

/* Takes that line off, and adds it to the entry. */
static void take_line(struct text_table *t, struct span line, size_t used)
{
    const bool goes_on = line.n > 0 && byte_is_blank(line.p[0]);

    t->from += used;
    t->physical++;
    if (is_nothing(line))
        return;
    if (t->entry.n == 0) {
        t->line = t->physical;
        if (goes_on)
            t->wrong = "begins with a blank, but there is no line before it to continue";
    }
    text_add(&t->entry, line);
}

bool text_table_next(struct text_table *t, struct span *key, struct span *value)
{
    struct span line;
    size_t used;

    t->entry.n = 0;
    t->entry.cut = false;
    t->last = true;
    while (t->wrong == NULL && peek(t, &line, &used)) {
        if (t->entry.n > 0 && !is_nothing(line) && !byte_is_blank(line.p[0])) {
            t->last = false;
            break; /* it is the next entry's */
        }
        take_line(t, line, used);
    }
    return t->wrong == NULL && t->entry.n > 0 && take_apart(t, key, value);
}
