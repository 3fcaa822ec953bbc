#include "commands/replay/runs.h"

#include "commands/replay/contains.h"
#include "smtp/header.h"

/* Is it this text or, where that ends in "...", does it begin so? */
static bool matches(struct span expected, struct span got)
{
    if (expected.n >= 3 && span_eq(span_from(expected, expected.n - 3), SPAN("...")))
        return span_eq(span_first(got, expected.n - 3), span_first(expected, expected.n - 3));
    return span_eq(expected, got);
}

/* A word as `deliver =` would have it: in quotes where it is empty or has blanks. */
static void add_word(struct text *out, struct span word)
{
    const bool quotes = word.n == 0 || span_find(word, ' ') < word.n;

    if (out->n > 0)
        text_addc(out, ' ');
    if (quotes)
        text_addc(out, '"');
    text_add(out, word);
    if (quotes)
        text_addc(out, '"');
}

static bool take_string(struct span *list, struct span *one)
{
    if (list->n == 0)
        return false;
    *one = span_first(*list, span_find(*list, '\0'));
    *list = span_from(*list, one->n + 1);
    return true;
}

static void compare_run(const struct expectation *x, struct span argv, struct arena *a,
                        struct differences *d)
{
    struct text joined = {.p = a->base + a->used, .cap = a->cap - a->used};
    struct span word;

    while (take_string(&argv, &word))
        add_word(&joined, word);
    if (!matches(x->value, text_span(&joined)))
        differ(d, x->line, x->value, text_span(&joined));
}

static void compare_environment(const struct expectation *x, struct span environment,
                                struct differences *d)
{
    const struct span name = span_first(x->value, span_find(x->value, '='));
    struct span variable, found = SPAN("(not set)");

    while (take_string(&environment, &variable))
        if (span_eq(span_first(variable, span_find(variable, '=')), name))
            found = variable;
    if (!matches(x->value, found))
        differ(d, x->line, x->value, found);
}

/* The next header field, its folded lines joined by single blanks; false at the body. */
static bool take_field(struct span *message, struct text *field)
{
    field->n = 0;
    while (message->n > 0) {
        struct span line = span_first(*message, span_find(*message, '\n'));

        if (field->n > 0 && (line.n == 0 || (line.p[0] != ' ' && line.p[0] != '\t')))
            return true;
        if (line.n == 0 || (line.n == 1 && line.p[0] == '\r'))
            return false;
        *message = span_from(*message, line.n + 1);
        if (line.p[line.n - 1] == '\r')
            line.n--;
        if (field->n > 0)
            text_addc(field, ' ');
        text_add(field, span_trim(line));
    }
    return field->n > 0;
}

static void compare_header(const struct expectation *x, struct span message, struct arena *a,
                           struct differences *d)
{
    struct text field = {.p = a->base + a->used, .cap = a->cap - a->used};

    while (take_field(&message, &field))
        if (matches(x->value, text_span(&field)))
            return;
    differ(d, x->line, x->value, SPAN("(no such header field)"));
}

static struct span variable_of(struct span environment, const char *name)
{
    const struct span wanted = span_of(name);
    struct span variable;

    while (take_string(&environment, &variable))
        if (span_eq(span_first(variable, span_find(variable, '=')), wanted))
            return span_from(variable, wanted.n + 1);
    return SPAN("");
}

enum trace { TRACE_RETURN_PATH, TRACE_ORIGINAL_TO, TRACE_DELIVERED_TO, TRACE_RECEIVED, TRACES };

/* Is this field one that smtpin has put there? The client's own may have the same names. */
static bool is_ours(struct span field, enum trace which, struct span environment)
{
    char room[1024];
    struct text expected = TEXT(room);

    switch (which) {
    case TRACE_RETURN_PATH:
        text_adds(&expected, "Return-Path: <");
        text_add(&expected, variable_of(environment, "SENDER"));
        text_addc(&expected, '>');
        return span_eq(field, text_span(&expected));
    case TRACE_ORIGINAL_TO:
        text_adds(&expected, "X-Original-To: ");
        text_add(&expected, variable_of(environment, "ORIGINAL_RECIPIENT"));
        return span_eq(field, text_span(&expected));
    case TRACE_DELIVERED_TO:
        text_adds(&expected, "Delivered-To: ");
        text_add(&expected, variable_of(environment, "RECIPIENT"));
        return span_eq(field, text_span(&expected));
    default:
        text_adds(&expected, " id ");
        text_add(&expected, variable_of(environment, "SMTPIN_ID"));
        return span_starts_nocase(field, SPAN("Received:")) &&
               contains(field, SPAN(" (smtpin) with ")) && contains(field, text_span(&expected));
    }
}

/* The message as the client sent it: our own trace fields stand before it, and those of policy
 * servers above our Received field. */
static struct span without_trace(struct span message, struct span environment, struct arena *a)
{
    struct text field = {.p = a->base + a->used, .cap = a->cap - a->used};

    for (struct span after = message; take_field(&after, &field);)
        if (is_ours(text_span(&field), TRACE_RECEIVED, environment))
            return after;
    for (enum trace which = 0; which < TRACE_RECEIVED; which++) {
        struct span after = message;

        if (take_field(&after, &field) && is_ours(text_span(&field), which, environment))
            message = after;
    }
    return message;
}

/* Where the client's message has no header, smtpin has put an empty line before it. */
static struct span without_empty_line(struct span message, struct span expected)
{
    const struct span rest = span_from(message, span_find(message, '\n') + 1);

    if (message.n - rest.n > 2 || message.n == 0 || span_find_line_end(message) != 0 ||
        expected.n == 0 || span_find_line_end(expected) == 0 ||
        smtp_header_start(rest, true) != SMTP_START_TEXT)
        return message;
    return rest;
}

/* The first line in which they differ. */
static void compare_message(const struct told *expected, struct span got, struct differences *d)
{
    struct span want = expected->message;
    unsigned line = expected->line;

    while (want.n > 0 || got.n > 0) {
        const struct span w = span_first(want, span_find(want, '\n'));
        const struct span g = span_first(got, span_find(got, '\n'));
        /* Whether the command gets LF or CRLF is not what a transcript is about. */
        const struct span bare = span_first(g, g.n - (g.n > 0 && g.p[g.n - 1] == '\r'));

        if (!(span_eq(w, g) || span_eq(w, bare)) || (want.n == 0) != (got.n == 0)) {
            differ(d, line, want.n == 0 ? SPAN("(end of the message)") : w,
                   got.n == 0 ? SPAN("(end of the message)") : g);
            return;
        }
        want = span_from(want, w.n + 1);
        got = span_from(got, g.n + 1);
    }
}

static void compare(const struct told *expected, const struct recorded *got, struct arena *a,
                    struct differences *d)
{
    for (const struct expectation *x = expected->first; x != NULL; x = x->next) {
        if (span_eq(x->name, SPAN("run")))
            compare_run(x, got->argv, a, d);
        else if (span_eq(x->name, SPAN("env")) || span_eq(x->name, SPAN("asks")))
            compare_environment(x, got->environment, d);
        else
            compare_header(x, got->message, a, d);
    }
    if (expected->has_message) {
        const struct span message = without_trace(got->message, got->environment, a);

        compare_message(expected, without_empty_line(message, expected->message), d);
    }
}

/* What a question is about, for people: a server is told more than they want to read. */
static struct span in_short(struct span attributes, struct arena *a)
{
    static const char *const names[] = {"protocol_state=", "sender=", "recipient="};
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};
    struct span attribute;

    while (take_string(&attributes, &attribute))
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (span_starts_nocase(attribute, span_of(names[i]))) {
                text_adds(&out, out.n > 0 ? " " : "");
                text_add(&out, attribute);
            }
    return text_span(&out);
}

void runs_compare(const struct transcript *t, enum told_kind kind, size_t i,
                  const struct recorded *got, struct arena *a, struct differences *d)
{
    static const struct {
        const char *none, *one;
    } words[] = {
        [TOLD_DELIVERY] = {"(no run of the command)", "(a run of the command)"},
        [TOLD_CHECK] = {"(no run of a check command)", "(a run of a check command)"},
        [TOLD_POLICY] = {"(no question to a policy server)", "(a question to a policy server)"},
        [TOLD_AUTH] = {"(no step of a login)", "(a step of a login)"},
    };
    const struct expectation nothing = {.value = span_of(words[kind].none),
                                        .line = t->last == NULL ? 0 : t->last->line};
    const struct told *expected = transcript_told(t, kind, i);

    if (!t->told[kind].checked)
        return;
    if (got != NULL && expected != NULL)
        compare(expected, got, a, d);
    else if (got != NULL && kind == TOLD_POLICY)
        differ(d, nothing.line, nothing.value, in_short(got->environment, a));
    else if (got != NULL && kind == TOLD_AUTH)
        differ(d, nothing.line, nothing.value,
               span_first(got->environment, span_find(got->environment, '\0')));
    else if (got != NULL)
        compare_run(&nothing, got->argv, a, d);
    else if (expected != NULL && expected->end != TOLD_MISSING)
        differ(d, expected->line, span_of(words[kind].one), SPAN("(none)"));
}
