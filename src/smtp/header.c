#include "smtp/header.h"

enum line_kind { LINE_FIELD, LINE_FOLDED, LINE_EMPTY, LINE_OTHER, LINE_UNKNOWN };

/* field = field-name ":" unstructured CRLF
 * field-name = 1*ftext; ftext = %d33-57 / %d59-126 (RFC 5322 2.2, 3.6.8), and blanks before the
 * colon (4.5.8). LINE_UNKNOWN: it goes on behind `line`, which has no end. */
static enum line_kind kind_of(struct span line, bool ended)
{
    size_t n = 0;

    if (line.n > 0 && byte_is_blank(line.p[0]))
        return LINE_FOLDED;
    while (n < line.n && n <= SMTP_FIELD_NAME_MAX && line.p[n] > ' ' && line.p[n] < 127 &&
           line.p[n] != ':')
        n++;
    if (n == 0 && (line.n > 0 || !ended))
        return line.n > 0 ? LINE_OTHER : LINE_UNKNOWN;
    if (line.n == 0)
        return LINE_EMPTY;
    while (n < line.n && n <= SMTP_FIELD_NAME_MAX && byte_is_blank(line.p[n]))
        n++;
    if (n == line.n && !ended && n <= SMTP_FIELD_NAME_MAX)
        return LINE_UNKNOWN;
    return n < line.n && line.p[n] == ':' ? LINE_FIELD : LINE_OTHER;
}

/* The first line without its end; *ended: it has one. */
static struct span first_line(struct span bytes, bool *ended)
{
    struct span line = span_first(bytes, span_find(bytes, '\n'));

    *ended = line.n < bytes.n;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool is_mbox_mark(struct span line)
{
    return span_eq(span_first(line, 5), SPAN("From ")) ||
           span_eq(span_first(line, 6), SPAN(">From "));
}

enum smtp_start smtp_header_start(struct span bytes, bool whole)
{
    bool ended;
    struct span line = first_line(bytes, &ended);
    const size_t next = span_find(bytes, '\n') + 1;
    enum line_kind kind = kind_of(line, ended || whole);

    if (whole && bytes.n == 0)
        return SMTP_START_HEADER;
    if (kind == LINE_OTHER && is_mbox_mark(line) && line.n <= SMTP_FIELD_NAME_MAX) {
        if (!ended)
            return whole ? SMTP_START_TEXT : SMTP_START_MORE;
        line = first_line(span_from(bytes, next), &ended);
        kind = kind_of(line, ended || whole);
        kind = kind == LINE_EMPTY ? LINE_OTHER : kind;
    }
    return kind == LINE_UNKNOWN                       ? SMTP_START_MORE
           : kind == LINE_FIELD || kind == LINE_EMPTY ? SMTP_START_HEADER
                                                      : SMTP_START_TEXT;
}

/* Was this field, folded lines and all, written by smtpin on `hostname` (smtp/trace.c)? */
static bool is_own(struct span received, struct span hostname)
{
    struct span word, before = SPAN(""), before_that = SPAN("");

    while (span_word(&received, " \t\r\n", &word)) {
        if (span_eq(word, SPAN("(smtpin)")) && span_eq_nocase(before, hostname) &&
            span_eq_nocase(before_that, SPAN("by")))
            return true;
        before_that = before;
        before = word;
    }
    return false;
}

/* A field that has come to its end. `counted`: Delivered-To: fields above it that count; those
 * behind them wait for the next Received:. */
static void take_field(struct smtp_header *h, struct span field, struct span hostname,
                       size_t *counted)
{
    const struct span to = SPAN("Delivered-To:");

    if (span_starts_nocase(field, to)) {
        if (h->n < SMTP_OWN_MAX) {
            const struct span value = span_from(field, to.n);

            h->delivered_to[h->n++] = span_trim(span_first(value, span_find_line_end(value)));
        }
        if (hostname.n == 0)
            *counted = h->n;
    } else if (span_starts_nocase(field, SPAN("Received:"))) {
        if (is_own(field, hostname))
            *counted = h->n;
        else
            h->n = *counted;
    }
}

size_t smtp_header_mark(struct span bytes)
{
    bool ended;
    const struct span line = first_line(bytes, &ended);
    const bool marked = is_mbox_mark(line) && kind_of(line, true) == LINE_OTHER;

    return marked && smtp_header_start(bytes, true) == SMTP_START_HEADER
               ? span_find(bytes, '\n') + 1
               : 0;
}

bool smtp_header_next(struct span *bytes, struct span *field)
{
    struct span left = *bytes;
    size_t n = 0;

    while (left.n > 0) {
        bool ended;
        const struct span line = first_line(left, &ended);
        const enum line_kind kind = kind_of(line, ended);

        if (kind != (n == 0 ? LINE_FIELD : LINE_FOLDED))
            break;
        n += ended ? span_find(left, '\n') + 1 : left.n;
        left = span_from(*bytes, n);
    }
    *field = span_first(*bytes, n);
    *bytes = left;
    return n > 0;
}

bool smtp_header_is(struct span field, struct span name)
{
    struct span rest = span_from(field, name.n);

    while (rest.n > 0 && byte_is_blank(rest.p[0]))
        rest = span_from(rest, 1);
    return span_starts_nocase(field, name) && rest.n > 0 && rest.p[0] == ':';
}

void smtp_header_read(struct smtp_header *h, struct span bytes, struct span hostname)
{
    struct span field = {.n = 0};
    size_t counted = 0;

    h->none = h->broken = false;
    h->n = 0;
    while (bytes.n > 0) {
        bool ended;
        const struct span line = first_line(bytes, &ended);
        const size_t whole = ended ? span_find(bytes, '\n') + 1 : bytes.n;
        const enum line_kind kind = kind_of(line, ended);

        if (kind == LINE_FOLDED && field.n > 0) {
            field.n += whole;
        } else if (kind == LINE_FIELD || (field.n == 0 && is_mbox_mark(line))) {
            take_field(h, field, hostname, &counted);
            field = span_first(bytes, whole);
        } else {
            h->none = kind != LINE_EMPTY && field.n == 0;
            h->broken = (kind == LINE_OTHER) && field.n > 0;
            break;
        }
        bytes = span_from(bytes, whole);
    }
    take_field(h, field, hostname, &counted);
    h->n = counted;
}

bool smtp_header_has(const struct smtp_header *h, struct span address)
{
    for (size_t i = 0; i < h->n; i++)
        if (span_eq_nocase(h->delivered_to[i], address))
            return true;
    return false;
}
