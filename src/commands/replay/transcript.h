/* Session transcripts: what a client sends, what it expects, what a command is expected to get. The
 * format is smtpin-transcript(5). They are read here, and not run: play.h. */
#ifndef SMTPIN_REPLAY_TRANSCRIPT_H
#define SMTPIN_REPLAY_TRANSCRIPT_H

#include "base/arena.h"

#include <stdint.h>

enum step_kind {
    STEP_SEND,       /* bytes */
    STEP_MESSAGE,    /* a made-up message: number octets, lines */
    STEP_EXPECT,     /* bytes: a reply, or one line of it */
    STEP_WAIT,       /* number milliseconds */
    STEP_HALF_CLOSE, /* the client sends no more */
    STEP_DISCONNECT, /* the client is gone */
};

struct step {
    enum step_kind kind;
    unsigned line; /* of the file */
    struct span bytes;
    uint64_t number, lines;
    struct step *next;
};

/* A line "D: name value" that says what a run of the command must look like. */
struct expectation {
    struct span name; /* "run", "env", "header" */
    struct span value;
    unsigned line;
    struct expectation *next;
};

/* One run of the command: what is expected of it, and how it ends. */
struct delivery {
    unsigned line;
    struct expectation *first, *last;
    bool has_message;
    struct span message; /* with LF line ends */
    uint64_t status;     /* exit */
    struct span says;    /* on its stdout */
    struct delivery *next;
};

enum { TRANSCRIPT_SETTINGS_MAX = 60 };

struct transcript {
    const char *file;
    const char *setting[TRANSCRIPT_SETTINGS_MAX]; /* key=value */
    size_t settings;
    struct step *first, *last;
    struct delivery *delivery, *last_delivery;
    bool checks_deliveries; /* it has a D: line */
};

/* Reads a file into the arena. With `trust`, its settings may name programs, users and files.
 * False: *line and *what say what is wrong. */
bool transcript_read(struct transcript *t, const char *file, bool trust, struct arena *a,
                     unsigned *line, const char **what);

#endif
