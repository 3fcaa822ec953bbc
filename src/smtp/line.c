#include "smtp/line.h"

enum smtp_line_result smtp_line_scan(struct smtp_line *l, struct span in, struct span *line,
                                     size_t *used)
{
    const size_t end = span_find_line_end(in);
    const bool ended = end + 1 < in.n;
    const size_t most = l->most == 0 ? SMTP_LINE_MAX : l->most;
    bool long_line;

    if (end < in.n && in.p[end] == '\n') {
        *used = end + 1;
        return SMTP_LINE_BARE_LF;
    }
    if (ended && in.p[end + 1] != '\n') {
        *used = end + 2;
        return SMTP_LINE_BARE_CR;
    }
    long_line = l->discarding || (ended ? end + 2 : in.n) > most;
    if (long_line && !l->discarding)
        l->chunk = span_starts_nocase(in, SPAN("BDAT"));
    if (!ended) {
        l->discarding = long_line;
        /* A last CR stays: whether it is bare is known with the next byte. */
        *used = long_line ? end : 0;
        return SMTP_LINE_MORE;
    }
    *used = end + 2;
    l->discarding = false;
    if (long_line)
        return l->chunk ? SMTP_LINE_LONG_CHUNK : SMTP_LINE_TOO_LONG;
    *line = span_first(in, end);
    return SMTP_LINE_READY;
}

bool smtp_line_is_foreign(struct span line)
{
    static const char methods[][sizeof "PRI * HTTP/"] = {
        "GET ",     "POST ",    "PUT ",   "HEAD ",  "DELETE ",
        "OPTIONS ", "CONNECT ", "PATCH ", "TRACE ", "PRI * HTTP/"};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (span_starts_nocase(line, span_of(methods[i])))
            return true;
    return line.n >= 2 && line.p[0] == 0x16 && line.p[1] == 0x03;
}
