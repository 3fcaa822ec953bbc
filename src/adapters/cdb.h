/* Reads constant databases (cdb, D. J. Bernstein 1996), as cdbmake, tinycdb and postmap write them:
 * by pread(2), so that a look-up reads a few hundred octets of a file of any size. The file is not
 * trusted: each length and each place in it is held against its size. */
#ifndef SMTPIN_ADAPTERS_CDB_H
#define SMTPIN_ADAPTERS_CDB_H

#include "base/text.h"

enum {
    CDB_HEADER = 2048,  /* octets: places and lengths of 256 hash tables */
    CDB_KEY_MAX = 1024, /* octets */
    CDB_PROBES_MAX =
        4096, /* slots that are read for one key; a look-up in a sound file reads a few */
};

struct cdb {
    int fd;
    uint64_t size;
    const char *wrong; /* the file's damage; it stays */
    char header[CDB_HEADER];
};

enum cdb_result { CDB_FOUND, CDB_NOT_FOUND, CDB_DAMAGED };

/* Reads the header of an open file of `size` octets. False: it is damaged (c->wrong), for example
 * cut short: then most keys would not be found. */
bool cdb_open(struct cdb *c, int fd, uint64_t size);
/* The first record of that key, of at most CDB_KEY_MAX octets. The value is added to `value`; one
 * that does not fit is damage. */
enum cdb_result cdb_find(struct cdb *c, struct span key, struct text *value);
/* Each record, in the order of the file, until `each` returns false; the spans live until then.
 * False: the file is damaged, or an entry is longer than CDB_KEY_MAX and `value_max` allow. All is
 * looked at: a record that no look-up would come to is damage, and so is a slot without a record.
 */
bool cdb_walk(struct cdb *c, size_t value_max,
              bool (*each)(void *context, struct span key, struct span value), void *context);

#endif
