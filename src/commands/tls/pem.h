/* Files with certificates and keys, in PEM. */
#ifndef SMTPIN_COMMANDS_TLS_PEM_H
#define SMTPIN_COMMANDS_TLS_PEM_H

#include "base/span.h"

#include <openssl/x509.h>
#include <sys/stat.h>

/* What of a file tells that it is another one now. */
struct pem_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed, modified;
};

struct pem_stamp pem_stamp(const struct stat *s);
bool pem_stamp_eq(const struct pem_stamp *a, const struct pem_stamp *b);

struct pem {
    struct pem_stamp stamp; /* of what was read */
    STACK_OF(X509) * chain; /* in the order of the file; NULL: none */
    EVP_PKEY *key;          /* the first one; NULL: none */
    const char *wrong;      /* what can't be used of it; NULL: nothing */
};

enum { PEM_OCTETS_MAX = 1 << 20 };

/* Reads all of a file, at most PEM_OCTETS_MAX. False: `wrong` says why, and there is nothing to
 * forget. A key with a passphrase is no key: `wrong` says so. It never prompts. */
bool pem_read(struct pem *p, const char *path);
void pem_forget(struct pem *p);

#endif
