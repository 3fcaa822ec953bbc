/* The certificates of this server with their keys, and which of them a client gets. */
#ifndef SMTPIN_COMMANDS_TLS_CERTIFICATES_H
#define SMTPIN_COMMANDS_TLS_CERTIFICATES_H

#include "commands/tls/pem.h"

#include <openssl/ssl.h>

enum {
    CERTIFICATES_MAX = 1000,
    CERTIFICATE_WATCHED_MAX = 4000,
    CERTIFICATE_PROBLEMS_MAX = 20,
};

/* A certificate with what leads to its CA, and its key. */
struct tls_pair {
    X509 *leaf;
    STACK_OF(X509) * more; /* the rest of the chain; may be empty */
    EVP_PKEY *key;
    char *names; /* in small letters and in order, each behind a blank: what a set is made of */
    char *chain_path; /* as it was given or found; "self-signed" for one that is in no file */
    char *key_path;
    size_t set;
};

struct tls_watched {
    char *path;
    bool there;
    struct pem_stamp stamp;
};

/* Pairs with the same names are a set: one of each kind of key, and OpenSSL takes the one that the
 * client can verify. Set 0 is the first that was given. */
struct certificates {
    struct tls_pair *pair;
    size_t n, sets;
    struct tls_watched *watched;
    size_t n_watched;
    char *problem[CERTIFICATE_PROBLEMS_MAX];
    size_t problems;
};

/* Starts without any. */
struct certificates *certificates_new(void);
void certificates_forget(struct certificates *c);
/* Says that something is wrong: a line of text, for the log. */
__attribute__((format(printf, 2, 3))) void certificates_complain(struct certificates *c,
                                                                 const char *format, ...);
/* Notes how a file or directory is; NULL: it can't be looked at. It is noted before it is read. */
void certificates_watch(struct certificates *c, const char *path, const struct pem_stamp *stamp);
/* The same, by looking at it now. */
void certificates_watch_now(struct certificates *c, const char *path);
/* Is something noted other than it was? */
bool certificates_changed(const struct certificates *c);
/* Has something noted been changed in the last few seconds? Then it may be half done. */
bool certificates_fresh(const struct certificates *c);
/* What `from` has noted instead of what `c` has. */
void certificates_take_watched(struct certificates *c, struct certificates *from);
/* Adds a copy of the chain (its references), which has a certificate, and of the key. Nothing
 * happens where the set has one with such a key already. False: no memory, or they do not match,
 * which is complained about. */
bool certificates_add(struct certificates *c, STACK_OF(X509) * chain, EVP_PKEY *key,
                      const char *chain_path, const char *key_path);
/* The DNS names of a certificate, or its CN where it has none (malloc), as in struct tls_pair. */
char *certificates_names(X509 *leaf);
/* The set for a name that a client asks for: the first that has it (RFC 6125 6.4), else 0. */
size_t certificates_choose(const struct certificates *c, const char *name);

#endif
