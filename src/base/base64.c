#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits that an octet stands for; -1: it is none of the alphabet. */
static int bits_of(char c)
{
    if (byte_is_digit(c))
        return c - '0' + 52;
    if (byte_is_alpha(c))
        return byte_lower(c) - 'a' + (c >= 'a' ? 26 : 0);
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t padding_of(struct span s)
{
    if (s.n < 2 || s.p[s.n - 1] != '=')
        return 0;
    return s.p[s.n - 2] == '=' ? 2 : 1;
}

bool base64_is(struct span s)
{
    const size_t padding = padding_of(s);
    int last = 0;

    if (s.n % 4 != 0)
        return false;
    for (size_t i = 0; i < s.n - padding; i++) {
        last = bits_of(s.p[i]);
        if (last < 0)
            return false;
    }
    /* One octet is in 12 bits, two are in 18. */
    return (last & (padding == 2 ? 0xf : padding == 1 ? 0x3 : 0)) == 0;
}

bool base64_decode(struct span s, struct text *out)
{
    const size_t digits = s.n - padding_of(s), n = digits * 6 / 8;
    unsigned bits = 0, have = 0;

    if (!base64_is(s) || n > out->cap - out->n)
        return false;
    for (size_t i = 0; i < digits; i++) {
        bits = bits << 6 | (unsigned)bits_of(s.p[i]);
        have += 6;
        if (have >= 8) {
            have -= 8;
            text_addc(out, (char)(bits >> have));
            bits &= (1U << have) - 1;
        }
    }
    return true;
}

void base64_encode(struct span s, struct text *out)
{
    for (size_t i = 0; i < s.n; i += 3) {
        const size_t n = s.n - i < 3 ? s.n - i : 3;
        unsigned bits = 0;

        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < n ? (unsigned char)s.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            text_addc(out, k > n ? '=' : alphabet[bits >> (18 - 6 * k) & 0x3f]);
    }
}
