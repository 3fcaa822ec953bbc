#include "commands/tls/certificates.h"

#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FRESH = 5 }; /* seconds */

struct certificates *certificates_new(void)
{
    return calloc(1, sizeof(struct certificates));
}

static void forget_pair(struct tls_pair *p)
{
    X509_free(p->leaf);
    sk_X509_pop_free(p->more, X509_free);
    EVP_PKEY_free(p->key);
    free(p->names);
    free(p->chain_path);
    free(p->key_path);
}

void certificates_forget(struct certificates *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n; i++)
        forget_pair(&c->pair[i]);
    for (size_t i = 0; i < c->n_watched; i++)
        free(c->watched[i].path);
    for (size_t i = 0; i < c->problems; i++)
        free(c->problem[i]);
    free(c->pair);
    free(c->watched);
    free(c);
}

void certificates_complain(struct certificates *c, const char *format, ...)
{
    va_list args;
    char *line;
    int n;

    if (c->problems == CERTIFICATE_PROBLEMS_MAX)
        return;
    va_start(args, format);
    n = vasprintf(&line, format, args);
    va_end(args);
    if (n >= 0)
        c->problem[c->problems++] = line;
}

/* Room for one more in an array that grows by doubling. */
static void *grown(void *array, size_t n, size_t size)
{
    if (n != 0 && (n & (n - 1)) != 0)
        return array;
    return reallocarray(array, n == 0 ? 1 : 2 * n, size);
}

void certificates_watch(struct certificates *c, const char *path, const struct pem_stamp *stamp)
{
    struct tls_watched *all;
    char *copy;

    if (c->n_watched == CERTIFICATE_WATCHED_MAX)
        return;
    all = grown(c->watched, c->n_watched, sizeof *all);
    copy = strdup(path);
    if (all != NULL)
        c->watched = all;
    if (all == NULL || copy == NULL) {
        free(copy);
        return;
    }
    all[c->n_watched] = (struct tls_watched){.path = copy, .there = stamp != NULL};
    if (stamp != NULL)
        all[c->n_watched].stamp = *stamp;
    c->n_watched++;
}

void certificates_watch_now(struct certificates *c, const char *path)
{
    struct stat s;
    struct pem_stamp stamp;

    if (stat(path, &s) < 0) {
        certificates_watch(c, path, NULL);
        return;
    }
    stamp = pem_stamp(&s);
    certificates_watch(c, path, &stamp);
}

bool certificates_changed(const struct certificates *c)
{
    for (size_t i = 0; i < c->n_watched; i++) {
        const struct tls_watched *w = &c->watched[i];
        struct stat s;
        struct pem_stamp now;

        if ((stat(w->path, &s) == 0) != w->there)
            return true;
        if (!w->there)
            continue;
        now = pem_stamp(&s);
        if (!pem_stamp_eq(&now, &w->stamp))
            return true;
    }
    return false;
}

static bool is_fresh(const struct stat *s, time_t now)
{
    return s->st_ctim.tv_sec >= now - FRESH && s->st_ctim.tv_sec <= now + FRESH;
}

bool certificates_fresh(const struct certificates *c)
{
    const time_t now = time(NULL);

    for (size_t i = 0; i < c->n_watched; i++) {
        struct stat s;

        /* A link that has been changed leads to a file that may be older. */
        if ((stat(c->watched[i].path, &s) == 0 && is_fresh(&s, now)) ||
            (lstat(c->watched[i].path, &s) == 0 && is_fresh(&s, now)))
            return true;
    }
    return false;
}

void certificates_take_watched(struct certificates *c, struct certificates *from)
{
    struct tls_watched *watched = c->watched;
    const size_t n = c->n_watched;

    c->watched = from->watched;
    c->n_watched = from->n_watched;
    from->watched = watched;
    from->n_watched = n;
}

static int order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The list of names as one text (malloc); the names themselves are freed. */
static char *join(char **name, size_t n)
{
    size_t octets = 1, at = 0;
    char *all;

    if (n > 0)
        qsort(name, n, sizeof *name, order);
    for (size_t i = 0; i < n; i++)
        octets += strlen(name[i]) + 1;
    all = malloc(octets);
    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(name[i]);

        if (all != NULL) {
            all[at++] = ' ';
            memcpy(all + at, name[i], length);
            at += length;
        }
        free(name[i]);
    }
    if (all != NULL)
        all[at] = '\0';
    return all;
}

/* Small letters; what is no printable ASCII makes no name. NULL: it is none, or no memory. */
static char *host_name(const ASN1_STRING *s)
{
    const char *p = (const char *)ASN1_STRING_get0_data(s);
    const size_t n = (size_t)ASN1_STRING_length(s);
    char *name;

    for (size_t i = 0; i < n; i++)
        if (p[i] <= ' ' || p[i] >= 127)
            return NULL;
    name = strndup(p, n);
    for (size_t i = 0; name != NULL && i < n; i++)
        name[i] = byte_lower(name[i]);
    return name;
}

char *certificates_names(X509 *leaf)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    const int most = all == NULL ? 0 : sk_GENERAL_NAME_num(all);
    char **name = calloc((size_t)most + 1, sizeof *name), *joined;
    size_t n = 0;

    if (name == NULL) {
        GENERAL_NAMES_free(all);
        return NULL;
    }
    for (int i = 0; i < most; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

        if (g->type == GEN_DNS && (name[n] = host_name(g->d.dNSName)) != NULL)
            n++;
    }
    if (n == 0) {
        X509_NAME *subject = X509_get_subject_name(leaf);
        const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

        if (at >= 0 && (name[0] = host_name(
                            X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))) != NULL)
            n++;
    }
    joined = join(name, n);
    free(name);
    GENERAL_NAMES_free(all);
    return joined;
}

/* Puts it into its set. False: that has one of this kind already. */
static bool arrange(struct certificates *c, struct tls_pair *p)
{
    p->set = c->sets;
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->pair[i].names, p->names) == 0) {
            if (EVP_PKEY_get_base_id(c->pair[i].key) == EVP_PKEY_get_base_id(p->key))
                return false;
            p->set = c->pair[i].set;
        }
    if (p->set == c->sets)
        c->sets++;
    return true;
}

static bool fill(struct tls_pair *p, STACK_OF(X509) * chain, EVP_PKEY *key, const char *chain_path,
                 const char *key_path)
{
    *p = (struct tls_pair){.more = X509_chain_up_ref(chain),
                           .chain_path = strdup(chain_path),
                           .key_path = strdup(key_path)};
    if (p->more != NULL)
        p->leaf = sk_X509_shift(p->more);
    if (EVP_PKEY_up_ref(key))
        p->key = key;
    if (p->leaf != NULL)
        p->names = certificates_names(p->leaf);
    return p->key != NULL && p->names != NULL && p->chain_path != NULL && p->key_path != NULL;
}

bool certificates_add(struct certificates *c, STACK_OF(X509) * chain, EVP_PKEY *key,
                      const char *chain_path, const char *key_path)
{
    struct tls_pair p, *all;

    if (X509_check_private_key(sk_X509_value(chain, 0), key) != 1) {
        certificates_complain(c, "%s: the key in %s does not match the certificate", chain_path,
                              key_path);
        return false;
    }
    if (c->n == CERTIFICATES_MAX) {
        certificates_complain(c, "%s: too many certificates", chain_path);
        return false;
    }
    all = grown(c->pair, c->n, sizeof *all);
    if (all != NULL)
        c->pair = all;
    if (all == NULL || !fill(&p, chain, key, chain_path, key_path)) {
        if (all != NULL)
            forget_pair(&p);
        certificates_complain(c, "%s: no memory", chain_path);
        return false;
    }
    if (arrange(c, &p))
        all[c->n++] = p;
    else
        forget_pair(&p);
    return true;
}

size_t certificates_choose(const struct certificates *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (X509_check_host(c->pair[i].leaf, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) ==
            1)
            return c->pair[i].set;
    return 0;
}
