#include "base/span.h"

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Eight octets at a time, as one number: most spans are a word or a line, for which a call of
 * memchr(3) or memcmp(3) costs more than the work. */
enum { EIGHT = sizeof(uint64_t) };
static const uint64_t EACH = UINT64_MAX / 255, HIGH = UINT64_MAX / 255 * 0x80;

static uint64_t load(const char *p)
{
    uint64_t octets;

    memcpy(&octets, p, sizeof octets);
    return octets;
}

/* The high bit of each octet that is 0; above the first of them, of others too. */
static uint64_t zeros(uint64_t octets)
{
    return (octets - EACH) & ~octets & HIGH;
}

static uint64_t are(uint64_t octets, char c)
{
    return zeros(octets ^ EACH * (unsigned char)c);
}

/* The place of the first of them. */
static size_t first_of(uint64_t found)
{
    return (size_t)__builtin_ctzll(found) / 8;
}

static const bool PLACES_ARE_KNOWN = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

bool span_eq(struct span a, struct span b)
{
    size_t i = 0;

    if (a.n != b.n)
        return false;
    for (; a.n - i >= EIGHT; i += EIGHT)
        if (load(a.p + i) != load(b.p + i))
            return false;
    while (i < a.n && a.p[i] == b.p[i])
        i++;
    return i == a.n;
}

bool span_starts_nocase(struct span s, struct span prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (s.p[i] != prefix.p[i] && byte_lower(s.p[i]) != byte_lower(prefix.p[i]))
            return false;
    return true;
}

size_t span_find(struct span s, char c)
{
    size_t i = 0;

    for (; PLACES_ARE_KNOWN && s.n - i >= EIGHT; i += EIGHT) {
        const uint64_t found = are(load(s.p + i), c);

        if (found != 0)
            return i + first_of(found);
    }
    while (i < s.n && s.p[i] != c)
        i++;
    return i;
}

size_t span_find_line_end(struct span s)
{
    size_t i = 0;

    for (; PLACES_ARE_KNOWN && s.n - i >= EIGHT; i += EIGHT) {
        const uint64_t octets = load(s.p + i), found = are(octets, '\r') | are(octets, '\n');

        if (found != 0)
            return i + first_of(found);
    }
    while (i < s.n && s.p[i] != '\r' && s.p[i] != '\n')
        i++;
    return i;
}

/* Is one of eight octets a control? No carry from one that is none can make another look like one:
 * the lowest that is found is one. */
static bool have_control(uint64_t octets)
{
    return (((octets - 0x20 * EACH) & ~octets & HIGH) | are(octets, 0x7f)) != 0;
}

/* Is one of the octets a control octet, or outside ASCII? What one octet carries over into the
 * next, or borrows from it, it does only if it is such an octet itself. */
static bool is_odd(uint64_t octets)
{
    return (((octets - 0x20 * EACH) | octets | (octets + EACH)) & HIGH) != 0;
}

bool span_has_control(struct span s)
{
    bool found = false;

    if (s.n < EIGHT) {
        for (size_t i = 0; !found && i < s.n; i++)
            found = byte_is_control(s.p[i]);
        return found;
    }
    for (size_t i = 0; !found && i + EIGHT < s.n; i += EIGHT)
        found = have_control(load(s.p + i));
    return found || have_control(load(s.p + s.n - EIGHT)); /* some of it for the second time */
}

bool span_is_printable(struct span s)
{
    bool found = false;

    if (s.n < EIGHT) {
        for (size_t i = 0; !found && i < s.n; i++)
            found = byte_is_control(s.p[i]) || byte_is_high(s.p[i]);
        return !found;
    }
    for (size_t i = 0; !found && i + EIGHT < s.n; i += EIGHT)
        found = is_odd(load(s.p + i));
    return !found && !is_odd(load(s.p + s.n - EIGHT));
}

bool span_has_control_but_tab(struct span s)
{
    bool found = false;

    if (span_has_control(s))
        for (size_t i = 0; i < s.n; i++)
            found = found || (byte_is_control(s.p[i]) && s.p[i] != '\t');
    return found;
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

bool span_is_ascii(struct span s)
{
    uint64_t all = 0;
    size_t i = 0;

    for (; s.n - i >= EIGHT; i += EIGHT)
        all |= load(s.p + i);
    for (; i < s.n; i++)
        all |= (unsigned char)s.p[i];
    return (all & HIGH) == 0;
}

bool utf8_valid(struct span s)
{
    if (span_is_ascii(s))
        return true;
    while (s.n > 0) {
        const size_t n = utf8_length(s);

        if (n == 0)
            return false;
        s = span_from(s, n);
    }
    return true;
}
