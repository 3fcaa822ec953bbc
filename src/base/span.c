#include "base/span.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (byte_lower(s.p[i]) != byte_lower(prefix.p[i]))
            return false;
    return true;
}

/* Most spans that are searched are a line or less: a call of memchr(3) costs more than to find. */
size_t span_find(struct span s, char c)
{
    size_t i = 0;

#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi8(c);

    for (; s.n - i >= 16; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(s.p + i));
        const unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted));

        if (found != 0)
            return i + (size_t)__builtin_ctz(found);
    }
#endif
    while (i < s.n && s.p[i] != c)
        i++;
    return i;
}

size_t span_count(struct span s, char c)
{
    size_t i = 0, n = 0;

#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi8(c), zero = _mm_setzero_si128();

    while (s.n - i >= 16) {
        /* Sixteen counters of an octet each, which hold 255. */
        const size_t blocks = (s.n - i) / 16 < 255 ? (s.n - i) / 16 : 255;
        __m128i counters = zero;

        for (const size_t end = i + blocks * 16; i < end; i += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(s.p + i));

            counters = _mm_sub_epi8(counters, _mm_cmpeq_epi8(bytes, wanted));
        }
        counters = _mm_sad_epu8(counters, zero);
        n += (size_t)_mm_cvtsi128_si32(counters) +
             (size_t)_mm_cvtsi128_si32(_mm_srli_si128(counters, 8));
    }
#endif
    for (; i < s.n; i++)
        n += s.p[i] == c;
    return n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.n > 0 && is_blank(s.p[0]))
        s = span_from(s, 1);
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static inline bool is_one_of(char c, const char *set)
{
    while (*set != '\0' && *set != c)
        set++;
    return *set != '\0';
}

bool span_word(struct span *s, const char *separators, struct span *word)
{
    char largest = separators[0];
    size_t n = 0;

    for (const char *c = separators; *c != '\0'; c++)
        if (*c > largest)
            largest = *c;
    while (s->n > 0 && is_one_of(s->p[0], separators))
        *s = span_from(*s, 1);
    /* Letters and digits, which are most of it, are larger than any. */
    while (n < s->n && (s->p[n] > largest || !is_one_of(s->p[n], separators)))
        n++;
    *word = span_first(*s, n);
    *s = span_from(*s, n);
    return n > 0;
}

int byte_hex(char c)
{
    if (byte_is_digit(c))
        return c - '0';
    c = byte_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t utf8_length(struct span s)
{
    /* The second byte's range depends on the first (RFC 3629 section 4). */
    unsigned char first, low = 0x80, high = 0xbf;
    size_t n;

    if (s.n == 0)
        return 0;
    first = (unsigned char)s.p[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first == 0xe0)
        low = 0xa0;
    if (first == 0xed)
        high = 0x9f;
    if (first == 0xf0)
        low = 0x90;
    if (first == 0xf4)
        high = 0x8f;
    if (s.n < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        const unsigned char c = (unsigned char)s.p[i];

        if (c < low || c > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

bool utf8_valid(struct span s)
{
    while (s.n > 0) {
        const size_t n = utf8_length(s);

        if (n == 0)
            return false;
        s = span_from(s, n);
    }
    return true;
}
