/* SHA-256 (FIPS 180-4). For octets that are no secret: its time is not made independent of them. */
#ifndef SMTPIN_BASE_SHA256_H
#define SMTPIN_BASE_SHA256_H

#include "base/span.h"

#include <stdint.h>

/* How the blocks are mixed in: in C, or by the processor's own instructions, which take a fifth of
 * that. To ask whether it has them takes a virtual machine 20 us, as long as 8 KiB in C: it is
 * asked only for more than that. */
enum sha256_way { SHA256_NOT_ASKED, SHA256_PORTABLE, SHA256_INSTRUCTIONS };

struct sha256 {
    uint32_t state[8];
    uint64_t octets;
    enum sha256_way way;
    unsigned char block[64];
};

/* Asks the processor. */
enum sha256_way sha256_best_way(void);
/* A test may set `way` after it. */
void sha256_open(struct sha256 *h);
void sha256_add(struct sha256 *h, struct span bytes);
/* 64 hexadecimal digits. */
void sha256_close(struct sha256 *h, char hex[64]);

#endif
