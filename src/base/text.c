#include "base/text.h"

#include <string.h>

/* n octets by two moves of `size`, which is a constant and no more than n, but at least half of it:
 * they may overlap. */
static inline void move_ends(char *to, const char *from, size_t n, size_t size)
{
    char first[16], last[16];

    memcpy(first, from, size);
    memcpy(last, from + n - size, size);
    memcpy(to, first, size);
    memcpy(to + n - size, last, size);
}

/* Most pieces of text are short: for them, a call of memcpy is more than the moves. */
static inline void copy(char *to, const char *from, size_t n)
{
    if (n > 32)
        memcpy(to, from, n);
    else if (n >= 16)
        move_ends(to, from, n, 16);
    else if (n >= 8)
        move_ends(to, from, n, 8);
    else if (n >= 4)
        move_ends(to, from, n, 4);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
}

void text_append(struct text *t, struct span s)
{
    const size_t at = t->n, room = t->cap - at;

    if (s.n > room) {
        s.n = room;
        t->cut = true;
    }
    t->n = at + s.n;
    if (s.n > 0)
        copy(t->p + at, s.p, s.n);
}

/* Inline, since a constant base is divided by without a division. */
static inline void add_digits(struct text *t, uint64_t number, unsigned width, unsigned base)
{
    uint64_t left = number;
    size_t n = 1;

    for (; left >= base; left /= base)
        n++;
    n = n < width ? width : n;
    if (n > t->cap - t->n) {
        t->cut = true;
        return;
    }
    for (size_t i = n; i > 0; i--, number /= base)
        t->p[t->n + i - 1] = "0123456789abcdefghijklmnopqrstuv"[number % base];
    t->n += n;
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

/* How many octets at its start are printable ASCII, and none of the special ones: nearly all of
 * what is logged. */
static size_t plain_run(struct span s, const char *special)
{
    size_t n = 0;

    for (; n < s.n && !byte_is_high(s.p[n]) && !byte_is_control(s.p[n]); n++)
        for (const char *c = special; *c != '\0'; c++)
            if (*c == s.p[n])
                return n;
    return n;
}

void text_add_escaped(struct text *t, struct span s, const char *also)
{
    static const char hex[] = "0123456789abcdef";

    for (;;) {
        size_t n = plain_run(s, also);
        char c;

        text_add(t, span_first(s, n));
        s = span_from(s, n);
        if (s.n == 0)
            return;
        n = utf8_length(s);
        c = s.p[0];
        if (n == 0 || !byte_is_high(c) || is_deceptive(s, n)) {
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
