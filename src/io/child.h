/* Running commands: started without a copy of this process, ended with their whole process group
 * when their time is over, their output kept up to a bound and read to the end. SIGCHLD must be
 * blocked. Knows no mail. */
#ifndef SMTPIN_IO_CHILD_H
#define SMTPIN_IO_CHILD_H

#include "base/text.h"

#include <stdint.h>
#include <sys/types.h>

enum { CHILD_DESCRIPTORS = 4, CHILD_OUTLETS = 2, CHILD_PROCESSES_MAX = 16 };

/* Instead of a descriptor of ours: */
enum {
    CHILD_SAID = -1,       /* a pipe, read into `said` */
    CHILD_COMPLAINED = -2, /* a pipe, read into `complained` */
};

/* A descriptor of the child: `to` in the child is `from` here. */
struct child_descriptor {
    int from, to;
};

struct child {
    const char *program; /* a path */
    char *const *argv;
    char *const *envp;
    /* All that it gets, in rising order of `to`, 0 to 2 among them; all of ours are above 2. */
    struct child_descriptor pass[CHILD_DESCRIPTORS];
    size_t passed;
    int rules;        /* io/landlock.h: it is confined by them; 0: it is not */
    uint64_t timeout; /* milliseconds */
    bool quiet;       /* what it writes is not read: it has no CHILD_SAID and no CHILD_COMPLAINED */
    bool among_many;  /* others run beside it: no descriptor is kept that need not be */
};

enum child_end {
    CHILD_EXITED,      /* status is the exit status */
    CHILD_SIGNALLED,   /* status is the signal */
    CHILD_TIMED_OUT,   /* it was ended at its time-out */
    CHILD_NOT_STARTED, /* status is errno */
    CHILD_LOST,        /* it has ended, and its status was taken from us */
};

/* Its name in the log: "exit", "signal" ... */
const char *child_end_name(enum child_end end);

struct child_result {
    enum child_end end;
    int status;
};

struct child_outlet {
    int fd;      /* our end of a pipe; -1: ended */
    bool polite; /* it does not block */
    struct text *text;
};

/* A command that runs, or has ended. */
struct child_process {
    bool ended;
    struct child_result result; /* once it has */
    pid_t pid;
    int pidfd;       /* -1: this kernel has none, or it has not been looked at for longer */
    bool looked;     /* it runs for longer than some milliseconds: its pipes are attended to */
    unsigned killed; /* signals that it was sent */
    uint64_t timeout, deadline; /* which begins to run with the first look */
    struct child_outlet outlet[CHILD_OUTLETS];
    int write_end[CHILD_OUTLETS]; /* open until then */
};

/* fork(2), for a process that goes on with this program. Single-threaded ones alone. */
pid_t child_split(void);
/* How soon the kernel ends this process where memory is short: -1000 to 1000 (oom_score_adj,
 * proc(5)); INT_MIN: that is not known. */
int child_oom_score(void);
/* Higher than it is now; a score above 1000 is 1000. What is forked or executed later has it too.
 */
void child_set_oom_score(int score);

/* What it writes to the two pipes is appended to said and complained, which must live until it has
 * ended; what does not fit there is read and dropped. */
void child_start(struct child_process *p, const struct child *c, struct text *said,
                 struct text *complained);
/* Waits for something to happen to one of the processes, and sees to it. Those that have ended are
 * passed over. n is at most CHILD_PROCESSES_MAX. */
void child_attend(struct child_process *p, size_t n);

#endif
