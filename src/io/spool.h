/* The message on its way to the command: collected in memory, past a bound in an unlinked file.
 * The whole message stands at offset 0 of a descriptor when it is finished; until then nothing
 * has left this process, and a crash leaves nothing behind. */
#ifndef SMTPIN_IO_SPOOL_H
#define SMTPIN_IO_SPOOL_H

#include "base/span.h"

#include <stdint.h>

struct spool {
    /* Set by the caller. */
    char *buffer; /* `cap` bytes, at least 4096 */
    size_t cap;
    uint64_t memory; /* octets that may stay in memory (a memfd) */
    const char *dir; /* for larger messages */

    int fd;        /* -1: all in the buffer yet */
    bool in_file;  /* fd is a file below dir, not memory */
    bool whole;    /* finished, and still all in the buffer too */
    size_t filled; /* of the buffer */
    uint64_t size; /* octets in all */
};

/* Starts an empty spool. `expected` octets (0: not known) choose memory or file at once. */
bool spool_open(struct spool *s, uint64_t expected);
/* Where the next bytes may be written: at least 2 of them; NULL (and errno) when the message can't
 * be stored. */
char *spool_room(struct spool *s, size_t *room);
/* The same for n octets in one piece (n at most half of `cap`); NULL (and errno) when what is there
 * already can't be written out. */
char *spool_piece(struct spool *s, size_t n);
/* Puts bytes before the one at `place`, in what has not been written out yet: where `place` is in
 * the first octets, and there is room (spool_room) for as many more. */
void spool_insert(struct spool *s, size_t place, struct span bytes);
void spool_add(struct spool *s, size_t n);
/* Everything written out; returns the descriptor at offset 0 (close-on-exec, owned by the spool),
 * or -1. */
int spool_finish(struct spool *s);
/* After spool_finish: up to n octets from `from` on, of the buffer or read into `room`. */
struct span spool_start(const struct spool *s, size_t from, char *room, size_t n);
/* After spool_finish: a descriptor of its own (the caller's, close-on-exec) on the same message
 * with `head` before it, at offset 0; -1 and errno when that can't be made. */
int spool_copy(const struct spool *s, struct span head);
/* The first n octets of a finished message (0: none) are replaced by others; its descriptor is
 * another one then. False and errno: it is as it was. */
bool spool_replace(struct spool *s, uint64_t n, struct span head);
/* May be called at any time after spool_open. */
void spool_close(struct spool *s);

#endif
