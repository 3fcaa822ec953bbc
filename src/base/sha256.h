/* SHA-256 (FIPS 180-4). */
#ifndef SMTPIN_BASE_SHA256_H
#define SMTPIN_BASE_SHA256_H

#include "base/span.h"

#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t octets;
    unsigned char block[64];
};

void sha256_open(struct sha256 *h);
void sha256_add(struct sha256 *h, struct span bytes);
/* 64 hexadecimal digits. */
void sha256_close(struct sha256 *h, char hex[64]);

#endif
