/* Records out of the journal, by libsystemd; the static build has none (journalctl -o json gives
 * them to it). */
#ifndef SMTPIN_COMMANDS_REPORT_JOURNAL_H
#define SMTPIN_COMMANDS_REPORT_JOURNAL_H

#include "commands/report/input.h"

enum { JOURNAL_CURSOR_MAX = 1024 };

struct journal_how {
    const char *directory; /* of another journal; NULL: this machine's */
    const char *file;      /* a single file of one; NULL */
    uint64_t since, until; /* microseconds since 1970; 0: no such bound */
    const char *cursor;    /* begin behind the entry that it names; NULL or empty: do not */
    const char *session;   /* records of this session alone; NULL: of all */
    bool whole;            /* each field of each record, however long: slower */
    bool follow;           /* wait for more, without an end; begin with what comes now */
};

/* Gives each record to in->take. Where it has come to is left in `cursor`, which stays as it is
 * where there was no entry. NULL, or what is wrong. */
const char *journal_read(const struct journal_how *how, struct input *in,
                         char cursor[JOURNAL_CURSOR_MAX]);

#endif
