#include "commands/replay/read_reply.h"

#include "commands/replay/read_tls.h"

/* "250" or "250 2.1.0": stands for a whole reply, whatever its text and however many its lines. */
static bool is_code(struct span s)
{
    unsigned dots = 0;

    if (s.n < 3 || !byte_is_digit(s.p[0]) || !byte_is_digit(s.p[1]) || !byte_is_digit(s.p[2]))
        return false;
    if (s.n == 3)
        return true;
    for (size_t i = 4; i < s.n; i++) {
        if (s.p[i] == '.')
            dots++;
        else if (!byte_is_digit(s.p[i]))
            return false;
    }
    return s.p[3] == ' ' && dots == 2 && s.p[s.n - 1] != '.';
}

/* True: it ends in "...", which is taken off. */
static bool take_dots(struct span *s)
{
    if (s->n < 3 || !span_eq(span_from(*s, s->n - 3), SPAN("...")))
        return false;
    s->n -= 3;
    return true;
}

/* What an S: or S| line accepts. "has" and "end" are words here and nowhere in a reply, which
 * begins with its code; written with an escape they are text. */
static void read_accepted(struct reader *r, struct accepted *x, struct span raw)
{
    const struct span word = span_first(raw, 3), behind = span_trim(span_from(raw, 3));
    const bool alone = raw.n == word.n || byte_is_blank(raw.p[word.n]);

    x->line = r->line;
    if (alone && span_eq(word, SPAN("end"))) {
        x->kind = ACCEPT_END;
        if (behind.n > 0)
            r->wrong = "has something behind 'end', which stands alone";
        return;
    }
    if (alone && span_eq(word, SPAN("has"))) {
        x->kind = ACCEPT_HAS;
        x->text = reader_unescape(r, behind, "");
        take_dots(&x->text);
        if (x->text.n == 0 && r->wrong == NULL)
            r->wrong = "wants the beginning of a text behind 'has'";
        return;
    }
    x->text = reader_unescape(r, raw, "");
    if (is_code(x->text))
        x->kind = ACCEPT_CODE;
    else if (take_dots(&x->text))
        x->kind = ACCEPT_BEGIN;
    else
        x->kind = ACCEPT_LINE;
}

static void add_accepted(struct reader *r, struct accepted **place, struct span raw)
{
    struct accepted *x = arena_get(r->a, sizeof *x);

    if (x == NULL) {
        reader_too_large(r);
        return;
    }
    *x = (struct accepted){0};
    *place = r->last_accepted = x;
    r->in_reply = true;
    read_accepted(r, x, raw);
}

void read_reply(struct reader *r, struct span raw)
{
    struct step *s = reader_step(r, STEP_EXPECT);

    if (s == NULL)
        return;
    add_accepted(r, &s->accepted, raw);
    read_tls_expected(r, s);
}

void read_other_reply(struct reader *r, struct span raw)
{
    if (r->in_reply)
        add_accepted(r, &r->last_accepted->next, raw);
    else
        r->wrong = "stands behind no S: line";
}
