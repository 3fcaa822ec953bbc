/* The words of `confine`: what the delivery command may reach. */
#ifndef SMTPIN_SYNTAX_CONFINE_H
#define SMTPIN_SYNTAX_CONFINE_H

#include "base/span.h"

enum confine_kind {
    CONFINE_OFF,  /* "no" */
    CONFINE_AUTO, /* "auto": what most commands need */
    CONFINE_TCP,  /* "tcp" */
    CONFINE_PATH, /* "ro:", "exec:", "rw:" and a path */
};

struct confine_word {
    enum confine_kind kind;
    enum { CONFINE_READ, CONFINE_EXECUTE, CONFINE_WRITE } access;
    struct span path; /* absolute */
};

/* False: it is none of these. */
bool confine_read(struct span word, struct confine_word *out);

#endif
