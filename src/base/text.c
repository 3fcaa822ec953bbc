#include "base/text.h"

#include <string.h>

/* Most pieces of text are a few octets long: two moves, which may overlap, are less than a call of
 * memcpy. Returns false where n is more. */
static inline bool copy_short(char *to, const char *from, size_t n)
{
    uint64_t first, last;
    uint32_t half, end;

    if (n > 2 * sizeof first)
        return false;
    if (n >= sizeof first) {
        memcpy(&first, from, sizeof first);
        memcpy(&last, from + n - sizeof last, sizeof last);
        memcpy(to, &first, sizeof first);
        memcpy(to + n - sizeof last, &last, sizeof last);
    } else if (n >= sizeof half) {
        memcpy(&half, from, sizeof half);
        memcpy(&end, from + n - sizeof end, sizeof end);
        memcpy(to, &half, sizeof half);
        memcpy(to + n - sizeof end, &end, sizeof end);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    }
    return true;
}

void text_add(struct text *t, struct span s)
{
    const size_t room = t->cap - t->n;

    if (s.n > room) {
        s.n = room;
        t->cut = true;
    }
    if (s.n > 0 && !copy_short(t->p + t->n, s.p, s.n))
        memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

/* Inline, since a constant base is divided by without a division. */
static inline void add_digits(struct text *t, uint64_t number, unsigned width, unsigned base)
{
    char digits[64];
    size_t at = sizeof digits;

    do {
        digits[--at] = "0123456789abcdefghijklmnopqrstuv"[number % base];
        number /= base;
    } while (at > 0 && (number > 0 || sizeof digits - at < width));
    text_add(t, (struct span){.p = digits + at, .n = sizeof digits - at});
}

void text_addn(struct text *t, uint64_t number, unsigned width)
{
    add_digits(t, number, width, 10);
}

void text_add32(struct text *t, uint64_t number)
{
    add_digits(t, number, 1, 32);
}

/* Bytes that show as something else: C1 controls (U+0080-9F), line separators and the marks that
 * turn the direction of text (U+200E-F, U+2028-202E, U+2066-2069). */
static bool is_deceptive(struct span s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (n == 2)
        return p[0] == 0xc2 && p[1] < 0xa0;
    return n == 3 && p[0] == 0xe2 &&
           ((p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
            (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

void text_add_escaped(struct text *t, struct span s, const char *also)
{
    const struct span special = span_of(also);
    static const char hex[] = "0123456789abcdef";

    while (s.n > 0) {
        const size_t n = utf8_length(s);
        const char c = s.p[0];

        if (n == 0 || byte_is_control(c) || is_deceptive(s, n) ||
            span_find(special, c) < special.n) {
            const char escaped[4] = {'\\', 'x', hex[(unsigned char)c >> 4], hex[c & 15]};

            text_add(t, (struct span){.p = escaped, .n = 4});
            s = span_from(s, 1);
        } else {
            text_add(t, span_first(s, n));
            s = span_from(s, n);
        }
    }
}

const char *text_string(struct text *t)
{
    if (t->n == t->cap) {
        t->n--;
        t->cut = true;
    }
    t->p[t->n] = '\0';
    return t->p;
}
