/* smtpin --explain: what would happen to a given message, and by which rule. Tables,
 * check commands and policy servers are asked as for a client; no delivery command is run. */
#ifndef SMTPIN_EXPLAIN_H
#define SMTPIN_EXPLAIN_H

#include "config/config.h"

enum { EXPLAIN_RECIPIENTS_MAX = 64 };

struct explain_question {
    const char *helo, *sender; /* helo NULL: none is said */
    const char *login;         /* who has logged in (auth_is_user); NULL: nobody has */
    const char **recipient;    /* at most EXPLAIN_RECIPIENTS_MAX */
    size_t recipients;
    uint64_t size; /* 0: not declared */
    bool json;
};

/* Prints to stdout. The client is that of the settings. 0: every command was accepted; 1: not. */
int explain(const struct config *c, const struct explain_question *q);

#endif
