/* Playing a transcript against a server, and comparing. Which server that is, it does not know:
 * server.h. */
#ifndef SMTPIN_REPLAY_PLAY_H
#define SMTPIN_REPLAY_PLAY_H

#include "base/text.h"
#include "commands/replay/transcript.h"

/* The other side of the connection. */
struct endpoint {
    void *context;
    /* Sends all of it; false when the server is gone, which is no difference by itself. */
    bool (*send)(void *context, struct span bytes);
    /* What the server has sent since, at least one byte, waiting for it; empty: it has closed, or
     * (*timed_out) says nothing for too long. Valid until the next call. */
    struct span (*receive)(void *context, bool *timed_out);
    void (*half_close)(void *context);
    void (*disconnect)(void *context);
};

/* Differences, as text for people. */
struct differences {
    struct text *out;
    const char *file;
    unsigned count;
};

/* Only the first few of a file are printed: the rest follow from them. */
void differ(struct differences *d, unsigned line, struct span expected, struct span got);

struct play_options {
    uint64_t chunk; /* octets in a write, 0: as the transcript has them */
    bool whole;     /* everything is sent before anything is read */
};

void play(const struct transcript *t, const struct endpoint *e, const struct play_options *o,
          struct arena *a, struct differences *d);

/* A run of the command as it was. `message` is as the command read it. */
struct recorded {
    struct span argv;        /* words with a NUL behind each */
    struct span environment; /* the same */
    struct span message;
};

/* Compares a run with what is expected of it (NULL: nothing, it should not be). */
void compare_delivery(const struct delivery *expected, const struct recorded *got, struct arena *a,
                      struct differences *d);

#endif
