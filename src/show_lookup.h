/* smtpin --lookup: what a table says of an address or a domain, and under which key. */
#ifndef SMTPIN_SHOW_LOOKUP_H
#define SMTPIN_SHOW_LOOKUP_H

#include "config/config.h"

/* Prints to stdout, mistakes to stderr. `setting`: recipients, aliases, senders, sender_login or
 * domains. 0: found; 1: not there; 64: no such table, or no address; 75: it can't be read. */
int show_lookup(const struct config *c, const char *setting, const char *what);

#endif
