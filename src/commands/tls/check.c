#include "commands/tls/check.h"

#include "commands/tls/renew.h"
#include "commands/tls/service.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum {
    DIGEST = 32,
    DIGEST_TEXT = 2 * DIGEST + 1,
    BESIDE_MAX = 200, /* files in the directory of a key */
};

static void to_hex(const unsigned char *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
}

/* RFC 6698 2.1: 3 1 1 is SHA-256 of the public key (SPKI). */
static bool hash_key(const EVP_PKEY *key, char hex[DIGEST_TEXT])
{
    unsigned char md[EVP_MAX_MD_SIZE], *spki = NULL;
    const int n = i2d_PUBKEY(key, &spki);
    unsigned octets = 0;
    const bool done = n > 0 && EVP_Digest(spki, (size_t)n, md, &octets, EVP_sha256(), NULL) == 1 &&
                      octets == DIGEST;

    if (done)
        to_hex(md, octets, hex);
    OPENSSL_free(spki);
    return done;
}

static void print_kind(EVP_PKEY *key)
{
    char group[64];

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        printf("  key: RSA, %d bits\n", EVP_PKEY_get_bits(key));
    else if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
        printf("  key: ECDSA, %s\n", group);
    else
        printf("  key: %s\n", OBJ_nid2ln(EVP_PKEY_get_base_id(key)));
}

/* The directory of a file, with its links followed (malloc), or NULL. */
static char *directory_of(const char *path)
{
    char *real = realpath(path, NULL);
    char *slash = real == NULL ? NULL : strrchr(real, '/');

    if (slash != NULL)
        slash[slash == real] = '\0';
    return real;
}

static bool has_key(const struct pem *file, const struct pem *key)
{
    const EVP_PKEY *public =
        file->chain == NULL ? NULL : X509_get0_pubkey(sk_X509_value(file->chain, 0));

    return public != NULL && EVP_PKEY_eq(public, key->key) == 1;
}

/* A key beside ours that is another. With a certificate for the same names, it is that of an older
 * one; without any, perhaps that of the next. */
static void print_other(const struct tls_pair *p, const char *path, const struct pem *key,
                        const struct pem *file, size_t n)
{
    char hex[DIGEST_TEXT];

    if (EVP_PKEY_get_base_id(key->key) != EVP_PKEY_get_base_id(p->key) ||
        EVP_PKEY_eq(key->key, p->key) == 1 || !hash_key(key->key, hex))
        return;
    for (size_t i = 0; i < n; i++) {
        char *names;

        if (!has_key(&file[i], key))
            continue;
        names = certificates_names(sk_X509_value(file[i].chain, 0));
        if (names != NULL && strcmp(names, p->names) == 0)
            printf("  note: the certificate of %s, for the same names, has another TLSA record: "
                   "a renewal has changed it\n",
                   path);
        free(names);
        return;
    }
    printf("  note: %s is a key without a certificate: with it, the TLSA record is 3 1 1 %s\n",
           path, hex);
}

static void print_others(const struct tls_pair *p)
{
    char *directory = directory_of(p->key_path), *path[BESIDE_MAX];
    struct pem file[BESIDE_MAX];
    struct dirent **entry = NULL;
    const int all = directory == NULL ? 0 : scandir(directory, &entry, NULL, alphasort);
    size_t n = 0;

    for (int i = 0; i < all; i++) {
        if (n < BESIDE_MAX && asprintf(&path[n], "%s/%s", directory, entry[i]->d_name) >= 0) {
            if (pem_read(&file[n], path[n]))
                n++;
            else
                free(path[n]);
        }
        free(entry[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (file[i].key != NULL)
            print_other(p, path[i], &file[i], file, n);
    for (size_t i = 0; i < n; i++) {
        pem_forget(&file[i]);
        free(path[i]);
    }
    free(entry);
    free(directory);
}

/* False: something is wrong with it. */
static bool print_pair(const struct tls_pair *p)
{
    struct span names = span_of(p->names), name;
    char when[16], hex[DIGEST_TEXT] = "";
    const int days = renewal_days(p->leaf, when);
    const bool in_file = strcmp(p->chain_path, "self-signed") != 0;

    printf("%s\n", p->chain_path);
    if (strcmp(p->chain_path, p->key_path) != 0)
        printf("  key file: %s\n", p->key_path);
    printf("  names:%s\n", p->names[0] == '\0' ? " none" : p->names);
    print_kind(p->key);
    printf("  ends: %s\n", when);
    if (in_file && hash_key(p->key, hex)) {
        printf("  TLSA: 3 1 1 %s\n", hex);
        while (span_word(&names, " ", &name))
            if (name.p[0] != '*') /* no host is called so */
                printf("  _25._tcp.%.*s. IN TLSA 3 1 1 %s\n", SPAN_FORMAT(name), hex);
        print_others(p);
    }
    if (days < 0)
        printf("  wrong: it has expired\n");
    else if (days < EXPIRY_DAYS && in_file)
        printf("  warning: it expires in %d days\n", days);
    return days >= 0;
}

int check(const struct tls_options *o)
{
    struct tls_service s;
    bool good;

    service_open(&s, o);
    good = s.ctx != NULL;
    for (size_t i = 0; s.certificates != NULL && i < s.certificates->n; i++)
        good = print_pair(&s.certificates->pair[i]) && good;
    for (size_t i = 0; s.certificates != NULL && i < s.certificates->problems; i++) {
        printf("wrong: %s\n", s.certificates->problem[i]);
        good = false;
    }
    if (s.ctx == NULL && (s.certificates == NULL || s.certificates->problems == 0))
        printf("wrong: %s\n", s.unavailable);
    service_close(&s);
    return fflush(stdout) == 0 && good ? EX_OK : EX_CONFIG;
}
