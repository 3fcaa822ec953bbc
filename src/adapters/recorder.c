#include "adapters/recorder.h"

#include "smtp/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

static void flush(struct recorder *r)
{
    size_t done = 0;

    while (done < r->out.n) {
        const ssize_t n = write(r->fd, r->out.p + done, r->out.n - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* a trace is worth less than the session */
            close(r->fd);
            r->fd = -1;
            break;
        }
        done += (size_t)n;
    }
    r->out.n = 0;
}

/* Too much: back to the end of the last whole exchange, so that what is there still replays. */
static void cut(struct recorder *r)
{
    const uint64_t flushed = r->total - r->out.n;

    if (r->boundary >= flushed) {
        r->out.n = (size_t)(r->boundary - flushed);
    } else {
        r->out.n = 0;
        if (ftruncate(r->fd, (off_t)r->boundary) < 0 ||
            lseek(r->fd, (off_t)r->boundary, SEEK_SET) < 0)
            r->boundary = 0;
    }
    flush(r);
    text_adds(&r->out, "# trace_size: the rest is not recorded\n@disconnect\n");
    flush(r);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

static void put(struct recorder *r, struct span s)
{
    if (r->fd < 0)
        return;
    if (s.n > r->limit - r->total) {
        cut(r);
        return;
    }
    r->total += s.n;
    while (s.n > 0 && r->fd >= 0) {
        const struct span piece = span_first(s, r->out.cap - r->out.n);

        text_add(&r->out, piece);
        s = span_from(s, piece.n);
        if (r->out.cap - r->out.n < 128)
            flush(r);
    }
}

static void puts_line(struct recorder *r, const char *tag, struct span value)
{
    put(r, span_of(tag));
    put(r, value);
    put(r, SPAN("\n"));
}

static void put_number(struct recorder *r, const char *tag, uint64_t number, const char *end)
{
    char room[32];
    struct text t = TEXT(room);

    text_addn(&t, number, 1);
    put(r, span_of(tag));
    put(r, text_span(&t));
    put(r, span_of(end));
}

/* A frame of its own: who records nothing does not touch that much stack. */
__attribute__((noinline)) static int open_file(struct span directory, struct span id)
{
    char room[PATH_MAX];
    struct text path = TEXT(room);

    text_add(&path, directory);
    text_addc(&path, '/');
    text_add(&path, id);
    text_adds(&path, ".smtp");
    return open(text_string(&path), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                0600);
}

bool recorder_open(struct recorder *r, const struct config *c, const struct peer *peer,
                   struct span id, uint64_t time)
{
    r->fd = -1;
    if (c->trace.n == 0)
        return true;
    r->fd = open_file(c->trace, id);
    if (r->fd < 0)
        return false;
    r->messages = c->trace_messages;
    r->limit = c->trace_size;
    r->total = r->boundary = 0;
    r->in_line = r->masked = false;
    r->deliveries = 0;
    if (config_is_socket_name(c->socket))
        puts_line(r, "socket = ", c->socket);
    puts_line(r, "hostname = ", c->smtp.hostname);
    if (peer->address.n > 0)
        puts_line(r, "client_address = ", peer->address);
    if (peer->name.n > 0)
        puts_line(r, "client_name = ", peer->name);
    puts_line(r, "fixed_id = ", id);
    put_number(r, "fixed_time = ", time, "\n");
    return true;
}

static void put_hex(struct recorder *r, char c)
{
    static const char hex[] = "0123456789abcdef";
    const char escaped[4] = {'\\', 'x', hex[(unsigned char)c >> 4], hex[c & 15]};

    put(r, (struct span){.p = escaped, .n = 4});
}

/* As smtpin-transcript(5) writes bytes. */
static void put_escaped(struct recorder *r, struct span s)
{
    while (s.n > 0 && r->fd >= 0) {
        const size_t n = utf8_length(s);
        const char c = s.p[0];

        if (c == '\\')
            put(r, SPAN("\\\\"));
        else if (n == 0 || byte_is_control(c))
            put_hex(r, c);
        else
            put(r, span_first(s, n));
        s = span_from(s, n == 0 ? 1 : n);
    }
}

static void puts_escaped_line(struct recorder *r, const char *tag, struct span s)
{
    put(r, span_of(tag));
    put_escaped(r, s);
    put(r, SPAN("\n"));
}

/* A printable byte as an x: what decides a line's fate, its length and its control bytes, stays. */
static void put_masked(struct recorder *r, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i] == ' ' || byte_is_control(s.p[i]) ? s.p[i] : 'x';

        put_escaped(r, (struct span){.p = &c, .n = 1});
    }
}

/* Whole lines as "C:", pieces of lines as "C!". */
static void put_client(struct recorder *r, struct span bytes)
{
    void (*const put_bytes)(struct recorder *, struct span) = r->masked ? put_masked : put_escaped;

    while (bytes.n > 0 && r->fd >= 0) {
        const size_t lf = span_find(bytes, '\n');
        const bool whole = !r->in_line && lf > 0 && lf < bytes.n && bytes.p[lf - 1] == '\r' &&
                           span_find(bytes, '\r') == lf - 1;

        put(r, whole ? SPAN("C: ") : SPAN("C! "));
        put_bytes(r, span_first(bytes, whole ? lf - 1 : lf < bytes.n ? lf + 1 : lf));
        put(r, SPAN("\n"));
        r->in_line = lf == bytes.n;
        bytes = span_from(bytes, lf + 1);
    }
}

/* Lines that may be written down: commands that hold no secret. Anything else that a client says
 * where a command should be may be a password, or the text of a message whose DATA was refused. */
static bool is_harmless(struct span line)
{
    /* Not our verbs, but what clients try. */
    static const char words[] = "STARTTLS GET HEAD POST PUT DELETE OPTIONS CONNECT PATCH TRACE PRI";
    struct span left = SPAN(words), word;
    struct span first = span_first(line, span_find(line, ' '));

    first = span_first(first, span_find(first, '\r'));
    first = span_first(first, span_find(first, '\n'));
    if (smtp_verb_may_be_recorded(first))
        return true;
    while (span_word(&left, " ", &word))
        if (span_eq_nocase(word, first))
            return true;
    return first.n == 0 && line.n > 0 && line.p[0] == '\r';
}

void recorder_commands(struct recorder *r, struct span bytes)
{
    if (r->fd < 0 || bytes.n == 0)
        return;
    if (!r->in_line) {
        r->boundary = r->total;
        r->masked = !is_harmless(bytes);
    }
    put_client(r, bytes);
    if (!r->in_line)
        r->masked = false;
}

void recorder_text(struct recorder *r, struct span bytes)
{
    if (r->fd >= 0 && r->messages)
        put_client(r, bytes);
}

static void put_received(struct recorder *r, uint64_t count)
{
    for (uint64_t i = 0; i < count && r->fd >= 0; i++)
        put(r, SPAN("C: Received: x\n"));
}

/* So many that the message has the fate that it had, and no other. */
static uint64_t made_up_lines(const struct smtp_data *d, uint64_t octets)
{
    if (d->fault == SMTP_DATA_LONG_LINE && d->lines > 0)
        return 1;
    if (d->fault == SMTP_DATA_TOO_LARGE)
        return octets / 900 + (octets > 0);
    return d->lines;
}

void recorder_message(struct recorder *r, const struct smtp_data *d)
{
    static const char *const faults[] = {
        [SMTP_DATA_BARE_LF] = "C! x\\n\n",
        [SMTP_DATA_BARE_CR] = "C! x\\rx\n",
    };
    const uint64_t whole = d->size - d->line;

    if (r->fd < 0 || r->messages)
        return;
    /* A made-up message that has the same fate. */
    if (d->fault == SMTP_DATA_LOOP) {
        put_received(r, d->received);
    } else {
        put_number(r, "@message ", whole, " ");
        put_number(r, "", made_up_lines(d, whole), "\n");
    }
    if (d->ended)
        put(r, SPAN("C: .\n"));
    else if (smtp_data_is_over(d))
        put(r, span_of(faults[d->fault]));
}

void recorder_replies(struct recorder *r, struct span bytes)
{
    while (bytes.n > 0 && r->fd >= 0) {
        const struct span line = span_first(bytes, span_find(bytes, '\r'));

        put(r, SPAN("S: "));
        put_escaped(r, line);
        put(r, SPAN("\n"));
        bytes = span_from(bytes, line.n + 2);
    }
}

enum { STATUS_TEMPORARY = 75 }; /* sysexits(3) */

/* How it ended. What has no line of its own was a temporary failure. */
static void put_end(struct recorder *r, const struct child_result *c)
{
    if (c->end == CHILD_TIMED_OUT)
        put(r, SPAN("D: hangs\n"));
    else if (c->end == CHILD_SIGNALLED && c->status <= 31)
        put_number(r, "D: signal ", (uint64_t)c->status, "\n");
    else
        put_number(r, "D: exit ", c->end == CHILD_EXITED ? (uint64_t)c->status : STATUS_TEMPORARY,
                   "\n");
}

static void put_run(struct recorder *r, const struct deliver_run *run)
{
    /* Otherwise what it printed did not count. */
    struct span left = run->result.end == CHILD_EXITED ? run->said : (struct span){0};

    put_end(r, &run->result);
    while (left.n > 0 && r->fd >= 0) {
        const struct span line = span_first(left, span_find(left, '\n'));

        puts_escaped_line(r, "D: says ", line);
        left = span_from(left, line.n + 1);
    }
}

void recorder_delivery(struct recorder *r, const struct deliver_report *report)
{
    if (r->fd < 0)
        return;
    for (size_t i = 0; i < report->runs; i++) {
        if (i > 0)
            put(r, SPAN("C!\n")); /* runs are parted by a line of the client's */
        put_run(r, &report->run[i]);
        r->deliveries++;
    }
}

/* A word of the format's own, at the beginning, and blanks around it, would be lost. */
static void put_text(struct recorder *r, struct span s, const char *words)
{
    struct span left = span_of(words), word;
    const struct span first = span_first(s, span_find(s, ' '));
    bool known = s.n > 0 && byte_is_blank(s.p[0]);

    while (span_word(&left, " ", &word))
        known = known || span_eq(first, word);
    if (known) {
        put_hex(r, s.p[0]);
        s = span_from(s, 1);
    }
    if (s.n > 0 && byte_is_blank(s.p[s.n - 1])) {
        put_escaped(r, span_first(s, s.n - 1));
        put_hex(r, s.p[s.n - 1]);
    } else {
        put_escaped(r, s);
    }
    put(r, SPAN("\n"));
}

void recorder_check(struct recorder *r, const struct child_result *end, struct span said)
{
    const bool exited = end->end == CHILD_EXITED;

    if (r->fd < 0)
        return;
    if (end->end == CHILD_TIMED_OUT) {
        put(r, SPAN("check: hangs\n"));
        return;
    }
    if (said.n > 0 && said.p[said.n - 1] == '\n')
        said.n--;
    put_number(r, "check: ", exited ? (uint64_t)end->status : STATUS_TEMPORARY, "");
    put(r, exited && said.n > 0 ? SPAN(" ") : SPAN(""));
    put_text(r, exited ? said : SPAN(""), "");
}

void recorder_policy(struct recorder *r, struct span action)
{
    if (r->fd < 0)
        return;
    put(r, SPAN("policy: "));
    if (action.p == NULL)
        put(r, SPAN("end\n"));
    else
        put_text(r, action.n > 0 ? action : SPAN(" "), "asks end hangs none");
}

static void put_fact(struct recorder *r, const char *name, struct span value)
{
    if (value.n == 0)
        return;
    put(r, span_of(name));
    put_escaped(r, value);
}

void recorder_tls(struct recorder *r, const struct tls_facts *t)
{
    if (r->fd < 0)
        return;
    put(r, SPAN("tls = "));
    put(r, t->protocol);
    put_fact(r, " cipher=", t->cipher_iana);
    put_fact(r, " group=", t->group);
    put_fact(r, " sni=", t->sni);
    /* A name with a blank would be two words there. */
    if (tls_facts_verified(t) && span_find(t->name, ' ') == t->name.n)
        put_fact(r, " client=", t->name);
    put(r, SPAN("\n"));
}

uint64_t recorder_pause(struct recorder *r)
{
    if (r->fd >= 0)
        flush(r);
    return r->fd >= 0 ? r->boundary : UINT64_MAX;
}

static void leave_it(struct recorder *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

/* Whoever writes, writes at its end. */
static void go_to_end(struct recorder *r)
{
    const off_t end = r->fd >= 0 ? lseek(r->fd, 0, SEEK_END) : -1;

    if (end < 0)
        leave_it(r);
    else
        r->total = (uint64_t)end < r->limit ? (uint64_t)end : r->limit;
}

void recorder_resume(struct recorder *r, bool goes_on, bool ran)
{
    if (!goes_on)
        leave_it(r);
    go_to_end(r);
    r->deliveries += ran;
}

void recorder_continue(struct recorder *r, uint64_t boundary)
{
    if (boundary == UINT64_MAX)
        leave_it(r);
    go_to_end(r);
    r->boundary = boundary < r->total ? boundary : r->total;
}

bool recorder_leave(struct recorder *r)
{
    if (r->fd >= 0)
        flush(r);
    return r->fd >= 0;
}

void recorder_close(struct recorder *r, const char *end)
{
    if (r->fd < 0)
        return;
    if (r->deliveries == 0)
        put(r, SPAN("D: none\n"));
    puts_line(r, "# ended by: ", span_of(end));
    if (r->fd < 0)
        return;
    flush(r);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}
