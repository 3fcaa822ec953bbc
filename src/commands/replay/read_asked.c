#include "commands/replay/read_asked.h"

#include "commands/replay/read_told.h"
#include "config/setting.h"

/* Of one kind: the one that has no answer yet, or a further one. */
static struct told *current(struct reader *r, enum told_kind kind)
{
    r->t->told[kind].checked = true;
    if (r->asked[kind] == NULL)
        r->asked[kind] = read_told(r, kind);
    return r->asked[kind];
}

static void answered(struct reader *r, enum told_kind kind, struct told *t, enum told_end end)
{
    t->end = end;
    t->has_end = true;
    r->asked[kind] = NULL;
}

/* "none": there is no further one. */
static void none(struct reader *r, enum told_kind kind, struct span behind)
{
    r->t->told[kind].checked = true;
    read_nothing(r, behind);
    read_asked_end(r, r->asked[kind]);
}

void read_check(struct reader *r, struct span rest)
{
    const struct span name = span_first(rest, span_find(rest, ' '));
    const struct span value = span_trim(span_from(rest, name.n));
    struct told *t;

    if (span_eq(name, SPAN("none"))) {
        none(r, TOLD_CHECK, value);
        return;
    }
    t = current(r, TOLD_CHECK);
    if (t == NULL)
        return;
    if (span_eq(name, SPAN("run")) || span_eq(name, SPAN("env"))) {
        read_expectation(r, t, name, value);
    } else if (span_eq(name, SPAN("hangs"))) {
        read_nothing(r, value);
        answered(r, TOLD_CHECK, t, TOLD_HANGS);
    } else if (name.n > 0 && byte_is_digit(name.p[0])) {
        read_exit_status(r, t, name);
        t->says = reader_unescape(r, value, value.n > 0 ? "\n" : "");
        answered(r, TOLD_CHECK, t, TOLD_EXITS);
    } else {
        r->wrong = "no such check: line (run, env, hangs, none, or an exit status)";
    }
}

void read_policy(struct reader *r, struct span rest)
{
    const struct span name = span_first(rest, span_find(rest, ' '));
    const struct span value = span_trim(span_from(rest, name.n));
    struct told *t;

    if (span_eq(name, SPAN("none"))) {
        none(r, TOLD_POLICY, value);
        return;
    }
    t = current(r, TOLD_POLICY);
    if (t == NULL)
        return;
    if (span_eq(name, SPAN("asks"))) {
        if (span_find(value, '=') == value.n)
            r->wrong = "wants an attribute and its value (NAME=VALUE)";
        read_expectation(r, t, name, value);
    } else if (span_eq(name, SPAN("end")) || span_eq(name, SPAN("hangs"))) {
        read_nothing(r, value);
        answered(r, TOLD_POLICY, t, name.p[0] == 'e' ? TOLD_CLOSES : TOLD_HANGS);
    } else if (name.n > 0) {
        t->says = reader_unescape(r, rest, "");
        answered(r, TOLD_POLICY, t, TOLD_EXITS);
    } else {
        r->wrong = "wants an action (or asks, end, hangs, none)";
    }
}

void read_asked_end(struct reader *r, const struct told *still_open)
{
    if (still_open == NULL || r->wrong != NULL)
        return;
    r->line = still_open->line;
    r->wrong = "is asked, and no line says what the answer is";
}

void read_table(struct reader *r, struct span name)
{
    const struct setting *known = setting_find(name);
    struct told_table *t = arena_get(r->a, sizeof *t);

    if (t == NULL) {
        reader_too_large(r);
        return;
    }
    *t = (struct told_table){.name = name, .line = r->line, .next = r->t->table};
    if (known == NULL || (known->kind != VALUE_TABLE && known->kind != VALUE_DOMAINS))
        r->wrong = "wants the name of a setting that may be a table";
    for (const struct told_table *other = t->next; other != NULL; other = other->next)
        if (span_eq(other->name, name))
            r->wrong = "is a second table for the same setting";
    r->t->table = t;
    r->t->tables++;
    if (r->wrong == NULL)
        t->text = reader_block(r, SPAN(">>T"), "\n");
}
