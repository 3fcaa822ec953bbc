#include "commands/tls/load.h"

#include "commands/tls/directory.h"
#include "commands/tls/self_signed.h"

#include <stdio.h>
#include <stdlib.h>

static bool read_watched(struct certificates *c, struct pem *p, const char *path)
{
    const bool done = pem_read(p, path);

    certificates_watch(c, path, done ? &p->stamp : NULL);
    if (!done)
        certificates_complain(c, "%s: %s", path, p->wrong);
    return done;
}

/* A file with both, or two files. */
static void add_files(struct certificates *c, const char *chain_path, const char *key_path)
{
    struct pem chain, key = {0};

    if (!read_watched(c, &chain, chain_path))
        return;
    if (strcmp(chain_path, key_path) == 0 || read_watched(c, &key, key_path)) {
        EVP_PKEY *k = strcmp(chain_path, key_path) == 0 ? chain.key : key.key;
        const char *wrong = key.wrong != NULL ? key.wrong : chain.wrong;

        if (chain.chain == NULL)
            certificates_complain(c, "%s: %s", chain_path,
                                  chain.wrong != NULL ? chain.wrong : "it has no certificate");
        else if (k == NULL)
            certificates_complain(c, "%s: %s", key_path, wrong != NULL ? wrong : "it has no key");
        else if (chain.wrong != NULL)
            certificates_complain(c, "%s: %s", chain_path, chain.wrong);
        else
            certificates_add(c, chain.chain, k, chain_path, key_path);
    }
    pem_forget(&key);
    pem_forget(&chain);
}

static bool is_directory(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* "CHAIN [KEY]". */
static void add(struct certificates *c, const char *value)
{
    struct span rest = span_of(value), chain, key;
    char *chain_path, *key_path;

    if (!span_word(&rest, " \t", &chain)) {
        certificates_complain(c, "a certificate has no file");
        return;
    }
    if (!span_word(&rest, " \t", &key))
        key = chain;
    chain_path = strndup(chain.p, chain.n);
    key_path = strndup(key.p, key.n);
    if (chain_path != NULL && key_path != NULL) {
        if (span_trim(rest).n > 0)
            certificates_complain(c, "%s: more than two files", value);
        else if (key.p == chain.p && is_directory(chain_path))
            directory_add(c, chain_path);
        else
            add_files(c, chain_path, key_path);
    }
    free(chain_path);
    free(key_path);
}

struct certificates *load_certificates(const struct tls_options *o)
{
    struct certificates *c = certificates_new();

    for (size_t i = 0; c != NULL && i < o->certificates; i++) {
        if (strcmp(o->certificate[i], "self-signed") == 0)
            self_signed_add(c, o->hostname);
        else
            add(c, o->certificate[i]);
    }
    if (c != NULL && o->certificates == 0 && o->mode != TLS_CLIENT)
        certificates_complain(c, "no certificate is configured");
    return c;
}
