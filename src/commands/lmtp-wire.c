#include "commands/lmtp.h"

#include "base/number.h"
#include "io/clock.h"

#include <poll.h>
#include <unistd.h>

enum {
    REPLY_LINES_MAX = 1000, /* of one reply */
    PATIENCE = 2000,        /* milliseconds, once the results are there */
};

void lmtp_open(struct lmtp_session *s, const struct lmtp_mail *mail, int fd)
{
    *s = (struct lmtp_session){.mail = mail};
    s->wire = (struct wire){.in = fd,
                            .out = fd,
                            .stop = -1,
                            .send = TEXT(s->out),
                            .buffer = s->in,
                            .cap = sizeof s->in};
}

bool lmtp_flush(struct lmtp_session *s)
{
    return wire_flush(&s->wire, clock_now() + s->mail->timeout) == WIRE_OK;
}

bool lmtp_put(struct lmtp_session *s, struct span bytes)
{
    while (bytes.n > 0) {
        const struct span now = span_first(bytes, s->wire.send.cap - s->wire.send.n);

        text_add(&s->wire.send, now);
        bytes = span_from(bytes, now.n);
        if (s->wire.send.n == s->wire.send.cap && !lmtp_flush(s))
            return false;
    }
    return true;
}

bool lmtp_puts(struct lmtp_session *s, const char *text)
{
    return lmtp_put(s, span_of(text));
}

static bool read_line(struct lmtp_session *s, struct span *line, size_t *used, uint64_t deadline)
{
    for (;;) {
        const enum smtp_line_result found =
            smtp_line_scan(&s->line, wire_unread(&s->wire), line, used);

        if (found == SMTP_LINE_READY)
            return true;
        if (found != SMTP_LINE_MORE)
            return false; /* a server that sends this is none */
        wire_used(&s->wire, *used);
        if (wire_fill(&s->wire, deadline) != WIRE_OK)
            return false;
    }
}

/* What an EHLO line tells. */
static void learn(struct lmtp_session *s, struct span line)
{
    const struct span rest = span_from(line, 4);
    const struct span keyword = span_first(rest, span_find(rest, ' '));

    s->pipelining = s->pipelining || span_eq_nocase(keyword, SPAN("PIPELINING"));
    s->eight_bit = s->eight_bit || span_eq_nocase(keyword, SPAN("8BITMIME"));
    s->utf8 = s->utf8 || span_eq_nocase(keyword, SPAN("SMTPUTF8"));
    s->chunking = s->chunking || span_eq_nocase(keyword, SPAN("CHUNKING"));
    s->binarymime = s->binarymime || span_eq_nocase(keyword, SPAN("BINARYMIME"));
    s->dsn = s->dsn || span_eq_nocase(keyword, SPAN("DSN"));
    s->mt_priority = s->mt_priority || span_eq_nocase(keyword, SPAN("MT-PRIORITY"));
    s->deliver_by = s->deliver_by || span_eq_nocase(keyword, SPAN("DELIVERBY"));
}

/* Reply-line = Reply-code [ ("-" / SP) textstring ]: RFC 5321 4.2. */
static bool is_reply_line(struct span line, uint64_t *code)
{
    return line.n >= 3 && number_parse(span_first(line, 3), 599, code) == NUMBER_OK &&
           (line.n == 3 || line.p[3] == ' ' || line.p[3] == '-');
}

bool lmtp_read_reply(struct lmtp_session *s, struct lmtp_reply *r, bool is_hello)
{
    const uint64_t deadline = clock_now() + s->mail->timeout;
    uint64_t first = 0;

    for (int lines = 0; lines < REPLY_LINES_MAX; lines++) {
        struct text kept = TEXT(r->line);
        struct span line;
        uint64_t code;
        bool last;
        size_t used;

        if (!read_line(s, &line, &used, deadline) || !is_reply_line(line, &code))
            return false;
        /* RFC 5321 4.2.1: the same code on every line. */
        if (lines > 0 && code != first)
            return false;
        first = code;
        if (is_hello)
            learn(s, line);
        last = line.n == 3 || line.p[3] == ' ';
        r->code = (unsigned)code;
        r->after_data = s->sent;
        text_add(&kept, line);
        text_string(&kept);
        wire_used(&s->wire, used);
        if (last)
            return true;
    }
    return false;
}

static bool is_readable(const struct lmtp_session *s)
{
    struct pollfd p = {.fd = s->wire.in, .events = POLLIN};

    return poll(&p, 1, 0) != 0;
}

bool lmtp_in_step(const struct lmtp_session *s)
{
    return wire_unread(&s->wire).n == 0 && !is_readable(s);
}

/* What stands behind the last reply. */
enum tail {
    TAIL_WHOLE, /* nothing, or replies 421 */
    TAIL_BEGUN, /* what may become one */
    TAIL_ELSE,
};

static enum tail tail_of(struct span rest)
{
    const struct span code = SPAN("421");
    bool open = false; /* within a reply of several lines */

    while (rest.n > 0) {
        const size_t end = span_find_line_end(rest);
        const struct span line = span_first(rest, end);
        const struct span line_end = span_first(span_from(rest, end), 2);

        if (!span_eq(span_first(line, 3), span_first(code, line.n)) ||
            (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
            return TAIL_ELSE;
        if (line_end.n == 0)
            return TAIL_BEGUN;
        if (line.n < 3 || !span_eq(line_end, span_first(SPAN("\r\n"), line_end.n)))
            return TAIL_ELSE;
        if (line_end.n == 1)
            return TAIL_BEGUN;
        open = line.n > 3 && line.p[3] == '-';
        rest = span_from(rest, end + 2);
    }
    return open ? TAIL_BEGUN : TAIL_WHOLE;
}

bool lmtp_ended_in_step(struct lmtp_session *s)
{
    const uint64_t deadline = clock_now() + PATIENCE;

    for (;;) {
        const enum tail tail = tail_of(wire_unread(&s->wire));

        s->over = wire_unread(&s->wire).n > 0;
        if (tail == TAIL_ELSE || wire_unread(&s->wire).n == s->wire.cap)
            return false;
        if (tail == TAIL_WHOLE && !is_readable(s))
            return true;
        /* The end of the connection, and of our patience: what has begun is a 421. */
        if (wire_fill(&s->wire, deadline) != WIRE_OK) {
            s->over = true;
            return true;
        }
    }
}

/* RFC 5321 4.1.1.10: the connection stays until the answer has come. */
static void wait_for_quit(struct lmtp_session *s)
{
    const uint64_t deadline = clock_now() + PATIENCE;
    struct span line;
    size_t used;

    if (!lmtp_puts(s, "QUIT\r\n"))
        return;
    for (int lines = 0; lines < REPLY_LINES_MAX; lines++) {
        if (!read_line(s, &line, &used, deadline) || line.n < 4 || line.p[3] != '-')
            return;
        wire_used(&s->wire, used);
    }
}

void lmtp_quit(struct lmtp_session *s)
{
    const pid_t child = s->over ? -1 : fork();

    if (child != 0)
        return;
    /* Whoever waits for the end of what is printed does not wait for this. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        close(fd);
    wait_for_quit(s);
    _exit(0);
}
