/* Certificates and keys in a directory, however they are named. */
#ifndef SMTPIN_COMMANDS_TLS_DIRECTORY_H
#define SMTPIN_COMMANDS_TLS_DIRECTORY_H

#include "commands/tls/certificates.h"

enum { DIRECTORY_FILES_MAX = 1000 };

/* Adds the pairs of a directory: each certificate with the key that matches it. Of those with the
 * same names and kind of key, the newest. A directory without any certificate is looked at as
 * certbot's live/ or acme.sh's home: each directory in it has its pairs. Beside NAME, acme.sh's
 * NAME_ecc is looked at too. What is wrong is complained about. */
void directory_add(struct certificates *c, const char *path);

#endif
