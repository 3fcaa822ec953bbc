/* Running a command: started without a copy of this process, ended with its whole process group
 * when its time is over, its output kept up to a bound and read to the end. Knows no mail. */
#ifndef SMTPIN_IO_CHILD_H
#define SMTPIN_IO_CHILD_H

#include "base/text.h"

#include <stdint.h>

enum { CHILD_DESCRIPTORS = 4 };

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
    uint64_t timeout; /* milliseconds */
};

enum child_end {
    CHILD_EXITED,      /* status is the exit status */
    CHILD_SIGNALLED,   /* status is the signal */
    CHILD_TIMED_OUT,   /* it was ended at its time-out */
    CHILD_NOT_STARTED, /* status is errno */
    CHILD_LOST,        /* it has ended, and its status was taken from us */
};

struct child_result {
    enum child_end end;
    int status;
};

/* Runs it to its end. What it writes to the two pipes is appended to said and complained; what does
 * not fit there is read and dropped. */
struct child_result child_run(const struct child *c, struct text *said, struct text *complained);

#endif
