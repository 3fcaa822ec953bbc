#include "commands/tls/directory.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 2 };

struct file {
    char *path;
    struct pem pem;
    const struct file *key; /* has the key for the first certificate; NULL: none has */
};

struct files {
    struct file *file;
    size_t n;
};

/* Their names: what a program may call a certificate or a key. */
static bool may_be_pem(const char *name)
{
    static const char *const ends[] = {".pem", ".crt", ".cer", ".key"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < sizeof ends / sizeof *ends; i++)
        if (strcmp(dot, ends[i]) == 0)
            return true;
    return dot == NULL;
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void forget(struct files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        pem_forget(&f->file[i].pem);
        free(f->file[i].path);
    }
    free(f->file);
}

static void read_file(struct certificates *c, struct files *f, char *path)
{
    struct file *all = reallocarray(f->file, f->n + 1, sizeof *all);
    struct file one = {.path = path};
    bool is_read, damaged;

    if (all != NULL)
        f->file = all;
    is_read = all != NULL && pem_read(&one.pem, path);
    certificates_watch(c, path, is_read ? &one.pem.stamp : NULL);
    damaged = is_read && one.pem.wrong != NULL && strstr(one.pem.wrong, "damaged") != NULL;
    if (!is_read || damaged || (one.pem.chain == NULL && one.pem.key == NULL)) {
        /* Files of other kinds are nobody's business. */
        if (!is_read || damaged ||
            (one.pem.wrong != NULL && strstr(one.pem.wrong, "passphrase") != NULL))
            certificates_complain(c, "%s: %s", path, is_read ? one.pem.wrong : "can't be read");
        pem_forget(&one.pem);
        free(path);
        return;
    }
    f->file[f->n++] = one;
}

static bool matches(const struct file *chain, const struct file *key)
{
    const EVP_PKEY *public = X509_get0_pubkey(sk_X509_value(chain->pem.chain, 0));

    return key->pem.key != NULL && public != NULL && EVP_PKEY_eq(public, key->pem.key) == 1;
}

/* The newest first; of the same certificate, the one with the longest chain. */
static int newest_first(const void *a, const void *b)
{
    const struct file *f = a, *g = b;
    const X509 *x, *y;
    int days = 0, seconds = 0;

    if (f->pem.chain == NULL || g->pem.chain == NULL)
        return (f->pem.chain == NULL) - (g->pem.chain == NULL);
    x = sk_X509_value(f->pem.chain, 0);
    y = sk_X509_value(g->pem.chain, 0);
    ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(x), X509_get0_notBefore(y));
    if (days != 0 || seconds != 0)
        return days > 0 || seconds > 0 ? 1 : -1;
    if (sk_X509_num(f->pem.chain) != sk_X509_num(g->pem.chain))
        return sk_X509_num(g->pem.chain) - sk_X509_num(f->pem.chain);
    return strcmp(f->path, g->path);
}

/* Adds what matches. True: there was a certificate of a server, with a key or without. */
static bool add_pairs(struct certificates *c, struct files *f)
{
    bool any = false;

    if (f->n > 0)
        qsort(f->file, f->n, sizeof *f->file, newest_first);
    for (size_t i = 0; i < f->n && f->file[i].pem.chain != NULL; i++) {
        struct file *chain = &f->file[i];

        for (size_t k = 0; k < f->n && chain->key == NULL; k++)
            if (matches(chain, &f->file[k]))
                chain->key = &f->file[k];
        if (chain->key != NULL) {
            any = true;
            certificates_add(c, chain->pem.chain, chain->key->pem.key, chain->path,
                             chain->key->path);
        } else if (X509_check_ca(sk_X509_value(chain->pem.chain, 0)) == 0) {
            any = true;
            certificates_complain(c, "%s: no key beside it matches the certificate", chain->path);
        }
    }
    return any;
}

static void look(struct certificates *c, const char *path, int depth);

/* The directories in it. */
static void look_below(struct certificates *c, const char *path, struct dirent **entry, int n,
                       int depth)
{
    for (int i = 0; i < n; i++) {
        char *below;
        struct stat s;

        if (asprintf(&below, "%s/%s", path, entry[i]->d_name) < 0)
            return;
        if (stat(below, &s) == 0 && S_ISDIR(s.st_mode))
            look(c, below, depth + 1);
        free(below);
    }
}

static void look(struct certificates *c, const char *path, int depth)
{
    struct dirent **entry = NULL;
    struct files f = {0};
    int n;

    certificates_watch_now(c, path);
    n = scandir(path, &entry, visible, alphasort);
    if (n < 0) {
        certificates_complain(c, "%s: %s", path, strerror(errno));
        return;
    }
    for (int i = 0; i < n && f.n < DIRECTORY_FILES_MAX; i++) {
        char *name;
        struct stat s;

        if (!may_be_pem(entry[i]->d_name) || asprintf(&name, "%s/%s", path, entry[i]->d_name) < 0)
            continue;
        if (stat(name, &s) == 0 && S_ISDIR(s.st_mode))
            free(name);
        else
            read_file(c, &f, name);
    }
    if (!add_pairs(c, &f) && depth + 1 < DEPTH_MAX)
        look_below(c, path, entry, n, depth);
    forget(&f);
    for (int i = 0; i < n; i++)
        free(entry[i]);
    free(entry);
}

void directory_add(struct certificates *c, const char *path)
{
    const size_t before = c->n, problems = c->problems;
    size_t n = strlen(path);
    struct stat s;
    char *ecc;

    while (n > 1 && path[n - 1] == '/')
        n--;
    if (asprintf(&ecc, "%.*s_ecc", (int)n, path) < 0)
        return;
    look(c, path, 0);
    if (stat(ecc, &s) == 0 && S_ISDIR(s.st_mode))
        look(c, ecc, DEPTH_MAX);
    free(ecc);
    if (c->n == before && c->problems == problems)
        certificates_complain(c, "%s: it has no certificate with its key", path);
}
