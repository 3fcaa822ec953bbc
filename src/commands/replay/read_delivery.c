#include "commands/replay/read_delivery.h"

#include "base/number.h"
#include "base/text.h"

/* "D: none" checks that there is no further run; anything else begins or goes on with one. */
static struct delivery *current_delivery(struct reader *r)
{
    struct delivery *d;

    if (r->in_delivery)
        return r->t->last_delivery;
    d = arena_get(r->a, sizeof *d);
    if (d == NULL) {
        reader_too_large(r);
        return NULL;
    }
    *d = (struct delivery){.line = r->line};
    if (r->t->last_delivery == NULL)
        r->t->delivery = d;
    else
        r->t->last_delivery->next = d;
    r->t->last_delivery = d;
    r->in_delivery = true;
    return d;
}

static void add_expectation(struct reader *r, struct delivery *d, struct span name,
                            struct span value)
{
    struct expectation *e = arena_get(r->a, sizeof *e);

    if (e == NULL) {
        reader_too_large(r);
        return;
    }
    *e = (struct expectation){.name = name, .value = value, .line = r->line};
    if (d->last == NULL)
        d->first = e;
    else
        d->last->next = e;
    d->last = e;
}

/* One more line of output. */
static void add_said(struct reader *r, struct delivery *d, struct span line)
{
    struct text all = {.cap = d->says.n + line.n};

    all.p = arena_get(r->a, all.cap);
    if (all.p == NULL) {
        reader_too_large(r);
        return;
    }
    text_add(&all, d->says);
    text_add(&all, line);
    d->says = text_span(&all);
}

void read_delivery(struct reader *r, struct span rest)
{
    const struct span name = span_first(rest, span_find(rest, ' '));
    const struct span value = span_trim(span_from(rest, name.n));
    struct delivery *d;

    r->t->checks_deliveries = true;
    if (span_eq(name, SPAN("none"))) {
        if (value.n > 0)
            r->wrong = "has something behind a word that stands alone";
        return;
    }
    d = current_delivery(r);
    if (d == NULL)
        return;
    if (span_eq(name, SPAN("exit"))) {
        if (number_parse(value, 255, &d->status) != NUMBER_OK)
            r->wrong = "has an exit status that is none";
    } else if (span_eq(name, SPAN("says"))) {
        add_said(r, d, reader_unescape(r, value, "\n"));
    } else if (span_eq(name, SPAN("run")) || span_eq(name, SPAN("env")) ||
               span_eq(name, SPAN("header"))) {
        add_expectation(r, d, name, reader_unescape(r, value, ""));
    } else {
        r->wrong = "no such D: line (run, env, header, exit, says, none)";
    }
}

void read_delivered(struct reader *r)
{
    struct delivery *d = current_delivery(r);

    r->t->checks_deliveries = true;
    if (d == NULL)
        return;
    d->has_message = true;
    d->message = reader_block(r, SPAN(">>D"), "\n");
}
