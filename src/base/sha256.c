#include "base/sha256.h"

#include <string.h>

#if defined __x86_64__ && defined __SSE2__
#include <cpuid.h>
#include <immintrin.h>
#define WITH_INSTRUCTIONS 1
#else
#define WITH_INSTRUCTIONS 0
#endif

enum {
    BLOCK = 64,
    WORTH_ASKING = 8192, /* octets */
};

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static inline uint32_t word(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One round. Nothing moves from one variable to the next: the next round gets them in another
 * order.
 */
__attribute__((always_inline)) static inline void turn(uint32_t a, uint32_t b, uint32_t c,
                                                       uint32_t *d, uint32_t e, uint32_t f,
                                                       uint32_t g, uint32_t *h, uint32_t w)
{
    const uint32_t t =
        *h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (((f ^ g) & e) ^ g) + w;

    *d += t;
    *h = t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | ((a | b) & c));
}

static void mix_portable(uint32_t *state, const unsigned char *p)
{
    uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4],
                    f = state[5], g = state[6], h = state[7];

    for (unsigned i = 0; i < 16; i++)
        w[i] = word(p + 4 * i);
    for (unsigned i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] +
               (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    for (unsigned i = 0; i < 64; i += 8) {
        const uint32_t *k = constants + i, *v = w + i;

        turn(a, b, c, &d, e, f, g, &h, k[0] + v[0]);
        turn(h, a, b, &c, d, e, f, &g, k[1] + v[1]);
        turn(g, h, a, &b, c, d, e, &f, k[2] + v[2]);
        turn(f, g, h, &a, b, c, d, &e, k[3] + v[3]);
        turn(e, f, g, &h, a, b, c, &d, k[4] + v[4]);
        turn(d, e, f, &g, h, a, b, &c, k[5] + v[5]);
        turn(c, d, e, &f, g, h, a, &b, k[6] + v[6]);
        turn(b, c, d, &e, f, g, h, &a, k[7] + v[7]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

#if WITH_INSTRUCTIONS
#define TARGET __attribute__((target("sha,sse4.1,ssse3")))

/* Four rounds with the words w, of which the instruction takes two at a time. */
TARGET static inline void four_turns(__m128i *abef, __m128i *cdgh, __m128i w, unsigned i)
{
    const __m128i k = _mm_loadu_si128((const __m128i *)(const void *)(constants + i));
    const __m128i sum = _mm_add_epi32(w, k);

    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

/* The four words after those in a, b, c and d, in the place of a. */
TARGET static inline void next_words(__m128i *a, __m128i b, __m128i c, __m128i d)
{
    *a = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(*a, b), _mm_alignr_epi8(d, c, 4)),
                              d);
}

/* The instructions have the state in another order: a b e f and c d g h, from the highest word. */
TARGET static void mix_instructions(uint32_t *state, const unsigned char *p, size_t blocks)
{
    const __m128i bytes = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i *const at = (__m128i *)(void *)state;
    const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(at), 0xb1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(at + 1), 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);

    for (; blocks > 0; blocks--, p += BLOCK) {
        const __m128i *const in = (const __m128i *)(const void *)p;
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w0 = _mm_shuffle_epi8(_mm_loadu_si128(in), bytes);
        __m128i w1 = _mm_shuffle_epi8(_mm_loadu_si128(in + 1), bytes);
        __m128i w2 = _mm_shuffle_epi8(_mm_loadu_si128(in + 2), bytes);
        __m128i w3 = _mm_shuffle_epi8(_mm_loadu_si128(in + 3), bytes);

        for (unsigned i = 0; i < 64; i += 16) {
            four_turns(&abef, &cdgh, w0, i);
            next_words(&w0, w1, w2, w3);
            four_turns(&abef, &cdgh, w1, i + 4);
            next_words(&w1, w2, w3, w0);
            four_turns(&abef, &cdgh, w2, i + 8);
            next_words(&w2, w3, w0, w1);
            four_turns(&abef, &cdgh, w3, i + 12);
            next_words(&w3, w0, w1, w2);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    abef = _mm_shuffle_epi32(abef, 0x1b); /* f e b a becomes a b e f, from the lowest word */
    cdgh = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128(at, _mm_blend_epi16(abef, cdgh, 0xf0));
    _mm_storeu_si128(at + 1, _mm_alignr_epi8(cdgh, abef, 8));
}

enum sha256_way sha256_best_way(void)
{
    unsigned a, b, c, d, features;

    __cpuid(0, a, b, c, d);
    if (a < 7)
        return SHA256_PORTABLE;
    __cpuid_count(7, 0, a, features, c, d);
    if ((features & bit_SHA) == 0)
        return SHA256_PORTABLE;
    __cpuid(1, a, b, c, d);
    return (c & bit_SSSE3) != 0 && (c & bit_SSE4_1) != 0 ? SHA256_INSTRUCTIONS : SHA256_PORTABLE;
}
#else
enum sha256_way sha256_best_way(void)
{
    return SHA256_PORTABLE;
}
#endif

static void mix(struct sha256 *h, const unsigned char *p, size_t blocks)
{
#if WITH_INSTRUCTIONS
    if (h->way == SHA256_NOT_ASKED && h->octets >= WORTH_ASKING)
        h->way = sha256_best_way();
    if (h->way == SHA256_INSTRUCTIONS) {
        mix_instructions(h->state, p, blocks);
        return;
    }
#endif
    for (; blocks > 0; blocks--, p += BLOCK)
        mix_portable(h->state, p);
}

void sha256_open(struct sha256 *h)
{
    *h = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                   0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(struct sha256 *h, struct span bytes)
{
    const size_t held = h->octets % BLOCK;
    size_t left;

    if (bytes.n == 0)
        return;
    h->octets += bytes.n;
    if (held > 0) {
        const struct span now = span_first(bytes, BLOCK - held);

        memcpy(h->block + held, now.p, now.n);
        bytes = span_from(bytes, now.n);
        if (held + now.n < BLOCK)
            return;
        mix(h, h->block, 1);
    }
    left = bytes.n % BLOCK;
    mix(h, (const unsigned char *)bytes.p, bytes.n / BLOCK);
    if (left > 0)
        memcpy(h->block, bytes.p + (bytes.n - left), left);
}

void sha256_close(struct sha256 *h, char hex[64])
{
    static const char digits[] = "0123456789abcdef";
    const uint64_t bits = h->octets * 8;
    size_t held = h->octets % BLOCK;

    h->block[held++] = 0x80;
    if (held > BLOCK - 8) {
        memset(h->block + held, 0, BLOCK - held);
        mix(h, h->block, 1);
        held = 0;
    }
    memset(h->block + held, 0, BLOCK - 8 - held);
    for (unsigned i = 0; i < 8; i++)
        h->block[BLOCK - 8 + i] = (unsigned char)(bits >> (56 - 8 * i));
    mix(h, h->block, 1);
    for (unsigned i = 0; i < 64; i++)
        hex[i] = digits[h->state[i / 8] >> (28 - i % 8 * 4) & 15];
}
