#include "commands/tls/self_signed.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { COMMON_NAME_MAX = 64, SERIAL_OCTETS = 16, DAY = 24 * 3600 };

static bool set_serial(X509 *x)
{
    unsigned char octets[SERIAL_OCTETS];
    BIGNUM *n;
    bool done;

    if (RAND_bytes(octets, sizeof octets) != 1)
        return false;
    octets[0] = (octets[0] & 0x7f) | 0x40;
    n = BN_bin2bn(octets, sizeof octets, NULL);
    done = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return done;
}

/* The name as subjectAltName, and as CN where it is short enough for that. */
static bool set_name(X509 *x, const char *name)
{
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    X509_NAME *subject = X509_get_subject_name(x);
    bool done = false;

    if (all != NULL && one != NULL && text != NULL && ASN1_STRING_set(text, name, -1)) {
        GENERAL_NAME_set0_value(one, GEN_DNS, text);
        text = NULL;
        if (sk_GENERAL_NAME_push(all, one)) {
            one = NULL;
            done = X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1;
        }
    }
    if (done && strlen(name) <= COMMON_NAME_MAX)
        done = X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
                                          (const unsigned char *)name, -1, -1, 0) == 1;
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(one);
    GENERAL_NAMES_free(all);
    return done && X509_set_issuer_name(x, subject) == 1;
}

static bool make(X509 *x, EVP_PKEY *key, const char *name)
{
    /* A client's clock may be behind. */
    return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
           X509_gmtime_adj(X509_getm_notBefore(x), -DAY) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x), (long)SELF_SIGNED_DAYS * DAY) != NULL &&
           X509_set_pubkey(x, key) == 1 && set_name(x, name) && X509_sign(x, key, EVP_sha256()) > 0;
}

bool self_signed_add(struct certificates *c, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    STACK_OF(X509) *chain = sk_X509_new_null();
    bool done = false;

    if (key != NULL && x != NULL && chain != NULL && make(x, key, name) &&
        sk_X509_push(chain, x) > 0)
        done = certificates_add(c, chain, key, "self-signed", "self-signed");
    else
        certificates_complain(c, "self-signed: can't be made for %s", name);
    sk_X509_free(chain);
    X509_free(x);
    EVP_PKEY_free(key);
    return done;
}
