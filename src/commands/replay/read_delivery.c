#include "commands/replay/read_delivery.h"

#include "base/number.h"
#include "base/text.h"
#include "commands/replay/read_told.h"

#include <signal.h>

/* "D: none" checks that there is no further run; anything else begins or goes on with one. */
static struct told *current_delivery(struct reader *r)
{
    if (!r->in_delivery)
        r->in_delivery = read_told(r, TOLD_DELIVERY) != NULL;
    return r->in_delivery ? r->t->told[TOLD_DELIVERY].last : NULL;
}

/* One more line of output. */
static void add_said(struct reader *r, struct told *d, struct span line)
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
static bool delivery_end(struct reader *r, struct told *d, struct span name, struct span value)
{
    if (span_eq(name, SPAN("exit"))) {
        read_exit_status(r, d, value);
    } else if (span_eq(name, SPAN("signal"))) {
        d->end = TOLD_SIGNALLED;
        if (number_parse(value, SIGNAL_MAX, &d->status) != NUMBER_OK || !is_deadly(d->status))
            r->wrong = "wants the number of a signal that ends a process";
    } else if (span_eq(name, SPAN("hangs")) || span_eq(name, SPAN("missing"))) {
        d->end = name.p[0] == 'h' ? TOLD_HANGS : TOLD_MISSING;
        read_nothing(r, value);
    } else {
        return false;
    }
    if (d->has_end && r->wrong == NULL)
        r->wrong = "says again how this run ends (a line C! alone separates two runs)";
    d->has_end = true;
    return true;
}

/* What is missing is missing to the end, and is told nothing. */
static void check_missing(struct reader *r, const struct told *d, bool is_missing)
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
    struct told *d;

    r->t->told[TOLD_DELIVERY].checked = true;
    if (span_eq(name, SPAN("none"))) {
        read_nothing(r, value);
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
        read_expectation(r, d, name, value);
    } else {
        r->wrong = "no such D: line (run, env, header, exit, signal, hangs, missing, says, none)";
    }
    check_missing(r, d, d->end == TOLD_MISSING);
}

void read_delivered(struct reader *r)
{
    struct told *d = current_delivery(r);

    r->t->told[TOLD_DELIVERY].checked = true;
    if (d == NULL)
        return;
    d->has_message = true;
    check_missing(r, d, d->end == TOLD_MISSING);
    if (r->wrong == NULL)
        d->message = reader_block(r, SPAN(">>D"), "\n");
}
