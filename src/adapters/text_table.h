/* Reads the lines of a text table, as Postfix's postmap(1) has them: a key, blanks, a value. Empty
 * lines and comments have no effect; a line that begins with a blank continues the one before. */
#ifndef SMTPIN_ADAPTERS_TEXT_TABLE_H
#define SMTPIN_ADAPTERS_TEXT_TABLE_H

#include "base/text.h"

enum {
    TABLE_VALUE_MAX = 4096,       /* octets */
    TABLE_LINE_MAX = 8192,        /* of an entry, with the lines that continue it */
    TABLE_TEXT_MAX = 1024 * 1024, /* of a whole text table: it is read for each question */
    TEXT_TABLE_BUFFER = 16 * 1024,
};

struct text_table {
    int fd;
    uint64_t size;
    uint64_t at; /* octets of the file that have been read */
    bool end;    /* there are no more */
    size_t from, to;
    unsigned physical; /* lines that were read */
    unsigned line;     /* in which the entry begins */
    bool last;         /* the entry ends where the file ends, or nothing but comments follows */
    const char *wrong;
    struct text entry; /* the one that is put together */
    char entry_room[TABLE_LINE_MAX];
    char buffer[TEXT_TABLE_BUFFER];
};

/* `size`: octets of the file, at most TABLE_TEXT_MAX; what is behind them is not read. */
void text_table_open(struct text_table *t, int fd, uint64_t size);
/* The next entry; spans live until the next call. False: there is none, or t->wrong. */
bool text_table_next(struct text_table *t, struct span *key, struct span *value);

#endif
