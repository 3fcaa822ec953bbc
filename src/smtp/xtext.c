#include "smtp/xtext.h"

static unsigned hex_digit(char c)
{
    return byte_is_digit(c)       ? (unsigned)(c - '0')
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                  : 16;
}

/* Printable octets, and "+" with two capital hexadecimal digits for any. A control octet has no
 * place in what it stands for here. */
bool smtp_read_xtext(struct span value, struct text *out)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned high, low;

        if (value.p[i] != '+') {
            if (byte_is_high(value.p[i]))
                return false;
            text_addc(out, value.p[i]);
            continue;
        }
        high = i + 2 < value.n ? hex_digit(value.p[i + 1]) : 16;
        low = i + 2 < value.n ? hex_digit(value.p[i + 2]) : 16;
        if (high > 15 || low > 15 || byte_is_control((char)(high << 4 | low)))
            return false;
        text_addc(out, (char)(high << 4 | low));
        i += 2;
    }
    return !out->cut;
}
