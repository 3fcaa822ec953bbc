/* What the parts of smtpin-maildir share: the options of a run, what is known of each recipient, an
 * answer, and a few calls. */
#ifndef SMTPIN_COMMANDS_MAILDIR_TARGET_H
#define SMTPIN_COMMANDS_MAILDIR_TARGET_H

#include "base/span.h"
#include "syntax/idn.h"

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    MAILDIR_USAGE = 64,     /* EX_USAGE of sysexits(3) */
    MAILDIR_NO_USER = 67,   /* EX_NOUSER */
    MAILDIR_TEMPORARY = 75, /* EX_TEMPFAIL */
    MAILDIR_DIGEST = 16,    /* digits of SMTPIN_DIGEST in a name: 64 bits tell well enough */
    MAILDIR_NAME = 300,     /* room for a file's name; the longest is shorter */
};

/* An exit status, and the line that goes with it: a reply (smtpin-delivery(7)). */
struct maildir_answer {
    int status;
    const char *line;
};

struct maildir_options {
    bool with_domain; /* layout domain/user */
    bool create;      /* a Maildir that is not there is made */
    bool each;        /* each recipient for itself, not all or none */
    bool lines;       /* a line for each recipient is read */
    bool unknown;     /* it is not known whether it is */
    uint64_t quota;   /* octets; 0: none */
    struct span delimiter;
    const char *root;
    struct idn *idn;                 /* questions about domains */
    char digest[MAILDIR_DIGEST + 1]; /* the mark; empty: none is set or looked for */
    char host[256];
};

/* What is in a Maildir, and how much may be. */
struct maildir_usage {
    bool read;                           /* what follows is known */
    bool has_file;                       /* a maildirsize that can be read */
    bool counted;                        /* from the directories, so that it is certain */
    uint64_t most_size, most_count;      /* octets and messages; 0: no limit */
    int64_t size, count;                 /* with what this run has taken room for */
    int64_t pending_size, pending_count; /* of these, what is not yet in new/ */
};

/* A recipient. */
struct maildir_target {
    char maildir[PATH_MAX];
    char base[MAILDIR_NAME];   /* time.MnPnQn.host */
    char name[MAILDIR_NAME];   /* in new/; empty: not yet tried */
    char in_tmp[MAILDIR_NAME]; /* the name in tmp/; empty: none */
    char repeat[PATH_MAX];     /* a marked copy that was there before; empty: none */
    unsigned number;           /* of the recipient in this run */
    int fd;                    /* of a file without a name (O_TMPFILE); -1: none */
    dev_t dev;                 /* which file it is */
    ino_t ino;
    uint64_t size; /* as written */
    bool in_new;
    uint64_t room;               /* octets that count for it in *usage */
    bool took_room;              /* they do */
    bool pending;                /* and it is not yet in new/ */
    bool noted;                  /* in maildirsize */
    struct maildir_usage *usage; /* of the first recipient of this run with the same Maildir */
    struct maildir_usage own_usage;
};

#define MAILDIR_DELIVERED ((struct maildir_answer){0, "250 2.0.0"})
#define MAILDIR_NOBODY ((struct maildir_answer){MAILDIR_NO_USER, "550 5.1.1 No such mailbox here"})

/* "Come again": what went wrong with `path`, from errno, goes to stderr. */
struct maildir_answer maildir_temporary(const char *path, const char *line);
/* The same, with the reason in words. */
struct maildir_answer maildir_temporary_for(const char *path, const char *reason, const char *line);

/* The path of `name` in the directory `sub` of the target's Maildir, terminated, into `out`, which
 * has PATH_MAX octets. An empty `sub` is the Maildir itself, an empty `name` the directory itself.
 * False and ENAMETOOLONG when it is too long. */
bool maildir_join(char *out, const struct maildir_target *t, const char *sub, const char *name);
/* Flushes a directory to the disk; false and errno when that fails. */
bool maildir_flush(const char *path);

#endif
