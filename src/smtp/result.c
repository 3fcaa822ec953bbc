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

static const struct smtp_reply *find_row(unsigned status)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return &rows[i].reply;
    return NULL;
}

/* The reply of a code alone; what it means is not known in more detail. */
static const struct smtp_reply generic[] = {
    {.code = 250, .enhanced = TEXT_OF("2.0.0"), .text = TEXT_OF("OK")},
    {.code = 450,
     .enhanced = TEXT_OF("4.2.0"),
     .text = TEXT_OF("Mailbox unavailable, try later"),
     .rule = "delivery"},
    {.code = 451,
     .enhanced = TEXT_OF("4.3.0"),
     .text = TEXT_OF("Delivery failed, try again later"),
     .rule = "delivery"},
    {.code = 452,
     .enhanced = TEXT_OF("4.3.1"),
     .text = TEXT_OF("Insufficient system storage"),
     .rule = "delivery"},
    {.code = 550,
     .enhanced = TEXT_OF("5.2.0"),
     .text = TEXT_OF("Mailbox unavailable"),
     .rule = "delivery"},
    {.code = 552,
     .enhanced = TEXT_OF("5.2.2"),
     .text = TEXT_OF("Mailbox full"),
     .rule = "delivery"},
    {.code = 554,
     .enhanced = TEXT_OF("5.3.0"),
     .text = TEXT_OF("Delivery refused"),
     .rule = "delivery"},
};

static const struct smtp_reply *find_generic(uint64_t code)
{
    for (size_t i = 0; i < sizeof generic / sizeof *generic; i++)
        if (generic[i].code == code)
            return &generic[i];
    return NULL;
}

static const struct {
    struct span name, rows;
} presets[] = {
    /* qmail-command(8) */
    {TEXT_OF("qmail"), TEXT_OF("99:250 100:554 64:554 65:554 70:554 76:554 77:554 78:554 112:554 "
                               "67:451 68:451")},
    /* What sendmail(8) makes of them, but for those that speak of the command's own mistakes. */
    {TEXT_OF("sysexits"), TEXT_OF("66:550 69:554 73:550 76:554")},
};

bool smtp_exit_map_add(struct smtp_exit_map *map, struct span words)
{
    struct span word;

    while (span_word(&words, " \t,", &word)) {
        const size_t colon = span_find(word, ':');
        uint64_t status, code;
        bool known = false;

        for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
            if (span_eq_nocase(word, presets[i].name))
                known = smtp_exit_map_add(map, presets[i].rows);
        if (known)
            continue;
        if (number_parse(span_first(word, colon), 255, &status) != NUMBER_OK ||
            number_parse(span_from(word, colon + 1), 599, &code) != NUMBER_OK ||
            find_generic(code) == NULL)
            return false;
        map->code[status] = (unsigned short)code;
    }
    return true;
}

struct smtp_reply smtp_result_of_exit(const struct smtp_exit_map *map, unsigned status)
{
    const struct smtp_reply *usual = find_row(status);
    const struct smtp_reply *mapped =
        map != NULL && status < 256 ? find_generic(map->code[status]) : NULL;

    if (mapped != NULL && (usual == NULL || usual->code != mapped->code))
        return *mapped;
    return usual == NULL ? smtp_result_of_failure() : *usual;
}

struct smtp_reply smtp_result_of_qmail_queue(unsigned status)
{
    if (status == 0)
        return smtp_result_of_exit(NULL, 0);
    if (status >= 11 && status <= 40)
        return smtp_result_of_exit(NULL, 100);
    return smtp_result_of_failure();
}

/* status-code = class "." subject "." detail; class is 2, 4 or 5, the others 1*3DIGIT without a
 * leading zero (RFC 3463 2). Returns the length of what looks like one at the start of s, 0 for
 * none; *good: it is one. */
static size_t enhanced_length(struct span s, bool *good)
{
    size_t at = 1;

    *good = false;
    if (s.n == 0 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5'))
        return 0;
    *good = true;
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;

        if (at >= s.n || s.p[at] != '.')
            return 0;
        at++;
        while (at + digits < s.n && byte_is_digit(s.p[at + digits]))
            digits++;
        if (digits == 0)
            return 0;
        *good = *good && digits <= 3 && (digits == 1 || s.p[at] != '0');
        at += digits;
    }
    return at == s.n || byte_is_blank(s.p[at]) ? at : 0;
}

unsigned smtp_code_of_enhanced(struct span enhanced)
{
    /* The first row that fits. A prefix ends with a dot, any other row is a whole code. Where
     * IANA's registry names basic codes, and DATA may have one of them, it is that one; so 4.7.0 is
     * 450, and not 451. */
    static const struct {
        struct tag enhanced;
        unsigned code;
    } codes[] = {
        {TAG("4.2.2"), 452},  {TAG("4.2.4"), 450}, {TAG("4.3.1"), 452}, {TAG("4.7.0"), 450},
        {TAG("4.7.15"), 450}, {TAG("4."), 451},    {TAG("5.2.2"), 552}, {TAG("5.2.3"), 552},
        {TAG("5.3.4"), 552},  {TAG("5.4.3"), 550}, {TAG("5.5.2"), 550}, {TAG("5.5.4"), 550},
        {TAG("5.6.7"), 550},  {TAG("5.6.8"), 550}, {TAG("5.7.8"), 554}, {TAG("5.7.14"), 554},
        {TAG("5.7.16"), 552}, {TAG("5.1."), 550},  {TAG("5.2."), 550},  {TAG("5.7."), 550},
        {TAG("5."), 554},
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const struct span row = tag_span(&codes[i].enhanced);
        const bool whole = row.p[row.n - 1] != '.';

        if (whole ? span_eq(enhanced, row) : span_starts_nocase(enhanced, row))
            return codes[i].code;
    }
    return 0;
}

/* A line of a command, taken apart. */
struct said {
    uint64_t code;        /* its basic code, 0: none */
    struct span enhanced; /* empty: none */
    struct span text;     /* the rest */
    bool contradicts;     /* its two codes are of two classes */
};

/* Reply-code = %x32-35 %x30-35 %x30-39 (RFC 5321 4.2), then a blank, a '-' or the end. Servers have
 * other second digits too (571): their class is known all the same. */
static uint64_t basic_code(struct span line)
{
    uint64_t code;

    if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' ||
        (line.n > 3 && !byte_is_blank(line.p[3]) && line.p[3] != '-') ||
        number_parse(span_first(line, 3), 599, &code) != NUMBER_OK)
        return 0;
    return code;
}

/* What only looks like an enhanced code is left out: it would be read as one. */
static struct said take_apart(struct span line)
{
    struct said s = {.code = basic_code(line)};
    struct span rest = s.code == 0 ? line : span_trim(span_from(line, 4));
    bool good;
    const size_t n = enhanced_length(rest, &good);

    if (n > 0 && good)
        s.enhanced = span_first(rest, n);
    s.text = span_trim(span_from(rest, n));
    s.contradicts =
        s.code != 0 && s.enhanced.n > 0 && s.code / 100 != (uint64_t)(s.enhanced.p[0] - '0');
    return s;
}

/* The class of what a line says, 0: it says none. */
static uint64_t class_of(const struct said *s)
{
    return s->enhanced.n > 0 ? (uint64_t)(s->enhanced.p[0] - '0') : s->code / 100;
}

/* The row for a code, else that of its class: an LMTP server's 501 or 553 is an answer too. */
static const struct smtp_reply *generic_of(uint64_t code)
{
    const struct smtp_reply *known = find_generic(code);

    if (known != NULL)
        return known;
    return find_generic(code >= 500                 ? 554
                        : code >= 400               ? 451
                        : code >= 200 && code < 300 ? 250
                                                    : 0);
}

/* The usual text of an enhanced code, else of the code. */
static struct span usual_text(const struct smtp_reply *r)
{
    const struct smtp_reply *known;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].reply.code == r->code && span_eq(rows[i].reply.enhanced, r->enhanced))
            return rows[i].reply.text;
    known = generic_of(r->code);
    return known == NULL ? r->text : known->text;
}

struct span smtp_first_line(struct span output)
{
    output = span_first(output, span_find(output, '\n'));
    return span_first(output, span_find(output, '\r'));
}

/* Cut, without control characters, without bytes outside ASCII; in the rest of *room. */
static struct span clean_line(struct span line, struct text *room)
{
    struct text clean = {.p = room->p + room->n, .cap = room->cap - room->n};

    if (clean.cap > SMTP_RESULT_TEXT_MAX)
        clean.cap = SMTP_RESULT_TEXT_MAX;
    for (size_t i = 0; i < line.n; i++)
        text_addc(&clean, byte_is_high(line.p[i])      ? '?'
                          : byte_is_control(line.p[i]) ? ' '
                                                       : line.p[i]);
    room->n += clean.n;
    return span_trim(text_span(&clean));
}

/* The codes of a failed command's line, where they count. */
static void take_codes(struct smtp_reply *r, const struct said *said, bool codes)
{
    const unsigned fitting = smtp_code_of_enhanced(said->enhanced);
    const struct smtp_reply *known = codes && said->code >= 400 ? generic_of(said->code) : NULL;

    if (fitting != 0) {
        r->code = fitting;
        r->enhanced = said->enhanced;
    }
    if (known != NULL) {
        r->code = known->code;
        if (fitting == 0)
            r->enhanced = known->enhanced;
    }
    r->text = usual_text(r);
}

void smtp_result_refine(struct smtp_reply *r, struct span output, bool codes, struct text *room)
{
    const struct said said = take_apart(clean_line(smtp_first_line(output), room));
    const uint64_t class = class_of(&said);

    if (said.contradicts)
        return;
    if (r->code >= 400 && class >= 4 && (said.enhanced.n > 0 || codes))
        take_codes(r, &said, codes);
    /* Words that speak of another result than the code does are left out. */
    if (said.text.n > 0 && (class == 0 || class == r->code / 100))
        r->text = said.text;
}

bool smtp_result_of_line(struct smtp_reply *r, struct span line, struct text *room)
{
    const struct span clean = clean_line(line, room);
    const struct said said = take_apart(clean);
    const struct smtp_reply *known = generic_of(said.code);

    if (said.code == 0 || known == NULL || said.contradicts || (clean.n > 3 && clean.p[3] != ' '))
        return false;
    *r = *known;
    if (said.enhanced.n > 0)
        r->enhanced = said.enhanced;
    if (said.text.n > 0)
        r->text = said.text;
    return true;
}

bool smtp_result_of_words(struct smtp_reply *r, struct span words, struct text *room)
{
    const struct span clean = clean_line(words, room);
    const struct said said = take_apart(clean);
    const bool permanent = said.code >= 500;

    if (said.code < 400 || said.contradicts || (clean.n > 3 && clean.p[3] == '-'))
        return false;
    *r = *smtp_reply(permanent ? SMTP_REPLY_REFUSED : SMTP_REPLY_DEFERRED);
    /* RFC 5321 4.2: the second digit is 0 to 5 (571 is not). */
    r->code = said.code / 10 % 10 > 5 ? generic_of(said.code)->code : (unsigned)said.code;
    r->close = said.code == 421 || said.code == 521;
    /* IANA's registry has 4.7.1 beside 451, and 4.7.0 beside 450. */
    if (r->code == 451)
        r->enhanced = SPAN("4.7.1");
    if (said.enhanced.n > 0)
        r->enhanced = said.enhanced;
    if (said.text.n > 0)
        r->text = said.text;
    return true;
}

void smtp_result_add_words(struct smtp_reply *r, struct span words, struct text *room)
{
    struct span rest = clean_line(words, room);
    bool good;
    const size_t n = enhanced_length(rest, &good);

    if (n > 0 && good && (unsigned)(rest.p[0] - '0') == r->code / 100)
        r->enhanced = span_first(rest, n);
    rest = span_trim(span_from(rest, n));
    if (rest.n > 0)
        r->text = rest;
}
