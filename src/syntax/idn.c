#include "syntax/idn.h"

enum idn_result idn_ask(struct idn *i, struct span domain, struct text *out)
{
    char name[SMTP_DOMAIN_MAX + 1], room[IDN_ASCII_MAX];
    struct text input = TEXT(name), ascii = TEXT(room);
    enum idn_result result = IDN_OK;

    text_add(&input, domain);
    text_string(&input);
    if (span_is_ascii(domain))
        text_add(&ascii, domain);
    else
        result = input.cut ? IDN_NONE : idn_convert(i, name, &ascii);
    if (result != IDN_OK)
        return result;
    if (!span_is_ascii(domain) && !smtp_is_domain(text_span(&ascii), false))
        return IDN_NONE;
    if (ascii.cut || out->cap - out->n <= ascii.n)
        return IDN_NONE;
    for (size_t k = 0; k < ascii.n; k++)
        text_addc(out, byte_lower(ascii.p[k]));
    out->p[out->n] = '\0';
    return IDN_OK;
}

enum idn_result idn_to_ascii(struct span domain, struct text *out)
{
    struct idn i = IDN_INIT;
    const enum idn_result result = idn_ask(&i, domain, out);

    idn_end(&i);
    return result;
}

bool idn_works(void)
{
    char room[64];
    struct text out = TEXT(room);

    return idn_to_ascii(SPAN("\xc3\xbc.example"), &out) == IDN_OK;
}
