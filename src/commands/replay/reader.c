#include "commands/replay/reader.h"

#include "base/text.h"

#include <string.h>

void reader_too_large(struct reader *r)
{
    r->wrong = "the transcript is too large";
}

struct span reader_line(struct reader *r)
{
    struct span line = span_first(r->left, span_find(r->left, '\n'));

    r->left = span_from(r->left, line.n + 1);
    r->line++;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

struct span reader_unescape(struct reader *r, struct span s, const char *end)
{
    struct text out = {.cap = s.n + strlen(end) + 1};

    out.p = arena_get(r->a, out.cap);
    if (out.p == NULL) {
        reader_too_large(r);
        return (struct span){0};
    }
    for (size_t i = 0; i < s.n; i++) {
        static const char names[] = "rnt\\", bytes[] = "\r\n\t\\";
        const size_t known = i + 1 < s.n ? span_find(SPAN(names), s.p[i + 1]) : 4;

        if (s.p[i] != '\\') {
            text_addc(&out, s.p[i]);
        } else if (known < 4) {
            text_addc(&out, bytes[known]);
            i++;
        } else if (i + 3 < s.n && s.p[i + 1] == 'x' && byte_hex(s.p[i + 2]) >= 0 &&
                   byte_hex(s.p[i + 3]) >= 0) {
            text_addc(&out, (char)(byte_hex(s.p[i + 2]) * 16 + byte_hex(s.p[i + 3])));
            i += 3;
        } else {
            r->wrong = "has a backslash that escapes nothing (write \\\\)";
        }
    }
    text_adds(&out, end);
    return text_span(&out);
}

struct step *reader_step(struct reader *r, enum step_kind kind)
{
    struct step *s = arena_get(r->a, sizeof *s);

    if (s == NULL) {
        reader_too_large(r);
        return NULL;
    }
    if (r->t->last != NULL && step_accepts_only(r->t->last, ACCEPT_END))
        r->wrong = "stands behind the end of the connection (S: end)";
    *s = (struct step){.kind = kind, .line = r->line};
    if (r->t->last == NULL)
        r->t->first = s;
    else
        r->t->last->next = s;
    r->t->last = s;
    return s;
}

struct span reader_block(struct reader *r, struct span end, const char *eol)
{
    struct text out = {.p = r->a->base + r->a->used, .cap = r->a->cap - r->a->used};
    const unsigned begin = r->line;

    while (r->left.n > 0) {
        const struct span line = reader_line(r);

        if (span_eq(line, end)) {
            arena_get(r->a, out.n);
            if (out.cut)
                reader_too_large(r);
            return text_span(&out);
        }
        text_add(&out, line);
        text_adds(&out, eol);
    }
    r->line = begin;
    r->wrong = "has a block without an end";
    return (struct span){0};
}
