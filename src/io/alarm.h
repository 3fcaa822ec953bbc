/* An end to a system call that may wait, and that has no time-out of its own. */
#ifndef SMTPIN_IO_ALARM_H
#define SMTPIN_IO_ALARM_H

#include <signal.h>

struct alarm {
    sigset_t before;
};

/* From here on a call that waits ends with EINTR after that time, at most a second. SIGALRM is
 * blocked, and nobody else's alarm is running (setup.c): one that is would be lost. */
void alarm_begin(struct alarm *a, unsigned milliseconds);
/* SIGALRM is blocked again, and rings no more; errno stays. Its handler stays too, until an exec.
 */
void alarm_end(const struct alarm *a);

#endif
