#include "smtp/result.h"

#include "base/number.h"

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

struct row {
    unsigned status;
    struct smtp_reply reply;
};

static const struct row rows[] = {
    {.status = 0, .reply = {.code = 250, .enhanced = TEXT_OF("2.0.0"), .text = TEXT_OF("OK")}},
    {.status = 65,
     .reply = {.code = 554,
               .enhanced = TEXT_OF("5.6.0"),
               .text = TEXT_OF("Message refused"),
               .rule = "delivery"}},
    {.status = 67,
     .reply = {.code = 550,
               .enhanced = TEXT_OF("5.1.1"),
               .text = TEXT_OF("User unknown"),
               .rule = "delivery"}},
    {.status = 68,
     .reply = {.code = 550,
               .enhanced = TEXT_OF("5.1.2"),
               .text = TEXT_OF("Host unknown"),
               .rule = "delivery"}},
    {.status = 77,
     .reply = {.code = 550,
               .enhanced = TEXT_OF("5.7.1"),
               .text = TEXT_OF("Permission denied"),
               .rule = "delivery"}},
    {.status = 100,
     .reply = {.code = 554,
               .enhanced = TEXT_OF("5.3.0"),
               .text = TEXT_OF("Delivery refused"),
               .rule = "delivery"}},
};

struct smtp_reply smtp_result_of_failure(void)
{
    return *smtp_reply(SMTP_REPLY_DELIVERY_FAILED);
}

struct smtp_reply smtp_result_of_exit(unsigned status)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].reply;
    return smtp_result_of_failure();
}

struct smtp_reply smtp_result_of_qmail_queue(unsigned status)
{
    if (status == 0)
        return smtp_result_of_exit(0);
    if (status >= 11 && status <= 40)
        return smtp_result_of_exit(100);
    return smtp_result_of_failure();
}

/* status-code = class "." subject "." detail; class is 2, 4 or 5, the others 1*3DIGIT
 * (RFC 3463 2). Returns its length at the start of s, 0 for none. */
static size_t enhanced_length(struct span s)
{
    size_t at = 1;

    if (s.n == 0 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5'))
        return 0;
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;

        if (at >= s.n || s.p[at] != '.')
            return 0;
        at++;
        while (at < s.n && digits < 3 && byte_is_digit(s.p[at])) {
            at++;
            digits++;
        }
        if (digits == 0)
            return 0;
    }
    return at == s.n || s.p[at] == ' ' || s.p[at] == '\t' ? at : 0;
}

unsigned smtp_code_of_enhanced(struct span enhanced)
{
    static const struct {
        struct span prefix;
        unsigned code;
    } codes[] = {
        {TEXT_OF("4.2.2"), 452}, {TEXT_OF("4.3.1"), 452}, {TEXT_OF("4."), 451},
        {TEXT_OF("5.2.2"), 552}, {TEXT_OF("5.2.3"), 552}, {TEXT_OF("5.3.4"), 552},
        {TEXT_OF("5.1."), 550},  {TEXT_OF("5.2."), 550},  {TEXT_OF("5.7."), 550},
        {TEXT_OF("5."), 554},
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const struct span prefix = codes[i].prefix;
        const bool whole = prefix.n == 5;

        if (whole ? span_eq(enhanced, prefix) : span_starts_nocase(enhanced, prefix))
            return codes[i].code;
    }
    return 0;
}

/* Takes "550 " or "550-" off the line when an enhanced code of the same class comes next. */
static struct span skip_basic_code(struct span line)
{
    const struct span rest = span_from(line, 4);
    uint64_t code;

    if (line.n > 4 && number_parse(span_first(line, 3), 599, &code) == NUMBER_OK &&
        (line.p[3] == ' ' || line.p[3] == '-') && enhanced_length(rest) > 0 &&
        rest.p[0] == line.p[0])
        return rest;
    return line;
}

struct span smtp_first_line(struct span output)
{
    output = span_first(output, span_find(output, '\n'));
    return span_first(output, span_find(output, '\r'));
}

void smtp_result_refine(struct smtp_reply *r, struct span output, struct text *room)
{
    const struct span line = smtp_first_line(output);
    struct text clean = {.p = room->p + room->n, .cap = room->cap - room->n};
    struct span said;
    size_t n;

    if (clean.cap > SMTP_RESULT_TEXT_MAX)
        clean.cap = SMTP_RESULT_TEXT_MAX;
    for (size_t i = 0; i < line.n; i++)
        text_addc(&clean, byte_is_high(line.p[i])      ? '?'
                          : byte_is_control(line.p[i]) ? ' '
                                                       : line.p[i]);
    room->n += clean.n;
    said = skip_basic_code(span_trim(text_span(&clean)));
    n = enhanced_length(said);
    if (n > 0) {
        const unsigned code = smtp_code_of_enhanced(span_first(said, n));

        if (r->code >= 400 && code != 0) {
            r->code = code;
            r->enhanced = span_first(said, n);
        }
        said = span_trim(span_from(said, n));
    }
    if (said.n > 0)
        r->text = said;
}
