/* Who has behaved badly towards a listening smtpin, and for how long nobody from there is served:
 * each offence adds seconds, which pass (as sshd's PerSourcePenalties). How a session has ended is
 * the exit status of its process, and nothing else. No system calls; the memory is the caller's.
 * A source is that of admission.h. */
#ifndef SMTPIN_ADAPTERS_PENALTY_H
#define SMTPIN_ADAPTERS_PENALTY_H

#include "adapters/admission.h"

enum { PENALTY_SOURCES_MAX = 4096 }; /* who is forgotten first has the least left */

struct penalty {
    unsigned char address[16];
    uint64_t until; /* on the clock of clock_now: when all of it has passed */
    bool active;    /* it has reached what counts, until it has passed */
};

/* Zeroed. */
struct penalties {
    size_t n;
    struct penalty of[PENALTY_SOURCES_MAX];
};

/* Adds `added` milliseconds to those of the source, up to `most`. Nobody is turned away before
 * `least` have come together, or `most`. True: from now on it is. */
bool penalty_add(struct penalties *p, const struct admission_guest *guest, uint64_t added,
                 uint64_t least, uint64_t most, uint64_t now);
/* Milliseconds for which the source is still turned away; 0: it is not. */
uint64_t penalty_left(const struct penalties *p, const struct admission_guest *guest, uint64_t now);

#endif
