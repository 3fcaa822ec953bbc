/* Files that anybody may have written, as tables. The first octet chooses: a text table; a cdb as
 * it stands; or a cdb that is made of the lines, and altered by what follows a NUL: places and
 * octets. A table that table_walk calls sound gives the answers that its entries are, and no
 * others. */
#include "adapters/table.h"
#include "../unit/cdb_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { CASE_MATTERS = 1, TEXT_TABLE = 2, AS_IT_STANDS = 4, ENTRIES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first entries of a table. */
struct entries {
    size_t n;
    bool more;
    char room[ENTRIES][CDB_KEY_MAX + TABLE_VALUE_MAX + TABLE_LINE_MAX];
    struct span key[ENTRIES], value[ENTRIES];
};

static bool keep(void *context, struct span key, struct span value, unsigned line)
{
    struct entries *e = context;

    (void)line;
    promise(key.n <= TABLE_LINE_MAX && value.n <= TABLE_VALUE_MAX);
    promise(!span_has_control_but_tab(value));
    promise(value.n == 0 || (!byte_is_blank(value.p[0]) && !byte_is_blank(value.p[value.n - 1])));
    if (e->n == ENTRIES) {
        e->more = true;
        return true;
    }
    if (key.n > 0)
        memcpy(e->room[e->n], key.p, key.n);
    if (value.n > 0)
        memcpy(e->room[e->n] + key.n, value.p, value.n);
    e->key[e->n] = (struct span){.p = e->room[e->n], .n = key.n};
    e->value[e->n] = (struct span){.p = e->room[e->n] + key.n, .n = value.n};
    e->n++;
    return true;
}

/* As tables are asked: in lower case, with case_matters but for the local-part. */
static struct span question(struct span key, bool case_matters, char *room)
{
    size_t at = key.n;

    while (case_matters && at > 0 && key.p[at - 1] != '@')
        at--;
    for (size_t i = 0; i < key.n; i++)
        room[i] = case_matters && i < at ? key.p[i] : byte_lower(key.p[i]);
    return (struct span){.p = room, .n = key.n};
}

/* The number of the first entry with that key. */
static size_t first_of(const struct entries *e, struct span key, bool text, bool case_matters)
{
    static char room[TABLE_LINE_MAX];
    size_t i = 0;

    while (i < e->n && !span_eq(text ? question(e->key[i], case_matters, room) : e->key[i], key))
        i++;
    return i;
}

/* A domain outside ASCII in a text table stands for its A-labels, which this model has not. */
static bool has_labels(const struct entries *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (!span_is_ascii(e->key[i]))
            return true;
    return false;
}

static enum table_result find(const char *source, const struct span *key, size_t n,
                              bool case_matters, size_t *which, struct text *value)
{
    struct table t;
    enum table_result result;

    table_open(&t, span_of(source));
    result = table_find(&t, key, n, case_matters, which, value);
    promise((result == TABLE_FAILED) == (t.wrong != NULL));
    promise(result != TABLE_FOUND || (*which < n && !span_has_control_but_tab(text_span(value))));
    table_close(&t);
    return result;
}

/* What is looked up, and what a key is that comes after one that is not there. */
static void try_key(const char *source, const struct entries *e, bool sound, struct span key,
                    bool text, bool case_matters)
{
    static char room[TABLE_VALUE_MAX];
    const struct span keys[] = {SPAN("\xff never there"), key};
    const size_t number = first_of(e, key, text, case_matters);
    struct text value = TEXT(room);
    size_t which = 0;
    const enum table_result result = find(source, keys, 2, case_matters, &which, &value);

    if (!sound || e->more || (text && has_labels(e)))
        return;
    promise(result == (number < e->n ? TABLE_FOUND : TABLE_NOT_FOUND));
    promise(number == e->n || (which == 1 && span_eq(text_span(&value), e->value[number])));
}

/* "key value" lines, as long as they fit; then, behind a NUL, places (two octets) and octets. */
static struct maker *make(struct span in)
{
    static struct maker m;
    struct span lines = span_first(in, span_find(in, '\0')), line;

    maker_start(&m);
    while (m.records < MAKER_RECORDS && span_word(&lines, "\n", &line)) {
        const size_t blank = span_find(line, ' ');

        maker_add(&m, span_first(line, blank), span_from(line, blank + 1));
    }
    maker_end(&m);
    in = span_from(in, span_find(in, '\0') + 1);
    for (; in.n >= 3; in = span_from(in, 3)) {
        const size_t at = (unsigned char)in.p[0] | (size_t)(unsigned char)in.p[1] << 8;

        if (at < m.n)
            m.bytes[at] = in.p[2];
    }
    return &m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct entries e;
    static char room[TABLE_LINE_MAX];
    struct span in = {.p = (const char *)data + 1, .n = size - 1};
    const bool text = size > 0 && data[0] & TEXT_TABLE, case_matters = size > 0 && data[0] & 1;
    const int fd = memfd_create("table", MFD_CLOEXEC);
    struct table t;
    unsigned line;
    char source[64];
    bool sound;

    if (size == 0 || fd < 0) {
        close(fd);
        return 0;
    }
    if (!text && !(data[0] & AS_IT_STANDS)) {
        const struct maker *m = make(in);

        in = (struct span){.p = m->bytes, .n = m->n};
    }
    promise(write(fd, in.p, in.n) == (ssize_t)in.n);
    promise(futimens(fd, (const struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}) == 0);
    snprintf(source, sizeof source, "%s:/proc/self/fd/%d", text ? "text" : "cdb", fd);
    e.n = 0;
    e.more = false;
    table_open(&t, span_of(source));
    sound = table_walk(&t, keep, &e, &line);
    promise(sound == (t.wrong == NULL));
    table_close(&t);
    for (size_t i = 0; i < e.n; i++)
        if (text || e.key[i].n <= CDB_KEY_MAX)
            try_key(source, &e, sound, text ? question(e.key[i], case_matters, room) : e.key[i],
                    text, case_matters);
    try_key(source, &e, sound, SPAN("bob@example.org"), text, case_matters);
    try_key(source, &e, sound, SPAN(""), text, case_matters);
    close(fd);
    return 0;
}
