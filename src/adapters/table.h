/* A table of the administrator's: keys and values in a file, which is opened when it is first asked
 * and stays open, so that a session sees one whole table. What a key or a value means is not known
 * here: lookup.h. */
#ifndef SMTPIN_ADAPTERS_TABLE_H
#define SMTPIN_ADAPTERS_TABLE_H

#include "adapters/cdb.h"
#include "adapters/text_table.h"

#include <time.h>

enum {
    /* Milliseconds, see table_find. */
    TABLE_CHANGING = 1000,
    TABLE_PATIENCE = 5 * 1000,
};

enum table_result { TABLE_FOUND, TABLE_NOT_FOUND, TABLE_FAILED };

struct table {
    struct span source; /* "cdb:/path", "text:/path"; empty: there is none */
    int fd;             /* -1: not open */
    const char *wrong;  /* why it can't be used; it stays so */
    bool is_text;
    bool has_answered;
    struct timespec changed, status_changed; /* the file's times when it was opened */
    uint64_t size;
    struct cdb cdb;
    struct idn *idn; /* questions about keys of a text table; NULL: each by itself */
};

/* Opens nothing yet; `idn` is NULL. `source` (syntax/table_source.h) stays the caller's. */
void table_open(struct table *t, struct span source);
/* The first of n keys that is there, in their order: *which, and its value, trimmed, in `value`,
 * which has room for TABLE_VALUE_MAX. Keys are in lower case, but for the local-part (all before
 * the last '@') where case_matters; a cdb has them as they are, a text table in any case, and a
 * domain in it also outside ASCII (it is compared as A-labels). Of
 * entries with the same key the first counts. A value has no control octet but tabs.
 *
 * TABLE_FAILED where it can't be known: t->wrong says why. What a text table says is no proof while
 * somebody may be writing it in its place. One that was written less than TABLE_CHANGING ago, and
 * not moved since, is waited for, up to TABLE_PATIENCE, unless an entry is whole and has the first
 * key: what is still to be written can't change that. One that is empty, or was changed since the
 * session's first answer, is no table. */
enum table_result table_find(struct table *t, const struct span *key, size_t n, bool case_matters,
                             size_t *which, struct text *value);
/* Each entry (line 0 in a cdb), until `each` returns false. False: the table is damaged (t->wrong),
 * in *line of a text table, else 0. */
bool table_walk(struct table *t,
                bool (*each)(void *context, struct span key, struct span value, unsigned line),
                void *context, unsigned *line);
void table_close(struct table *t);

#endif
