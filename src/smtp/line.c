#include "smtp/line.h"

enum smtp_line_result smtp_line_scan(struct smtp_line *l, struct span in, struct span *line,
                                     size_t *used)
{
    const size_t lf = span_find(in, '\n');
    const size_t cr = span_find(span_first(in, lf), '\r');
    const bool ended = lf < in.n;
    bool long_line;

    *used = in.n;
    /* A CR may stand only right before the LF, or last while the LF is still to come. */
    if (cr + 1 < lf) {
        *used = cr + 2;
        return SMTP_LINE_BARE_CR;
    }
    if (ended && cr == lf) {
        *used = lf + 1;
        return SMTP_LINE_BARE_LF;
    }
    long_line = l->discarding || (ended ? lf + 1 : in.n) > SMTP_LINE_MAX;
    if (!ended) {
        l->discarding = long_line;
        /* A last CR stays: whether it is bare is known with the next byte. */
        *used = !long_line ? 0 : cr < in.n ? cr : in.n;
        return SMTP_LINE_MORE;
    }
    *used = lf + 1;
    l->discarding = false;
    if (long_line)
        return SMTP_LINE_TOO_LONG;
    *line = span_first(in, cr);
    return SMTP_LINE_READY;
}
