/* Units of the values of settings. */
#ifndef SMTPIN_CONFIG_UNIT_H
#define SMTPIN_CONFIG_UNIT_H

#include "base/text.h"

#include <stdint.h>

struct unit {
    const char *name;
    uint64_t of;
};

/* The largest first; the last of each is 1. */
extern const struct unit unit_ones[], unit_octets[], unit_times[];

/* In the largest unit that it is a whole number of. */
void unit_add(struct text *out, uint64_t number, const struct unit *unit);

#endif
