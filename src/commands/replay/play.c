#include "commands/replay/play.h"

#include "smtp/header.h"

#include <string.h>
#include <time.h>

enum { DIFFERENCES_SHOWN = 10 };

void differ(struct differences *d, unsigned line, struct span expected, struct span got)
{
    if (++d->count > DIFFERENCES_SHOWN)
        return;
    text_adds(d->out, d->file);
    text_addc(d->out, ':');
    text_addn(d->out, line, 1);
    text_adds(d->out, ":\n- ");
    text_add_escaped(d->out, expected, "");
    text_adds(d->out, "\n+ ");
    text_add_escaped(d->out, got, "");
    text_addc(d->out, '\n');
}

/* The server's bytes, line by line. */
struct listener {
    const struct endpoint *e;
    struct arena *a;
    char *buffer;
    size_t start, end, cap;
    bool closed, timed_out;
};

enum { LISTEN_MAX = 1 << 20 };

static void listen_once(struct listener *l)
{
    const struct span came = l->e->receive(l->e->context, &l->timed_out);

    if (came.n == 0 || l->end + came.n > l->cap) {
        l->closed = true;
        return;
    }
    memcpy(l->buffer + l->end, came.p, came.n);
    l->end += came.n;
}

/* The next line without its CRLF; false at the end. A part of a line at the end is one too. */
static bool heard_line(struct listener *l, struct span *line)
{
    for (;;) {
        const struct span all = {.p = l->buffer + l->start, .n = l->end - l->start};
        const size_t lf = span_find(all, '\n');

        if (lf < all.n || (l->closed && all.n > 0)) {
            *line = span_first(all, lf);
            l->start += lf < all.n ? lf + 1 : lf;
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

static bool matches(struct span expected, struct span got)
{
    if (expected.n >= 3 && span_eq(span_from(expected, expected.n - 3), SPAN("...")))
        return span_eq(span_first(got, expected.n - 3), span_first(expected, expected.n - 3));
    return span_eq(expected, got);
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

static void expect(const struct step *s, struct listener *l, struct differences *d)
{
    struct span line;

    for (;;) {
        if (!heard_line(l, &line)) {
            differ(d, s->line, s->bytes,
                   l->timed_out ? SPAN("(nothing, for too long)") : SPAN("(connection closed)"));
            return;
        }
        if (!is_code(s->bytes)) {
            if (!matches(s->bytes, line))
                differ(d, s->line, s->bytes, line);
            return;
        }
        if (!code_matches(s->bytes, line)) {
            differ(d, s->line, s->bytes, line);
            return;
        }
        if (line.n < 4 || line.p[3] != '-')
            return;
    }
}

static bool send_bytes(const struct endpoint *e, struct span bytes, uint64_t chunk)
{
    while (bytes.n > 0) {
        const struct span now = span_first(bytes, chunk == 0 ? bytes.n : (size_t)chunk);

        if (!e->send(e->context, now))
            return false;
        bytes = span_from(bytes, now.n);
    }
    return true;
}

/* A message with that many octets and lines. */
static bool send_made_up(const struct endpoint *e, const struct step *s, uint64_t chunk)
{
    char line[1002];
    uint64_t left = s->number;

    memset(line, 'x', sizeof line);
    for (uint64_t i = 0; i < s->lines; i++) {
        uint64_t n = i + 1 == s->lines ? left : left / (s->lines - i);

        left -= n;
        for (; n > 1002; n -= 1000)
            if (!send_bytes(e, (struct span){.p = line, .n = 1000}, chunk))
                return false;
        if (!send_bytes(e, (struct span){.p = line, .n = (size_t)n - 2}, chunk) ||
            !send_bytes(e, SPAN("\r\n"), chunk))
            return false;
    }
    return true;
}

static void pause_for(uint64_t milliseconds)
{
    const struct timespec t = {.tv_sec = (time_t)(milliseconds / 1000),
                               .tv_nsec = (long)(milliseconds % 1000 * 1000000)};

    nanosleep(&t, NULL);
}

/* One step of the client's side; false: the connection is over. */
static bool act(const struct step *s, const struct endpoint *e, const struct play_options *o)
{
    switch (s->kind) {
    case STEP_SEND:
        return send_bytes(e, s->bytes, o->chunk);
    case STEP_MESSAGE:
        return send_made_up(e, s, o->chunk);
    case STEP_WAIT:
        pause_for(s->number);
        return true;
    case STEP_HALF_CLOSE:
        e->half_close(e->context);
        return true;
    case STEP_DISCONNECT:
        if (o->whole)
            return false; /* the replies are still to be read */
        e->disconnect(e->context);
        return false;
    default:
        return true;
    }
}

/* Lines that the client sends in one go are one write: that is what pipelining is. */
static const struct step *send_group(const struct step *s, const struct endpoint *e,
                                     const struct play_options *o, struct arena *a)
{
    const size_t mark = a->used;
    struct text all = {.p = a->base + mark, .cap = a->cap - mark};
    const struct step *last = s;

    while (last->next != NULL && last->next->kind == STEP_SEND)
        last = last->next;
    for (const struct step *i = s;; i = i->next) {
        text_add(&all, i->bytes);
        if (i == last)
            break;
    }
    /* Kept while it is sent: the other side may use the arena meanwhile. */
    arena_get(a, all.n);
    send_bytes(e, text_span(&all), o->chunk);
    a->used = mark;
    return last;
}

void play(const struct transcript *t, const struct endpoint *e, const struct play_options *o,
          struct arena *a, struct differences *d)
{
    struct listener l = {.e = e, .a = a, .cap = LISTEN_MAX};
    bool connected = true, left = false;
    struct span line;

    l.buffer = arena_get(a, LISTEN_MAX);
    if (l.buffer == NULL) {
        differ(d, 0, SPAN("memory"), SPAN("none left"));
        return;
    }
    for (const struct step *s = t->first; o->whole && s != NULL; s = s->next)
        connected = connected && act(s, e, o);
    if (o->whole)
        e->half_close(e->context);
    for (const struct step *s = t->first; s != NULL; s = s->next) {
        if (s->kind == STEP_EXPECT)
            expect(s, &l, d);
        else if (!o->whole && s->kind == STEP_SEND)
            s = send_group(s, e, o, a);
        else if (!o->whole)
            connected = connected && act(s, e, o);
        left = left || (s->kind == STEP_DISCONNECT && !o->whole);
    }
    if (!o->whole && !left)
        e->half_close(e->context);
    while (!left && heard_line(&l, &line))
        differ(d, t->last == NULL ? 0 : t->last->line, SPAN("(nothing more)"), line);
    if (!left && l.timed_out)
        differ(d, t->last == NULL ? 0 : t->last->line, SPAN("(the connection closed)"),
               SPAN("(nothing, for too long)"));
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

static bool contains(struct span s, struct span part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (span_eq(span_first(span_from(s, i), part.n), part))
            return true;
    return false;
}

/* Is this field one that smtpin has put there? The client's own may have the same names. */
static bool is_ours(struct span field, size_t which, struct span environment)
{
    char room[1024];
    struct text expected = TEXT(room);

    if (which == 0) {
        text_adds(&expected, "Return-Path: <");
        text_add(&expected, variable_of(environment, "SENDER"));
        text_addc(&expected, '>');
        return span_eq(field, text_span(&expected));
    }
    if (which == 1) {
        text_adds(&expected, "Delivered-To: ");
        text_add(&expected, variable_of(environment, "RECIPIENT"));
        return span_eq(field, text_span(&expected));
    }
    text_adds(&expected, " id ");
    text_add(&expected, variable_of(environment, "SMTPIN_ID"));
    return span_starts_nocase(field, SPAN("Received:")) &&
           contains(field, SPAN(" (smtpin) with ")) && contains(field, text_span(&expected));
}

/* The message as the client sent it: our own trace fields stand before it. */
static struct span without_trace(struct span message, struct span environment, struct arena *a)
{
    struct text field = {.p = a->base + a->used, .cap = a->cap - a->used};

    for (size_t which = 0; which < 3; which++) {
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
static void compare_message(const struct delivery *expected, struct span got, struct differences *d)
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

void compare_delivery(const struct delivery *expected, const struct recorded *got, struct arena *a,
                      struct differences *d)
{
    if (expected == NULL) {
        const struct expectation x = {.value = SPAN("(no run of the command)")};

        compare_run(&x, got->argv, a, d);
        return;
    }
    for (const struct expectation *x = expected->first; x != NULL; x = x->next) {
        if (span_eq(x->name, SPAN("run")))
            compare_run(x, got->argv, a, d);
        else if (span_eq(x->name, SPAN("env")))
            compare_environment(x, got->environment, d);
        else
            compare_header(x, got->message, a, d);
    }
    if (expected->has_message) {
        const struct span message = without_trace(got->message, got->environment, a);

        compare_message(expected, without_empty_line(message, expected->message), d);
    }
}
