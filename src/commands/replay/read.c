#include "commands/replay/read.h"

#include "base/number.h"
#include "commands/replay/read_asked.h"
#include "commands/replay/read_auth.h"
#include "commands/replay/read_delivery.h"
#include "commands/replay/read_reply.h"
#include "commands/replay/read_tls.h"
#include "config/setting.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void send_bytes(struct reader *r, struct span bytes)
{
    struct step *s;

    /* "C!" alone parts the rows before it and behind it, also where there is no connection. */
    if (bytes.n == 0 && r->t->last != NULL && step_accepts_only(r->t->last, ACCEPT_END))
        return;
    s = reader_step(r, STEP_SEND);
    if (s == NULL)
        return;
    s->bytes = bytes;
    read_tls_sent(r, bytes);
}

/* "@message OCTETS LINES": so much of a message, made up; recordings have it in place of text.
 * Without lines, the octets have no line end. */
static void message_line(struct reader *r, struct span rest)
{
    struct step *s = reader_step(r, STEP_MESSAGE);
    struct span octets, lines;

    if (s == NULL)
        return;
    if (!span_word(&rest, " ", &octets) || !span_word(&rest, " ", &lines) ||
        number_parse(octets, (uint64_t)1 << 40, &s->number) != NUMBER_OK ||
        number_parse(lines, (uint64_t)1 << 40, &s->lines) != NUMBER_OK ||
        s->number < 2 * s->lines || span_trim(rest).n > 0)
        r->wrong = "wants the message's octets and lines";
    read_tls_sent(r, SPAN("\r\n")); /* it may end with a line */
}

static void action(struct reader *r, struct span line)
{
    struct span name;

    span_word(&line, " ", &name);
    if (span_eq(name, SPAN("@half-close")) || span_eq(name, SPAN("@disconnect"))) {
        reader_step(r, name.p[1] == 'h' ? STEP_HALF_CLOSE : STEP_DISCONNECT);
        if (span_trim(line).n > 0)
            r->wrong = "has something behind a word that stands alone";
    } else if (span_eq(name, SPAN("@wait"))) {
        struct step *s = reader_step(r, STEP_WAIT);

        if (s != NULL && number_parse_time(span_trim(line), 600000, &s->number) != NUMBER_OK)
            r->wrong = "wants a time";
    } else if (span_eq(name, SPAN("@message"))) {
        message_line(r, line);
    } else {
        r->wrong = "no such action (@half-close, @disconnect, @wait, @message)";
    }
}

static bool at_top(const struct reader *r)
{
    for (size_t i = 0; i < TOLD_KINDS; i++)
        if (r->t->told[i].checked)
            return false;
    return r->t->first == NULL;
}

/* It becomes a setting, too: place.h. */
static void table(struct reader *r, struct span name)
{
    if (!at_top(r))
        r->wrong = "is a table: tables stand only at the top";
    else if (r->t->settings + r->t->tables == TRANSCRIPT_SETTINGS_MAX)
        r->wrong = "is a table, and there are too many settings";
    else
        read_table(r, name);
}

static void setting(struct reader *r, struct span line)
{
    struct span facts;
    const struct setting *known = setting_find(span_trim(span_first(line, span_find(line, '='))));
    const struct span kept = arena_copy(r->a, line);

    if (read_tls_is_facts(line, &facts)) {
        read_tls_facts(r, facts, at_top(r));
        return;
    }
    if (span_find(line, '=') == line.n)
        r->wrong = "is neither a line of the session nor a setting";
    else if (!at_top(r))
        r->wrong = "is a setting: settings stand only at the top";
    else if (known != NULL && known->reaches_out && !r->trust)
        r->wrong = "names a program, a user or a file: allowed only with --trust";
    else if (span_find(line, '\0') < line.n)
        r->wrong = "is a setting with a NUL";
    else if (kept.p == NULL || r->t->settings + r->t->tables == TRANSCRIPT_SETTINGS_MAX)
        r->wrong = "is a setting, and there are too many";
    if (r->wrong != NULL)
        return;
    r->t->setting_line[r->t->settings] = r->line;
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

/* What a line does not go on with ends before it. */
static void end_others(struct reader *r, struct span line)
{
    struct span rest;

    if (line.p[0] != 'D')
        r->in_delivery = false;
    if (line.p[0] != 'S')
        r->in_reply = false;
    if (!tagged(line, SPAN("check:"), &rest))
        read_asked_end(r, r->asked[TOLD_CHECK]);
    if (!tagged(line, SPAN("policy:"), &rest))
        read_asked_end(r, r->asked[TOLD_POLICY]);
}

static void read_line(struct reader *r, struct span line)
{
    struct span rest;

    if (span_trim(line).n == 0 || line.p[0] == '#')
        return;
    end_others(r, line);
    if (r->wrong != NULL) {
        /* the line before is wrong */
    } else if (tagged(line, SPAN("C:"), &rest)) {
        send_bytes(r, reader_unescape(r, rest, "\r\n"));
    } else if (tagged(line, SPAN("C!"), &rest)) {
        send_bytes(r, reader_unescape(r, rest, ""));
    } else if (span_eq(line, SPAN("C<<"))) {
        send_bytes(r, reader_block(r, SPAN(">>C"), "\r\n"));
    } else if (tagged(line, SPAN("S:"), &rest)) {
        read_reply(r, rest);
    } else if (tagged(line, SPAN("S|"), &rest)) {
        read_other_reply(r, rest);
    } else if (tagged(line, SPAN("D:"), &rest)) {
        read_delivery(r, span_trim(rest));
    } else if (span_eq(line, SPAN("D<<"))) {
        read_delivered(r);
    } else if (tagged(line, SPAN("check:"), &rest)) {
        read_check(r, span_trim(rest));
    } else if (tagged(line, SPAN("policy:"), &rest)) {
        read_policy(r, span_trim(rest));
    } else if (tagged(line, SPAN("auth:"), &rest)) {
        read_auth(r, span_trim(rest));
    } else if (tagged(line, SPAN("T<<"), &rest)) {
        table(r, span_trim(rest));
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
        const struct span l = reader_line(&r);

        read_line(&r, l);
    }
    for (size_t i = 0; i < TOLD_KINDS; i++)
        read_asked_end(&r, r.asked[i]);
    *line = r.line;
    *what = r.wrong;
    return r.wrong == NULL;
}
