#include "commands/replay/replies.h"

#include "commands/replay/diff.h"

/* What has come for a step. */
enum match {
    MATCH_NONE,
    MATCH_LINE,  /* a line, and the reply goes on behind it */
    MATCH_REPLY, /* up to the end of a reply, or of the connection */
};

static bool ends_reply(struct span line)
{
    return line.n < 4 || line.p[3] != '-';
}

static bool code_matches(struct span expected, struct span got)
{
    const struct span enhanced = span_from(expected, 4);
    const struct span text = span_from(got, 4);

    if (!span_eq(span_first(expected, 3), span_first(got, 3)) ||
        (got.n > 3 && got.p[3] != ' ' && got.p[3] != '-') || span_find(got, '\n') < got.n)
        return false;
    return enhanced.n == 0 || (span_eq(span_first(text, enhanced.n), enhanced) &&
                               (text.n == enhanced.n || text.p[enhanced.n] == ' '));
}

/* Is the line, or may it be a part of, what is accepted? */
static bool line_matches(const struct accepted *x, struct span line)
{
    const bool coded = line.n >= 4 && (line.p[3] == ' ' || line.p[3] == '-');

    switch (x->kind) {
    case ACCEPT_LINE:
        return span_eq(x->text, line);
    case ACCEPT_BEGIN:
        return span_eq(span_first(line, x->text.n), x->text);
    case ACCEPT_CODE:
        return code_matches(x->text, line);
    case ACCEPT_HAS:
        return coded && span_find(line, '\n') == line.n &&
               span_eq(span_first(span_from(line, 4), x->text.n), x->text);
    default:
        return false;
    }
}

/* *at moves behind what is accepted. */
static enum match match(const struct accepted *x, struct listener *l, size_t *at)
{
    size_t here = *at;
    struct span line;
    bool has = false, over;

    if (x->kind == ACCEPT_END)
        return !listener_line(l, &here, &line) && !l->timed_out && !l->flooded ? MATCH_REPLY
                                                                               : MATCH_NONE;
    do {
        bool same;

        if (!listener_line(l, &here, &line))
            return MATCH_NONE;
        same = line_matches(x, line);
        has = has || same;
        if (!same && x->kind != ACCEPT_HAS)
            return MATCH_NONE;
        over = ends_reply(line);
    } while (!over && (x->kind == ACCEPT_CODE || x->kind == ACCEPT_HAS));
    if (!has)
        return MATCH_NONE;
    *at = here;
    return over ? MATCH_REPLY : MATCH_LINE;
}

static enum match match_any(const struct step *s, struct listener *l, size_t *at)
{
    enum match m = MATCH_NONE;

    for (const struct accepted *x = s->accepted; x != NULL && m == MATCH_NONE; x = x->next)
        m = match(x, l, at);
    return m;
}

static bool is_followed(const struct step *s)
{
    return s->next != NULL && s->next->kind == STEP_EXPECT;
}

/* Several "S: has" without anything between them speak of one reply. */
static bool shares_reply(const struct step *s)
{
    return is_followed(s) && step_accepts_only(s, ACCEPT_HAS) &&
           step_accepts_only(s->next, ACCEPT_HAS);
}

/* Is the next step about the same reply, by what the two say? */
static bool goes_on(const struct step *s)
{
    const struct accepted *x = s->accepted;

    if (x->kind == ACCEPT_LINE || x->kind == ACCEPT_BEGIN)
        return is_followed(s) && !ends_reply(x->text);
    return shares_reply(s);
}

static bool is_text(const struct step *s)
{
    for (const struct accepted *x = s->accepted; x != NULL; x = x->next)
        if (x->kind != ACCEPT_LINE && x->kind != ACCEPT_BEGIN)
            return false;
    return true;
}

static bool step_matches(const struct step *s, struct span line)
{
    for (const struct accepted *x = s->accepted; x != NULL; x = x->next)
        if (line_matches(x, line))
            return true;
    return false;
}

/* Steps about one reply, and its lines. */
struct exchange {
    const struct step **step;
    const struct span *line;
    size_t steps, lines;
    bool whole; /* the reply has an end */
};

static bool is_same(const void *context, size_t row, size_t line)
{
    const struct exchange *e = context;

    return step_matches(e->step[row], e->line[line]);
}

/* The steps from s on; NULL when there is no memory. */
static const struct step **steps_from(const struct step *s, struct arena *a, size_t *n)
{
    const struct step **list, *last = s;

    for (*n = 1; goes_on(last); last = last->next)
        ++*n;
    list = arena_get(a, *n * sizeof(struct step *));
    for (size_t i = 0; list != NULL && i < *n; i++, s = s->next)
        list[i] = s;
    return list;
}

/* The lines of a reply from *at on, which moves behind them; NULL when there is no memory. */
static const struct span *lines_from(struct listener *l, size_t *at, struct arena *a, size_t *n)
{
    size_t here = *at;
    struct span *list, line = {0};

    for (*n = 0; listener_line(l, &here, &line); ++*n)
        if (ends_reply(line)) {
            ++*n;
            break;
        }
    list = arena_get(a, *n * sizeof *list + 1);
    for (size_t i = 0; list != NULL && i < *n; i++)
        listener_line(l, at, &list[i]);
    return list;
}

static void show_step(const struct step *s, struct differences *d)
{
    differ_at(d, s->line);
    for (const struct accepted *x = s->accepted; x != NULL; x = x->next)
        differ_words(d, x == s->accepted ? '-' : '|',
                     x->kind == ACCEPT_HAS   ? "has "
                     : x->kind == ACCEPT_END ? "end"
                                             : "",
                     x->text, x->kind == ACCEPT_BEGIN ? "..." : "");
}

/* Steps that are missing with their own numbers; a line too many with that of the step which it
 * stands before, or beside the step which is missing there. */
static void show_steps(const struct exchange *e, const unsigned char *change, size_t changes,
                       struct differences *d)
{
    size_t i = 0, j = 0;
    bool placed = false;

    for (size_t k = 0; k < changes; k++) {
        if (change[k] == DIFF_SAME) {
            placed = false;
        } else if (change[k] == DIFF_EXTRA) {
            if (!placed)
                differ_at(d, e->step[i < e->steps ? i : e->steps - 1]->line);
            placed = true;
        } else {
            show_step(e->step[i], d);
            placed = true;
        }
        if (change[k] == DIFF_CHANGED || change[k] == DIFF_EXTRA)
            differ_mark(d, '+', e->line[j]);
        i += change[k] != DIFF_EXTRA;
        j += change[k] != DIFF_MISSING;
    }
}

/* How many of the last steps are "S: has": they look at the whole reply. */
static size_t count_has(const struct exchange *e)
{
    size_t n = 0;

    while (n < e->steps && step_accepts_only(e->step[e->steps - 1 - n], ACCEPT_HAS))
        n++;
    return n;
}

/* The "S: has" steps that no line answers. */
static void show_has(const struct exchange *e, size_t first, struct differences *d)
{
    for (size_t i = first; i < e->steps; i++) {
        size_t j = 0;

        while (j < e->lines && !step_matches(e->step[i], e->line[j]))
            j++;
        if (j == e->lines || !e->whole)
            show_step(e->step[i], d);
    }
}

static void show_exchange(const struct exchange *e, struct arena *a, struct differences *d)
{
    const size_t has = count_has(e), last = e->steps - 1;
    struct diff diff = {.rows = e->steps - has,
                        .lines = e->lines,
                        .least = has > 0 ? 0 : e->lines,
                        .same = is_same,
                        .context = e};
    unsigned char *change = arena_get(a, e->steps + e->lines);
    size_t least = e->lines;

    /* About a whole reply: which of its lines is wrong is for people to say. */
    if (has == e->steps || (last == 0 && !is_text(e->step[0]))) {
        if (has > 0)
            show_has(e, 0, d);
        else
            show_step(e->step[0], d);
        for (size_t j = 0; j < e->lines; j++)
            differ_mark(d, '+', e->line[j]);
        return;
    }
    /* A code at the end stands for what is left of the reply, where it has that code. */
    while (e->whole && has == 0 && !is_text(e->step[last]) && least > 0 &&
           step_matches(e->step[last], e->line[least - 1]))
        least--;
    if (least < e->lines) {
        diff.rows--;
        diff.lines--; /* one at least is the code's */
        diff.least = least;
    }
    if (change != NULL)
        show_steps(e, change, diff_lists(&diff, a, change), d);
    show_has(e, e->steps - has, d);
}

/* One difference for all that the steps from s on, and the reply at place `at`, have different. */
static const struct step *report(const struct step *s, struct listener *l, size_t at,
                                 struct arena *a, struct differences *d)
{
    const size_t mark = a->used;
    struct exchange e;

    e.step = steps_from(s, a, &e.steps);
    e.line = e.step == NULL ? NULL : lines_from(l, &at, a, &e.lines);
    if (e.step == NULL || e.line == NULL) {
        differ(d, s->line, SPAN("memory"), SPAN("none left"));
        return s;
    }
    e.whole = e.lines > 0 && ends_reply(e.line[e.lines - 1]);
    /* That nothing more comes is told once. */
    if (e.lines > 0 || !l->told) {
        differ_begin(d);
        d->hidden = d->hidden || d->count > DIFFERENCES_SHOWN;
        if (d->count <= DIFFERENCES_SHOWN)
            show_exchange(&e, a, d);
        if (d->lines == 0) /* every line of it is right, but the reply has no end */
            show_step(e.step[0], d);
        if (!e.whole) {
            differ_mark(d, '+', listener_why(l));
            l->told = true;
        }
    }
    listener_take(l, at);
    s = e.step[e.steps - 1];
    a->used = mark;
    return s;
}

const struct step *replies_expect(const struct step *s, struct listener *l, struct arena *a,
                                  struct differences *d)
{
    size_t at = l->start;

    for (;; s = s->next) {
        const size_t before = at;
        const enum match m = match_any(s, l, &at);

        if (m == MATCH_NONE)
            return report(s, l, before, a, d);
        if (m == MATCH_REPLY && shares_reply(s))
            at = before;
        else if (m == MATCH_REPLY || !is_followed(s))
            break;
    }
    listener_take(l, at);
    return s;
}

void replies_rest(struct listener *l, unsigned line, struct differences *d)
{
    size_t at = l->start;
    struct span said;
    bool begun = false;

    /* What talks for ever need not be heard to the end. */
    while ((!begun || d->lines <= DIFFERENCE_LINES) && listener_line(l, &at, &said)) {
        if (!begun) {
            differ_begin(d);
            differ_at(d, line);
            differ_mark(d, '-', SPAN("(nothing more)"));
        }
        begun = true;
        differ_mark(d, '+', said);
        listener_take(l, at);
        at = l->start;
    }
    if ((l->timed_out || l->flooded) && !l->told)
        differ(d, line, SPAN("(the connection closed)"), listener_why(l));
}
