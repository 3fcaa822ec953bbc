/* What processes have used: for session.c. */
#ifndef SMTPIN_BENCH_USAGE_H
#define SMTPIN_BENCH_USAGE_H

#include <stdbool.h>
#include <sys/types.h>

struct figures {
    double cpu, wall; /* microseconds */
    double faults;
};

double usage_now(void);
void usage_die(const char *what);
/* Adds what the child and all that it has waited for have used, once it has ended; pid -1: of any
 * child. False: there is none. */
bool usage_of_ended(pid_t pid, struct figures *f);
/* Of a process that is not ended, and of the children that it has waited for; with `family`, of
 * those that are there too. What they still do counts: until they have done nothing for 50 ms. */
struct figures usage_at_rest(pid_t pid, bool family);

#endif
