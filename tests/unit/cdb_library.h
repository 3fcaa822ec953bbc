/* libtinycdb, to compare with. It is loaded, not linked: its functions have names that ours have.
 */
#ifndef SMTPIN_TESTS_CDB_LIBRARY_H
#define SMTPIN_TESTS_CDB_LIBRARY_H

#include "base/text.h"

/* False: it was not built with its header, or the library is not there. */
bool library_load(void);
/* Writes a cdb of n records. */
bool library_make(int fd, const struct span *key, const struct span *value, size_t n);
/* The first record of that key. */
bool library_find(int fd, struct span key, struct text *value);

#endif
