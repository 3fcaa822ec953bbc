#include "commands/replay/differences.h"

enum {
    LINE_SHOWN = 1000,       /* octets of a line */
    DIFFERENCE_REMARK = 100, /* octets that are kept for the remark at the end */
};

void differ_begin(struct differences *d)
{
    d->count++;
    d->lines = 0;
}

/* Is there room for another line? */
static bool is_shown(struct differences *d)
{
    const bool shown = d->count <= DIFFERENCES_SHOWN && d->lines < DIFFERENCE_LINES;

    d->lines++;
    d->hidden = d->hidden || !shown;
    return shown;
}

void differ_at(struct differences *d, unsigned line)
{
    if (!is_shown(d))
        return;
    text_adds(d->out, d->file);
    text_addc(d->out, ':');
    text_addn(d->out, line, 1);
    text_adds(d->out, ":\n");
}

void differ_words(struct differences *d, char mark, const char *before, struct span text,
                  const char *behind)
{
    if (!is_shown(d))
        return;
    text_addc(d->out, mark);
    text_addc(d->out, ' ');
    text_adds(d->out, before);
    text_add_escaped(d->out, span_first(text, LINE_SHOWN), "");
    if (text.n > LINE_SHOWN) {
        text_adds(d->out, " (all of it: ");
        text_addn(d->out, text.n, 1);
        text_adds(d->out, " octets)");
    }
    text_adds(d->out, behind);
    text_addc(d->out, '\n');
}

void differ_mark(struct differences *d, char mark, struct span text)
{
    differ_words(d, mark, "", text, "");
}

void differ(struct differences *d, unsigned line, struct span expected, struct span got)
{
    differ_begin(d);
    differ_at(d, line);
    differ_mark(d, '-', expected);
    differ_mark(d, '+', got);
}

void differ_close(struct differences *d)
{
    if (!d->hidden && !d->out->cut)
        return;
    d->out->n =
        d->out->n < d->out->cap - DIFFERENCE_REMARK ? d->out->n : d->out->cap - DIFFERENCE_REMARK;
    while (d->out->n > 0 && d->out->p[d->out->n - 1] != '\n')
        d->out->n--;
    text_adds(d->out, "(not all is shown; differences: ");
    text_addn(d->out, d->count, 1);
    text_adds(d->out, ")\n");
}
