/* How much filters may ask for, and how much is kept of a message: named as in smtpin-milter(1). */
#ifndef SMTPIN_COMMANDS_MILTER_LIMITS_H
#define SMTPIN_COMMANDS_MILTER_LIMITS_H

#include "base/span.h"

#include <stdint.h>

enum limit {
    LIMIT_BODY,       /* octets of a new body */
    LIMIT_HEADER,     /* octets of the message's header */
    LIMIT_PACKET,     /* octets of a filter's packet */
    LIMIT_RECIPIENTS, /* that filters add */
    LIMIT_REQUESTS,   /* changes that a filter wants, and how often it wants more time */
    LIMITS,
};

struct limits {
    uint64_t of[LIMITS];
};

/* The defaults. */
struct limits limits_usual(void);
/* "header=2M": NULL, or what is wrong. */
const char *limits_set(struct limits *l, struct span setting);

#endif
