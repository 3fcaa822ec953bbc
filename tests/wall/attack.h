/* What a possessed session tries. */
#ifndef SMTPIN_TESTS_WALL_ATTACK_H
#define SMTPIN_TESTS_WALL_ATTACK_H

#include "wall/wall.h"

struct attack {
    const char *name;
    void (*run)(struct ask *a);
};

/* Each ends with a NULL. */
extern const struct attack attack_calls[]; /* system calls: none may come back */
extern const struct attack attack_requests[];

/* To the client: how far it came. */
void attack_say(const char *text);

#endif
