#include "commands/tls/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

struct pem_stamp pem_stamp(const struct stat *s)
{
    return (struct pem_stamp){.device = s->st_dev,
                              .inode = s->st_ino,
                              .size = s->st_size,
                              .changed = s->st_ctim,
                              .modified = s->st_mtim};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool pem_stamp_eq(const struct pem_stamp *a, const struct pem_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(a->changed, b->changed) && same_time(a->modified, b->modified);
}

/* The octets of the file (malloc), or NULL and `wrong`. */
static char *read_octets(struct pem *p, const char *path, size_t *n)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat s;
    char *octets = NULL;
    ssize_t got = 1;

    *n = 0;
    p->wrong = NULL;
    if (fd < 0 || fstat(fd, &s) < 0) {
        p->wrong = strerror(errno);
    } else if (!S_ISREG(s.st_mode)) {
        p->wrong = "it is no file";
    } else if (s.st_size > PEM_OCTETS_MAX) {
        p->wrong = "it is larger than 1 MiB";
    } else {
        p->stamp = pem_stamp(&s);
        octets = OPENSSL_malloc((size_t)s.st_size + 1);
        while (octets != NULL && got > 0 && *n < (size_t)s.st_size) {
            got = read(fd, octets + *n, (size_t)s.st_size - *n);
            if (got > 0)
                *n += (size_t)got;
        }
        if (octets == NULL || got < 0)
            p->wrong = strerror(errno);
    }
    if (fd >= 0)
        close(fd);
    return octets;
}

static void take_certificate(struct pem *p, const unsigned char *der, long n)
{
    X509 *x = d2i_X509_AUX(NULL, &der, n);

    if (x == NULL)
        p->wrong = "a certificate in it is damaged";
    else if ((p->chain == NULL && (p->chain = sk_X509_new_null()) == NULL) ||
             !sk_X509_push(p->chain, x))
        X509_free(x);
}

/* EVP_PKEY_NONE: the octets say it themselves (PKCS #8). */
static int key_type(const char *name)
{
    if (strcmp(name, PEM_STRING_ECPRIVATEKEY) == 0)
        return EVP_PKEY_EC;
    return strcmp(name, PEM_STRING_RSA) == 0 ? EVP_PKEY_RSA : EVP_PKEY_NONE;
}

static void take_key(struct pem *p, const char *name, const unsigned char *der, long n)
{
    const int type = key_type(name);

    if (p->key != NULL)
        return;
    p->key = type == EVP_PKEY_NONE ? d2i_AutoPrivateKey(NULL, &der, n)
                                   : d2i_PrivateKey(type, NULL, &der, n);
    if (p->key == NULL)
        p->wrong = "its key is damaged, or of a kind that is not known";
}

static void take_block(struct pem *p, const char *name, const char *header,
                       const unsigned char *der, long n)
{
    if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_TRUSTED) == 0 ||
        strcmp(name, PEM_STRING_X509_OLD) == 0)
        take_certificate(p, der, n);
    else if (strcmp(name, PEM_STRING_PKCS8) == 0 ||
             (strstr(name, "PRIVATE KEY") != NULL && strstr(header, "ENCRYPTED") != NULL))
        p->wrong = "its key has a passphrase, which nobody can be asked for";
    else if (strstr(name, "PRIVATE KEY") != NULL)
        take_key(p, name, der, n);
}

bool pem_read(struct pem *p, const char *path)
{
    size_t n;
    char *octets, *name, *header;
    unsigned char *der;
    BIO *bio;
    long length;

    *p = (struct pem){0};
    octets = read_octets(p, path, &n);
    if (octets == NULL || p->wrong != NULL) {
        OPENSSL_clear_free(octets, n);
        return false;
    }
    ERR_clear_error();
    bio = BIO_new_mem_buf(octets, (int)n);
    while (bio != NULL && PEM_read_bio(bio, &name, &header, &der, &length)) {
        take_block(p, name, header, der, length);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)length);
    }
    BIO_free(bio);
    OPENSSL_clear_free(octets, n);
    /* A chain without its last certificate would look like one. */
    if (p->wrong == NULL && (p->chain != NULL || p->key != NULL) &&
        ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        p->wrong = "it is damaged: its last part is not whole";
    ERR_clear_error();
    if (p->wrong == NULL && p->chain == NULL && p->key == NULL)
        p->wrong = "it has no certificate and no key in PEM";
    return true;
}

void pem_forget(struct pem *p)
{
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
    p->chain = NULL;
    p->key = NULL;
}
