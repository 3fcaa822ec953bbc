#include "commands/replay/read_told.h"

#include "base/number.h"

struct told *read_told(struct reader *r, enum told_kind kind)
{
    struct told_list *list = &r->t->told[kind];
    struct told *t = arena_get(r->a, sizeof *t);

    if (t == NULL) {
        reader_too_large(r);
        return NULL;
    }
    *t = (struct told){.line = r->line};
    if (list->last == NULL)
        list->first = t;
    else
        list->last->next = t;
    list->last = t;
    return t;
}

void read_expectation(struct reader *r, struct told *t, struct span name, struct span value)
{
    struct expectation *e = arena_get(r->a, sizeof *e);

    if (e == NULL) {
        reader_too_large(r);
        return;
    }
    *e =
        (struct expectation){.name = name, .value = reader_unescape(r, value, ""), .line = r->line};
    if (t->last == NULL)
        t->first = e;
    else
        t->last->next = e;
    t->last = e;
}

void read_exit_status(struct reader *r, struct told *t, struct span value)
{
    t->end = TOLD_EXITS;
    if (number_parse(value, 255, &t->status) != NUMBER_OK)
        r->wrong = "has an exit status that is not a number from 0 to 255";
}

void read_nothing(struct reader *r, struct span behind)
{
    if (behind.n > 0)
        r->wrong = "has something behind a word that stands alone";
}
