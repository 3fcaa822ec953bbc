#include "commands/replay/transcript.h"

#include "base/number.h"
#include "base/text.h"
#include "config/setting.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
    struct transcript *t;
    struct arena *a;
    struct span left;
    unsigned line;
    const char *wrong;
    bool trust;       /* settings may name programs, users and files */
    bool in_delivery; /* the last line was a D: line: the next one belongs to the same run */
};

static struct span next_line(struct reader *r)
{
    struct span line = span_first(r->left, span_find(r->left, '\n'));

    r->left = span_from(r->left, line.n + 1);
    r->line++;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* \r \n \t \\ and \xNN; then `end`. */
static struct span unescape(struct reader *r, struct span s, const char *end)
{
    struct text out = {.cap = s.n + strlen(end) + 1};

    out.p = arena_get(r->a, out.cap);
    if (out.p == NULL) {
        r->wrong = "the transcript is too large";
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

static struct step *add_step(struct reader *r, enum step_kind kind)
{
    struct step *s = arena_get(r->a, sizeof *s);

    if (s == NULL) {
        r->wrong = "the transcript is too large";
        return NULL;
    }
    *s = (struct step){.kind = kind, .line = r->line};
    if (r->t->last == NULL)
        r->t->first = s;
    else
        r->t->last->next = s;
    r->t->last = s;
    return s;
}

static void add_bytes(struct reader *r, enum step_kind kind, struct span bytes)
{
    struct step *s = add_step(r, kind);

    if (s != NULL)
        s->bytes = bytes;
}

/* The lines up to `end` alone, each with `eol`. */
static struct span block(struct reader *r, struct span end, const char *eol)
{
    struct text out = {.p = r->a->base + r->a->used, .cap = r->a->cap - r->a->used};

    while (r->left.n > 0) {
        const struct span line = next_line(r);

        if (span_eq(line, end)) {
            arena_get(r->a, out.n);
            if (out.cut)
                r->wrong = "the transcript is too large";
            return text_span(&out);
        }
        text_add(&out, line);
        text_adds(&out, eol);
    }
    r->wrong = "has a block without an end";
    return (struct span){0};
}

/* "D: none" checks that there is no further run; anything else begins or goes on with one. */
static struct delivery *current_delivery(struct reader *r)
{
    struct delivery *d;

    if (r->in_delivery)
        return r->t->last_delivery;
    d = arena_get(r->a, sizeof *d);
    if (d == NULL) {
        r->wrong = "the transcript is too large";
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
        r->wrong = "the transcript is too large";
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
        r->wrong = "the transcript is too large";
        return;
    }
    text_add(&all, d->says);
    text_add(&all, line);
    d->says = text_span(&all);
}

static void delivery_line(struct reader *r, struct span rest)
{
    const struct span name = span_first(rest, span_find(rest, ' '));
    const struct span value = span_trim(span_from(rest, name.n));
    struct delivery *d;

    r->t->checks_deliveries = true;
    if (span_eq(name, SPAN("none")))
        return;
    d = current_delivery(r);
    if (d == NULL)
        return;
    if (span_eq(name, SPAN("exit"))) {
        if (number_parse(value, 255, &d->status) != NUMBER_OK)
            r->wrong = "has an exit status that is none";
    } else if (span_eq(name, SPAN("says"))) {
        add_said(r, d, unescape(r, value, "\n"));
    } else if (span_eq(name, SPAN("run")) || span_eq(name, SPAN("env")) ||
               span_eq(name, SPAN("header"))) {
        add_expectation(r, d, name, unescape(r, value, ""));
    } else {
        r->wrong = "no such D: line (run, env, header, exit, says, none)";
    }
}

/* "@message OCTETS LINES": a message of that size, made up; recordings have it in place of text. */
static void message_line(struct reader *r, struct span rest)
{
    struct step *s = add_step(r, STEP_MESSAGE);
    struct span octets, lines;

    if (s == NULL)
        return;
    if (!span_word(&rest, " ", &octets) || !span_word(&rest, " ", &lines) ||
        number_parse(octets, (uint64_t)1 << 40, &s->number) != NUMBER_OK ||
        number_parse(lines, (uint64_t)1 << 40, &s->lines) != NUMBER_OK ||
        s->number < 2 * s->lines || (s->lines == 0 && s->number > 0))
        r->wrong = "wants the message's octets and lines";
}

static void action(struct reader *r, struct span line)
{
    struct span name;

    span_word(&line, " ", &name);
    if (span_eq(name, SPAN("@half-close"))) {
        add_step(r, STEP_HALF_CLOSE);
    } else if (span_eq(name, SPAN("@disconnect"))) {
        add_step(r, STEP_DISCONNECT);
    } else if (span_eq(name, SPAN("@wait"))) {
        struct step *s = add_step(r, STEP_WAIT);

        if (s != NULL && number_parse_time(span_trim(line), 600000, &s->number) != NUMBER_OK)
            r->wrong = "wants a time";
    } else if (span_eq(name, SPAN("@message"))) {
        message_line(r, line);
    } else {
        r->wrong = "no such action (@half-close, @disconnect, @wait, @message)";
    }
}

static void setting(struct reader *r, struct span line)
{
    const struct setting *known = setting_find(span_trim(span_first(line, span_find(line, '='))));
    const struct span kept = arena_copy(r->a, line);

    if (span_find(line, '=') == line.n)
        r->wrong = "is neither a line of the session nor a setting";
    else if (r->t->first != NULL || r->t->checks_deliveries)
        r->wrong = "is a setting, and those stand at the top";
    else if (known != NULL && known->reaches_out && !r->trust)
        r->wrong = "names a program, a user or a file: a transcript may do so only with --trust";
    else if (kept.p == NULL || r->t->settings == TRANSCRIPT_SETTINGS_MAX)
        r->wrong = "is a setting too many";
    else
        r->t->setting[r->t->settings++] = kept.p;
}

/* "C: text" is "C:" and one space; "C:" alone is the empty line. */
static bool tagged(struct span line, struct span tag, struct span *rest)
{
    if (!span_starts_nocase(line, tag) || line.p[0] != tag.p[0])
        return false;
    *rest = span_from(line, tag.n);
    if (rest->n > 0 && rest->p[0] == ' ')
        *rest = span_from(*rest, 1);
    return true;
}

static void read_line(struct reader *r, struct span line)
{
    struct span rest;

    if (span_trim(line).n == 0 || line.p[0] == '#')
        return;
    if (line.p[0] != 'D')
        r->in_delivery = false;
    if (tagged(line, SPAN("C:"), &rest)) {
        add_bytes(r, STEP_SEND, unescape(r, rest, "\r\n"));
    } else if (tagged(line, SPAN("C!"), &rest)) {
        add_bytes(r, STEP_SEND, unescape(r, rest, ""));
    } else if (span_eq(line, SPAN("C<<"))) {
        add_bytes(r, STEP_SEND, block(r, SPAN(">>C"), "\r\n"));
    } else if (tagged(line, SPAN("S:"), &rest)) {
        add_bytes(r, STEP_EXPECT, unescape(r, rest, ""));
    } else if (tagged(line, SPAN("D:"), &rest)) {
        delivery_line(r, span_trim(rest));
    } else if (span_eq(line, SPAN("D<<"))) {
        struct delivery *d = current_delivery(r);

        r->t->checks_deliveries = true;
        if (d != NULL) {
            d->has_message = true;
            d->message = block(r, SPAN(">>D"), "\n");
        }
    } else if (line.p[0] == '@') {
        action(r, line);
    } else {
        setting(r, span_trim(line));
    }
}

static bool read_file(const char *file, struct arena *a, struct span *out)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    char *p = a->base + a->used;
    size_t n = 0;
    ssize_t got = -1;

    if (fd < 0)
        return false;
    while (n < a->cap - a->used && (got = read(fd, p + n, a->cap - a->used - n)) > 0)
        n += (size_t)got;
    close(fd);
    if (got > 0)
        errno = EFBIG;
    *out = (struct span){.p = arena_get(a, n), .n = n};
    return got == 0;
}

bool transcript_read(struct transcript *t, const char *file, bool trust, struct arena *a,
                     unsigned *line, const char **what)
{
    struct reader r = {.t = t, .a = a, .trust = trust};

    *t = (struct transcript){.file = file};
    if (!read_file(file, a, &r.left)) {
        *line = 0;
        *what = strerror(errno);
        return false;
    }
    while (r.left.n > 0 && r.wrong == NULL) {
        const struct span l = next_line(&r);

        read_line(&r, l);
    }
    *line = r.line;
    *what = r.wrong;
    return r.wrong == NULL;
}
