/* Session transcripts: what a client sends, what it expects, what a command is expected to get. The
 * format is smtpin-transcript(5). They are read by read.h, and played by play.h. */
#ifndef SMTPIN_REPLAY_TRANSCRIPT_H
#define SMTPIN_REPLAY_TRANSCRIPT_H

#include "base/arena.h"
#include "syntax/tls_facts.h"

#include <stdint.h>

enum step_kind {
    STEP_SEND,       /* bytes */
    STEP_MESSAGE,    /* a made-up message: number octets, lines */
    STEP_EXPECT,     /* accepted: a reply, or one line of it */
    STEP_WAIT,       /* number milliseconds */
    STEP_HALF_CLOSE, /* the client sends no more */
    STEP_DISCONNECT, /* the client is gone */
    STEP_TLS,        /* TLS begins, if the last reply was a 220 */
};

enum accepted_kind {
    ACCEPT_LINE,  /* the next line is this text */
    ACCEPT_BEGIN, /* it begins with this text */
    ACCEPT_CODE,  /* the next reply, or what is left of it, has this code: "250", "250 2.1.0" */
    ACCEPT_HAS,   /* it has a line that, behind its code, begins with this text */
    ACCEPT_END,   /* the server closes the connection */
};

/* What an "S:" line accepts, and each "S|" line behind it. */
struct accepted {
    enum accepted_kind kind;
    unsigned line;
    struct span text;
    struct accepted *next;
};

struct step {
    enum step_kind kind;
    unsigned line; /* of the file */
    struct span bytes;
    struct accepted *accepted; /* one at least */
    uint64_t number, lines;
    struct step *next;
};

/* Does it accept lines of that kind, and nothing else? */
bool step_accepts_only(const struct step *s, enum accepted_kind kind);

/* What a transcript tells of: who is asked, or run, by smtpin, and stood in for. */
enum told_kind {
    TOLD_DELIVERY, /* "D:": a run of the delivery command */
    TOLD_CHECK,    /* "check:": a run of a check command */
    TOLD_POLICY,   /* "policy:": a question to a policy server */
    TOLD_AUTH,     /* "auth:": a step of a login */
    TOLD_KINDS,
};

/* A line "D: name value" (and so on) that says what a run or a question must look like. */
struct expectation {
    struct span name; /* "run", "env", "header"; "asks" */
    struct span value;
    unsigned line;
    struct expectation *next;
};

enum told_end {
    TOLD_EXITS,     /* status: the exit status. A policy server answers; a login succeeds */
    TOLD_SIGNALLED, /* status: the signal that ends it */
    TOLD_HANGS,     /* it does not end, or answer */
    TOLD_MISSING,   /* its program is not there, nor is it for any run behind this one */
    TOLD_CLOSES,    /* a policy server closes the connection without an answer */
    TOLD_GOES_ON,   /* a login: a challenge */
    TOLD_WRONG,     /* a login fails */
    TOLD_MALFORMED, /* the client's response is none */
    TOLD_LATER,     /* nobody can say whether it is right */
};

/* One run of a command, or one question: what is expected of it, and how it ends. */
struct told {
    unsigned line;
    struct expectation *first, *last;
    bool has_message;
    struct span message; /* with LF line ends */
    bool has_end;        /* a line says how it ends */
    enum told_end end;
    uint64_t status;
    struct span says; /* on its stdout; the action of a policy server; a user, or a challenge */
    struct told *next;
};

struct told_list {
    struct told *first, *last;
    bool checked; /* the transcript has a line of that kind: they are all there */
};

/* A table that stands in the transcript: what a setting, its name, names. */
struct told_table {
    struct span name, text;
    unsigned line;
    struct told_table *next;
};

/* "tls = TLSv1.3 ...": the facts of the session's TLS. */
struct told_tls {
    unsigned line; /* 0: the transcript does not tell of it */
    struct tls_facts facts;
};

enum { TRANSCRIPT_SETTINGS_MAX = 60 };

struct transcript {
    const char *file;
    const char *setting[TRANSCRIPT_SETTINGS_MAX]; /* key=value */
    unsigned setting_line[TRANSCRIPT_SETTINGS_MAX];
    size_t settings;
    struct step *first, *last;
    struct told_list told[TOLD_KINDS];
    struct told_table *table;
    size_t tables;
    struct span mechanisms; /* of logins, with blanks between; .p NULL: no line names them */
    bool starttls;          /* the client sends this line */
    struct told_tls tls;
};

/* Run or question number i, from 0, as the transcript tells of it; NULL: it tells of none. */
const struct told *transcript_told(const struct transcript *t, enum told_kind kind, size_t i);
/* Has it one that ends so? */
bool transcript_has(const struct transcript *t, enum told_kind kind, enum told_end end);

#endif
