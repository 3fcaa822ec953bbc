/* The process's title, for ps and systemctl status: written over the words that it was started
 * with. */
#ifndef SMTPIN_IO_TITLE_H
#define SMTPIN_IO_TITLE_H

#include "base/arena.h"
#include "base/text.h"

struct title {
    char *p;
    size_t cap;  /* 0: there is no room for one */
    size_t used; /* octets that are not NUL */
};

/* Finds the room: argv's and the environment's own memory, which lie side by side. The environment
 * is copied into `a` first. From the first title_show on, argv is no more. */
void title_open(struct title *t, char **argv, struct arena *a);
void title_show(struct title *t, struct span text);

#endif
