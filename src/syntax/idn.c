#include "syntax/idn.h"

static enum idn_result convert(struct idn *i, struct span domain, struct text *out)
{
    char name[SMTP_DOMAIN_MAX + 1];
    struct text input = TEXT(name);
    struct idn own = {0};
    enum idn_result result;

    text_add(&input, domain);
    text_string(&input);
    if (input.cut)
        return IDN_NONE;
    result = idn_convert(i == NULL ? &own : i, name, out);
    idn_end(&own);
    return result;
}

enum idn_result idn_to_ascii(struct idn *i, struct span domain, struct text *out)
{
    char room[IDN_ASCII_MAX];
    struct text ascii = TEXT(room);
    enum idn_result result = IDN_OK;

    if (span_is_ascii(domain))
        text_add(&ascii, domain);
    else
        result = convert(i, domain, &ascii);
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

bool idn_works(struct idn *i)
{
    char room[64];
    struct text out = TEXT(room);

    return idn_to_ascii(i, SPAN("\xc3\xbc.example"), &out) == IDN_OK;
}
