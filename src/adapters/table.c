#include "adapters/table.h"

#include "adapters/text_table.h"
#include "io/clock.h"
#include "smtp/path.h"
#include "syntax/idn.h"
#include "syntax/table_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static const char has_control[] = "has a value with a control character";

void table_open(struct table *t, struct span source)
{
    t->source = source;
    t->fd = -1;
    t->wrong = NULL;
    t->has_answered = false;
    t->is_text = source.n > 0 && (source.p[0] | 0x20) == 't';
}

void table_close(struct table *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

static int64_t age_in_milliseconds(const struct timespec *since)
{
    return (int64_t)(clock_wall_micros() / 1000) -
           ((int64_t)since->tv_sec * 1000 + since->tv_nsec / 1000000);
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* A write sets both times of a file, a rename only the second. */
static bool may_be_written(const struct table *t)
{
    const int64_t age = age_in_milliseconds(&t->changed);

    return is_same_time(&t->changed, &t->status_changed) && age < TABLE_CHANGING &&
           age > -TABLE_CHANGING;
}

/* What it is like now. */
static bool look_again(struct table *t)
{
    struct stat st;

    if (fstat(t->fd, &st) < 0)
        t->wrong = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        t->wrong = "is not a regular file";
    else if (t->is_text && st.st_size == 0)
        t->wrong = "is empty";
    else if (t->is_text && st.st_size > TABLE_TEXT_MAX)
        t->wrong = "is larger than 1 MiB: make a cdb of it";
    if (t->wrong != NULL)
        return false;
    t->changed = st.st_mtim;
    t->status_changed = st.st_ctim;
    t->size = (uint64_t)st.st_size;
    return true;
}

/* A FIFO is not waited for. */
static bool open_file(struct table *t)
{
    char room[TABLE_SOURCE_MAX + 1];
    struct text path = TEXT(room);

    text_add(&path, span_from(t->source, span_find(t->source, ':') + 1));
    t->fd = open(text_string(&path), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (t->fd < 0)
        t->wrong = strerror(errno);
    else if (look_again(t) && !t->is_text && !cdb_open(&t->cdb, t->fd, t->size))
        t->wrong = t->cdb.wrong;
    return t->wrong == NULL;
}

static bool is_ready(struct table *t)
{
    return t->wrong == NULL && (t->fd >= 0 || open_file(t));
}

/* Is it the file that it was when it was opened? Asked after it has been read. */
static bool is_unchanged(struct table *t)
{
    struct stat st;

    if (fstat(t->fd, &st) < 0)
        t->wrong = strerror(errno);
    else if (!is_same_time(&st.st_mtim, &t->changed) || (uint64_t)st.st_size != t->size)
        t->wrong = "was changed in its place";
    return t->wrong == NULL;
}

static bool is_white(char c)
{
    return byte_is_blank(c) || c == '\r' || c == '\n';
}

/* The value without what stands around it: `cdb -c -m` keeps blanks and CR. */
static struct span trim(struct span v)
{
    while (v.n > 0 && is_white(v.p[v.n - 1]))
        v.n--;
    while (v.n > 0 && is_white(v.p[0]))
        v = span_from(v, 1);
    return v;
}

static enum table_result find_in_cdb(struct table *t, const struct span *key, size_t n,
                                     size_t *which, struct text *value)
{
    struct span trimmed;

    for (*which = 0; *which < n; ++*which) {
        value->n = 0;
        switch (cdb_find(&t->cdb, key[*which], value)) {
        case CDB_FOUND:
            trimmed = trim(text_span(value));
            memmove(value->p, trimmed.p, trimmed.n);
            value->n = trimmed.n;
            if (span_has_control_but_tab(text_span(value)))
                t->wrong = has_control;
            return t->wrong == NULL ? TABLE_FOUND : TABLE_FAILED;
        case CDB_DAMAGED:
            t->wrong = t->cdb.wrong;
            return TABLE_FAILED;
        case CDB_NOT_FOUND:
            break;
        }
    }
    return TABLE_NOT_FOUND;
}

static bool is_key(struct span entry, struct span key, bool case_matters)
{
    size_t at = key.n;

    if (!case_matters || entry.n != key.n)
        return span_eq_nocase(entry, key);
    while (at > 0 && key.p[at - 1] != '@')
        at--;
    return span_eq(span_first(entry, at), span_first(key, at)) &&
           span_eq_nocase(span_from(entry, at), span_from(key, at));
}

/* The key of an entry with its domain as A-labels, as domains are looked up, in *room; as it stands
 * where that is not known. *missing: it takes a library, which is not there. */
static struct span in_ascii(struct idn *idn, struct span entry, struct text *room, bool *missing)
{
    size_t at = entry.n;

    if (span_is_ascii(entry))
        return entry;
    while (at > 0 && entry.p[at - 1] != '@')
        at--;
    if (at < entry.n && entry.p[at] == '.')
        at++;
    if (span_is_ascii(span_from(entry, at)))
        return entry;
    room->n = 0;
    text_add(room, span_first(entry, at));
    switch (idn_to_ascii(idn, span_from(entry, at), room)) {
    case IDN_OK:
        return text_span(room);
    case IDN_MISSING:
        *missing = true;
        return entry;
    default:
        return entry;
    }
}

/* Reads it once. *certain: nothing that may still be written can change this answer: an earlier
 * key, the rest of the last entry. */
static enum table_result read_text(struct table *t, const struct span *key, size_t n,
                                   bool case_matters, size_t *which, struct text *value,
                                   bool *certain)
{
    char bytes[SMTP_ADDRESS_MAX];
    struct text room = TEXT(bytes);
    struct span entry, says;
    struct text_table lines;
    bool whole = false, missing = false;

    *which = n; /* an earlier key may come in a later line */
    text_table_open(&lines, t->fd, t->size);
    while (*which > 0 && text_table_next(&lines, &entry, &says)) {
        const struct span ascii = in_ascii(t->idn, entry, &room, &missing);

        for (size_t i = 0; i < *which; i++)
            if (is_key(ascii, key[i], case_matters)) {
                *which = i;
                whole = !lines.last;
                value->n = 0;
                text_add(value, says);
            }
    }
    t->wrong = lines.wrong;
    if (t->wrong == NULL && missing && *which == n)
        t->wrong = "has a domain outside ASCII, which needs libidn2: write it as xn--...";
    if (t->wrong != NULL || !is_unchanged(t))
        return TABLE_FAILED;
    *certain = *which == 0 && whole;
    return *which == n ? TABLE_NOT_FOUND : TABLE_FOUND;
}

/* Waits until nobody has written it for a while. Before the session's first answer it may change;
 * it is taken as it is then. */
static bool wait_for_rest(struct table *t)
{
    const uint64_t deadline = clock_now() + TABLE_PATIENCE;

    while (may_be_written(t)) {
        if (clock_left(deadline) == 0) {
            t->wrong = "is being written: write another file and move it into place";
            return false;
        }
        poll(NULL, 0, TABLE_CHANGING / 10);
        if (!(t->has_answered ? is_unchanged(t) : look_again(t)))
            return false;
    }
    return true;
}

static enum table_result find_in_text(struct table *t, const struct span *key, size_t n,
                                      bool case_matters, size_t *which, struct text *value)
{
    bool certain = false;
    enum table_result result = read_text(t, key, n, case_matters, which, value, &certain);

    if (result != TABLE_FAILED && !certain && may_be_written(t))
        result = wait_for_rest(t) ? read_text(t, key, n, case_matters, which, value, &certain)
                                  : TABLE_FAILED;
    t->has_answered = true;
    return result;
}

enum table_result table_find(struct table *t, const struct span *key, size_t n, bool case_matters,
                             size_t *which, struct text *value)
{
    if (!is_ready(t))
        return TABLE_FAILED;
    return t->is_text ? find_in_text(t, key, n, case_matters, which, value)
                      : find_in_cdb(t, key, n, which, value);
}

/* A record of a cdb as an entry. */
struct walker {
    struct table *table;
    bool (*each)(void *context, struct span key, struct span value, unsigned line);
    void *context;
};

static bool walk_record(void *context, struct span key, struct span value)
{
    const struct walker *w = context;
    const struct span trimmed = trim(value);

    if (span_has_control_but_tab(trimmed))
        w->table->wrong = has_control;
    return w->table->wrong == NULL && w->each(w->context, key, trimmed, 0);
}

static bool walk_text(struct table *t,
                      bool (*each)(void *context, struct span key, struct span value,
                                   unsigned line),
                      void *context, unsigned *line)
{
    struct text_table lines;
    struct span key, value;

    text_table_open(&lines, t->fd, t->size);
    while (text_table_next(&lines, &key, &value))
        if (!each(context, key, value, lines.line))
            return true;
    t->wrong = lines.wrong;
    *line = t->wrong != NULL ? lines.line : 0;
    return t->wrong == NULL;
}

bool table_walk(struct table *t,
                bool (*each)(void *context, struct span key, struct span value, unsigned line),
                void *context, unsigned *line)
{
    struct walker w = {.table = t, .each = each, .context = context};

    *line = 0;
    if (!is_ready(t))
        return false;
    if (t->is_text)
        return walk_text(t, each, context, line);
    if (!cdb_walk(&t->cdb, TABLE_VALUE_MAX, walk_record, &w))
        t->wrong = t->cdb.wrong;
    return t->wrong == NULL;
}
