#include "commands/replay/listener.h"

#include <string.h>

static void listen_once(struct listener *l)
{
    const struct span came = l->e->receive(l->e->context, &l->timed_out);

    l->flooded = came.n > LISTEN_MAX - l->end;
    if (came.n == 0 || l->flooded) {
        l->closed = true;
        return;
    }
    memcpy(l->buffer + l->end, came.p, came.n);
    l->end += came.n;
}

bool listener_line(struct listener *l, size_t *at, struct span *line)
{
    for (;;) {
        const struct span all = {.p = l->buffer + *at, .n = l->end - *at};
        const size_t lf = span_find(all, '\n');

        if (lf < all.n || (l->closed && all.n > 0)) {
            *line = span_first(all, lf);
            *at += lf < all.n ? lf + 1 : lf;
            /* Only CRLF ends a line of a server, too; another end is a part of it, and differs. */
            if (lf < all.n && lf > 0 && line->p[lf - 1] == '\r')
                line->n--;
            else
                line->n += lf < all.n;
            return true;
        }
        if (l->closed)
            return false;
        listen_once(l);
    }
}

/* The code of the last line before that place. */
static void keep_code(struct listener *l, size_t at)
{
    size_t line = at > l->start ? at - 1 : at;

    while (line > l->start && l->buffer[line - 1] != '\n')
        line--;
    if (at - line >= sizeof l->code)
        memcpy(l->code, l->buffer + line, sizeof l->code);
}

void listener_take(struct listener *l, size_t at)
{
    keep_code(l, at);
    l->start = at;
    if (l->start <= LISTEN_MAX / 2)
        return;
    memmove(l->buffer, l->buffer + l->start, l->end - l->start);
    l->end -= l->start;
    l->start = 0;
}

struct span listener_why(const struct listener *l)
{
    return l->timed_out ? SPAN("(nothing, for too long)")
           : l->flooded ? SPAN("(more than can be held)")
                        : SPAN("(connection closed)");
}
