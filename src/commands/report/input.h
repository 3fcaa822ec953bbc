/* Records out of a file or a pipe, in any of the forms that forms.h has; which one, its first
 * octets say. Memory is bounded: what is longer than INPUT_LINE_MAX is skipped and counted. */
#ifndef SMTPIN_COMMANDS_REPORT_INPUT_H
#define SMTPIN_COMMANDS_REPORT_INPUT_H

#include "commands/report/forms.h"

enum {
    INPUT_LINE_MAX = 1 << 19,  /* octets of a line, and of an entry of journalctl -o json */
    INPUT_FIELD_MAX = 1 << 16, /* of a field of journalctl -o export */
    INPUT_ROOM = 1 << 20,
};

/* Who gets the records. False: no more of them are wanted. */
typedef bool input_taker(void *context, const struct entry *e);

struct input {
    int fd;
    uint64_t now; /* microseconds since 1970 */
    input_taker *take;
    void *context;
    uint64_t octets;  /* read so far */
    uint64_t given;   /* records, to `take` */
    uint64_t foreign; /* lines and entries that are no records of smtpin's */
    uint64_t skipped; /* those that were too long, and fields that were */
    int error;        /* errno of a read that has failed; 0: none */
    size_t begin, end;
    bool ended;
    struct entry entry;
    struct journal_entry journal;
    char room[INPUT_ROOM];
};

/* Until the end of the file, or until no more is wanted. A record is given to `take` as soon as it
 * is there. */
void input_read(struct input *in);

#endif
