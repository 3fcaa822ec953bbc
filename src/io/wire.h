/* The connection: two descriptors, a buffer each way, deadlines. Knows no SMTP. Replies are flushed
 * exactly before blocking on a read, so that a pipelined group is answered in one write. A client
 * may send such a group without reading replies in between, and more of it than fits into the
 * sockets (RFC 2920 3.1 asks it not to): while a reply waits to be taken, what comes is read. */
#ifndef SMTPIN_IO_WIRE_H
#define SMTPIN_IO_WIRE_H

#include "base/text.h"

#include <stdint.h>

enum wire_result {
    WIRE_OK,
    WIRE_EOF,
    WIRE_TIMEOUT, /* the deadline has passed, or the moment */
    WIRE_ERROR,   /* the connection is gone */
    WIRE_STOP,    /* this process is asked to end; nothing was read */
};

enum {
    WIRE_MOMENT = 200,     /* milliseconds */
    WIRE_BRIEF_FILLS = 10, /* waits of a moment before clock and stop are to be looked at again */
};

struct wire {
    int in, out;      /* not closed here */
    int stop;         /* readable: do not wait for the client any longer; -1: none */
    uint64_t drain;   /* milliseconds that a reply may still take once `stop` is readable */
    struct text send; /* replies on their way out */
    char *buffer;     /* what was read: */
    size_t start, end, cap;
    size_t ahead; /* so many octets more than cap may be unread while a reply waits */
    /* What was found then instead of octets, for the next read; or WIRE_OK. */
    enum wire_result ended;
    bool no_socket; /* out is a pipe, a file, a terminal */
    bool prompt;    /* a read comes back after a moment: wire_open */
    bool broken;    /* replies could not be written: nothing more is */
};

/* The bytes that were read and not yet used. */
static inline struct span wire_unread(const struct wire *w)
{
    return (struct span){.p = w->buffer + w->start, .n = w->end - w->start};
}

/* They stay where they are until the next read, or wire_tidy. */
static inline void wire_used(struct wire *w, size_t n)
{
    w->start += n;
}

/* What is unread goes to the front. What was there is left nowhere: it may be half of a line with a
 * password. */
void wire_move(struct wire *w);

/* Nobody looks any more at what was used: room for what is read while a reply waits. */
static inline void wire_tidy(struct wire *w)
{
    if (w->start == w->end)
        w->start = w->end = 0;
    else if (w->end > w->cap && w->start >= w->end - w->start)
        wire_move(w);
}

/* Octets of a buffer where there is any `ahead`: as many as may be unread may have been used before
 * them, and not be tidied up yet. */
#define WIRE_BUFFER(cap, ahead) (2 * ((cap) + (ahead)))

/* From here on the buffer is this one, of WIRE_BUFFER octets; of cap octets where `ahead` is 0.
 * What was in the one before has been used. */
static inline void wire_read_into(struct wire *w, char *buffer, size_t cap, size_t ahead)
{
    w->buffer = buffer;
    w->cap = cap;
    w->ahead = ahead;
    w->start = w->end = 0;
}

/* Is `stop` readable? */
bool wire_stopped(const struct wire *w);
/* Sees to it that wire_fill_briefly can wait: the descriptor gets a time-out of its own, if it can.
 */
void wire_open(struct wire *w);
/* What a client that keeps up costs: a send and a read. No deadline is needed for these two.
 * wire_try_flush sends what is there; WIRE_TIMEOUT: not all of it went, and wire_flush is needed.
 * wire_fill_briefly then waits for a byte more, for a moment and whatever `stop` says;
 * WIRE_TIMEOUT: it has not come, or this can't be waited for in that way, and wire_fill is needed.
 */
enum wire_result wire_try_flush(struct wire *w);
enum wire_result wire_fill_briefly(struct wire *w);
/* Waits until the deadline, without reading. WIRE_TIMEOUT: it has passed. WIRE_EOF: the client has
 * gone, or has closed its sending side. */
enum wire_result wire_pause(struct wire *w, uint64_t deadline);
/* What waits to be read, up to the buffer's end, is put behind what was read, without being taken.
 * Returns how many octets that are; 0: nothing is there within a moment, or it can't be looked at.
 */
size_t wire_peek(struct wire *w);
/* Waits for octets, and takes `most` of them at the most. There must be room for these. Where
 * wire_peek has seen some, there is no wait. */
enum wire_result wire_take(struct wire *w, size_t most, uint64_t deadline);
/* Flushes, then waits for at least one byte more, if the flush has read none. There must be room:
 * unread < cap. `deadline` is on the clock of clock_now. */
enum wire_result wire_fill(struct wire *w, uint64_t deadline);
/* Sends all replies. Behind the bytes that were read there may be more afterwards (`ahead`); where
 * these are does not change. */
enum wire_result wire_flush(struct wire *w, uint64_t deadline);
/* Ends the sending side and reads what the client still sends, at most `most` bytes and until the
 * deadline, so that the last reply is not lost in a reset (RFC 5321 3.8, RFC 1122 4.2.2.13). */
void wire_linger(struct wire *w, uint64_t deadline, size_t most);

#endif
