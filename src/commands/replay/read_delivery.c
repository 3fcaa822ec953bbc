#include "commands/replay/read_delivery.h"

#include "base/number.h"
#include "base/text.h"

#include <signal.h>

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

enum { SIGNAL_MAX = 31 }; /* those behind have no name, and some are the C library's own */

/* Some signals end nothing. */
static bool is_deadly(uint64_t signal)
{
    static const int harmless[] = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
                                   SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH};

    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if ((int)signal == harmless[i])
            return false;
    return signal > 0;
}

/* "exit STATUS", "signal NUMBER", "hangs", "missing": false when it is none of them. */
static bool delivery_end(struct reader *r, struct delivery *d, struct span name, struct span value)
{
    if (span_eq(name, SPAN("exit"))) {
        d->end = DELIVERY_EXITS;
        if (number_parse(value, 255, &d->status) != NUMBER_OK)
            r->wrong = "has an exit status that is not a number from 0 to 255";
    } else if (span_eq(name, SPAN("signal"))) {
        d->end = DELIVERY_SIGNALLED;
        if (number_parse(value, SIGNAL_MAX, &d->status) != NUMBER_OK || !is_deadly(d->status))
            r->wrong = "wants the number of a signal that ends a process";
    } else if (span_eq(name, SPAN("hangs")) || span_eq(name, SPAN("missing"))) {
        d->end = name.p[0] == 'h' ? DELIVERY_HANGS : DELIVERY_MISSING;
        if (value.n > 0)
            r->wrong = "has something behind a word that stands alone";
    } else {
        return false;
    }
    if (d->has_end && r->wrong == NULL)
        r->wrong = "says again how this run ends (a line C! alone separates two runs)";
    d->has_end = true;
    return true;
}

/* What is missing is missing to the end, and is told nothing. */
static void check_missing(struct reader *r, const struct delivery *d, bool is_missing)
{
    if (r->wrong != NULL)
        return;
    if (r->missing && !is_missing)
        r->wrong = "tells of a run, and the command's program is missing from an earlier line on";
    else if (is_missing && (d->first != NULL || d->has_message || d->says.n > 0))
        r->wrong = "tells more of a run whose program is missing";
    r->missing = is_missing;
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
    if (delivery_end(r, d, name, value)) {
        /* nothing but that */
    } else if (span_eq(name, SPAN("says"))) {
        add_said(r, d, reader_unescape(r, value, "\n"));
    } else if (span_eq(name, SPAN("run")) || span_eq(name, SPAN("env")) ||
               span_eq(name, SPAN("header"))) {
        add_expectation(r, d, name, reader_unescape(r, value, ""));
    } else {
        r->wrong = "no such D: line (run, env, header, exit, signal, hangs, missing, says, none)";
    }
    check_missing(r, d, d->end == DELIVERY_MISSING);
}

void read_delivered(struct reader *r)
{
    struct delivery *d = current_delivery(r);

    r->t->checks_deliveries = true;
    if (d == NULL)
        return;
    d->has_message = true;
    check_missing(r, d, d->end == DELIVERY_MISSING);
    if (r->wrong == NULL)
        d->message = reader_block(r, SPAN(">>D"), "\n");
}
