#include "adapters/recorder.h"

#include "adapters/recorder_write.h"
#include "base/base64.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

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
    r->in_line = r->in_command = r->response = r->challenge = false;
    r->clear = 0;
    r->deliveries = 0;
    if (config_is_socket_name(c->socket))
        recorder_put_line(r, "socket = ", c->socket);
    recorder_put_line(r, "hostname = ", c->smtp.hostname);
    if (peer->address.n > 0)
        recorder_put_line(r, "client_address = ", peer->address);
    if (peer->name.n > 0)
        recorder_put_line(r, "client_name = ", peer->name);
    recorder_put_line(r, "fixed_id = ", id);
    recorder_put_number(r, "fixed_time = ", time, "\n");
    return true;
}

static void put_received(struct recorder *r, uint64_t count)
{
    for (uint64_t i = 0; i < count && r->fd >= 0; i++)
        recorder_put(r, SPAN("C: Received: x\n"));
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
        recorder_put_number(r, "@message ", whole, " ");
        recorder_put_number(r, "", made_up_lines(d, whole), "\n");
    }
    if (d->ended)
        recorder_put(r, SPAN("C: .\n"));
    else if (smtp_data_is_over(d))
        recorder_put(r, span_of(faults[d->fault]));
}

/* Octets of a chunk, with as many line ends. */
static void put_made_up(struct recorder *r, uint64_t octets, uint64_t lines)
{
    if (octets == 0)
        return;
    recorder_put_number(r, "@message ", octets, " ");
    recorder_put_number(r, "", lines < octets / 2 ? lines : octets / 2, "\n");
}

/* What a fault was found at takes the place of the chunk's first octets. Returns how many. */
static uint64_t put_fault(struct recorder *r, const struct smtp_data *d, uint64_t octets)
{
    if (octets == 0 || (d->fault != SMTP_DATA_BARE_LF && d->fault != SMTP_DATA_BARE_CR))
        return 0;
    recorder_put(r, d->fault == SMTP_DATA_BARE_LF ? SPAN("C! \\n\n") : SPAN("C! \\r\n"));
    return 1;
}

/* Fields for so many hops; the last one may lack its line end, as the client's may. Returns how
 * many octets are left. */
static uint64_t put_hops(struct recorder *r, uint64_t octets, uint64_t hops)
{
    const struct span hop = SPAN("C: Received:\n");
    const uint64_t n = hop.n - 4; /* "Received:" */

    for (; hops > 0 && octets >= n + 2; hops--, octets -= n + 2)
        recorder_put(r, hop);
    if (hops == 0 || octets < n)
        return octets;
    recorder_put(r, SPAN("C! Received:\n"));
    return octets - n;
}

/* A line, so that a hop of the next chunk begins one. */
static void put_exact(struct recorder *r, uint64_t octets)
{
    put_made_up(r, octets, octets > 1);
}

/* Text has as many hops and lines, and as much of a line at its end. */
static void put_text(struct recorder *r, uint64_t octets, const struct smtp_data *before,
                     const struct smtp_data *d)
{
    uint64_t rest;

    octets = put_hops(r, octets, d->received - before->received);
    octets -= put_fault(r, d, octets);
    rest = d->line < octets ? d->line : octets;
    if (octets > rest)
        put_made_up(r, octets - rest, d->lines > before->lines ? d->lines - before->lines : 1);
    put_made_up(r, rest, 0);
}

void recorder_chunk(struct recorder *r, uint64_t octets, const struct smtp_data *before,
                    const struct smtp_data *data)
{
    if (r->fd < 0)
        return;
    r->in_line = false;
    if (r->messages)
        return;
    if (data == NULL)
        put_made_up(r, octets, 0);
    else if (data->exact)
        put_exact(r, put_hops(r, octets, data->received - before->received));
    else
        put_text(r, octets, before, data);
}

/* How many octets base64 stands for. */
static size_t octets_of(struct span base64)
{
    size_t padding = 0;

    while (padding < base64.n && base64.p[base64.n - 1 - padding] == '=')
        padding++;
    return BASE64_DECODED(base64.n) - padding;
}

/* A challenge that is not written down has so many x in its place: with the server's part of SCRAM,
 * a password could be guessed. In base64, as the client hears it. */
static void put_challenge(struct recorder *r, struct span base64)
{
    const size_t n = octets_of(base64);

    for (size_t i = 0; i + 3 <= n; i += 3)
        recorder_put(r, SPAN("eHh4"));
    recorder_put(r, n % 3 == 0 ? SPAN("") : n % 3 == 1 ? SPAN("eA==") : SPAN("eHg="));
}

void recorder_replies(struct recorder *r, struct span bytes)
{
    while (bytes.n > 0 && r->fd >= 0) {
        const struct span line = span_first(bytes, span_find(bytes, '\r'));
        const struct span code = SPAN("334 ");

        recorder_put(r, SPAN("S: "));
        if (r->challenge && span_eq(span_first(line, code.n), code)) {
            recorder_put(r, code);
            put_challenge(r, span_from(line, code.n));
        } else {
            recorder_put_escaped(r, line);
        }
        recorder_put(r, SPAN("\n"));
        bytes = span_from(bytes, line.n + 2);
    }
}

enum { STATUS_TEMPORARY = 75 }; /* sysexits(3) */

/* How it ended. What has no line of its own was a temporary failure. */
static void put_end(struct recorder *r, const struct child_result *c)
{
    if (c->end == CHILD_TIMED_OUT)
        recorder_put(r, SPAN("D: hangs\n"));
    else if (c->end == CHILD_SIGNALLED && c->status <= 31)
        recorder_put_number(r, "D: signal ", (uint64_t)c->status, "\n");
    else
        recorder_put_number(r, "D: exit ",
                            c->end == CHILD_EXITED ? (uint64_t)c->status : STATUS_TEMPORARY, "\n");
}

static void put_run(struct recorder *r, const struct deliver_run *run)
{
    /* Otherwise what it printed did not count. */
    struct span left = run->result.end == CHILD_EXITED ? run->said : (struct span){0};

    put_end(r, &run->result);
    while (left.n > 0 && r->fd >= 0) {
        const struct span line = span_first(left, span_find(left, '\n'));

        recorder_put_escaped_line(r, "D: says ", line);
        left = span_from(left, line.n + 1);
    }
}

void recorder_delivery(struct recorder *r, const struct deliver_report *report)
{
    if (r->fd < 0)
        return;
    for (size_t i = 0; i < report->runs; i++) {
        if (i > 0)
            recorder_put(r, SPAN("C!\n")); /* runs are parted by a line of the client's */
        put_run(r, &report->run[i]);
        r->deliveries++;
    }
}

void recorder_check(struct recorder *r, const struct child_result *end, struct span said)
{
    const bool exited = end->end == CHILD_EXITED;

    if (r->fd < 0)
        return;
    if (end->end == CHILD_TIMED_OUT) {
        recorder_put(r, SPAN("check: hangs\n"));
        return;
    }
    if (said.n > 0 && said.p[said.n - 1] == '\n')
        said.n--;
    recorder_put_number(r, "check: ", exited ? (uint64_t)end->status : STATUS_TEMPORARY, "");
    recorder_put(r, exited && said.n > 0 ? SPAN(" ") : SPAN(""));
    recorder_put_text(r, exited ? said : SPAN(""), "");
}

void recorder_policy(struct recorder *r, struct span action)
{
    if (r->fd < 0)
        return;
    recorder_put(r, SPAN("policy: "));
    if (action.p == NULL)
        recorder_put(r, SPAN("end\n"));
    else
        recorder_put_text(r, action.n > 0 ? action : SPAN(" "), "asks end hangs none");
}

void recorder_mechanisms(struct recorder *r, struct span mechanisms)
{
    if (r->fd >= 0)
        recorder_put_escaped_line(r, "auth: mechanisms ", mechanisms);
}

/* LOGIN asks for the name, and for the password, and says nothing else. */
static void put_auth_challenge(struct recorder *r, const struct smtp_login *login,
                               struct span base64)
{
    char room[64];
    struct text prompt = TEXT(room);

    r->challenge = !span_eq(login->mechanism, SPAN("LOGIN")) || !base64_decode(base64, &prompt);
    recorder_put(r, SPAN("auth: challenge "));
    for (size_t i = r->challenge ? octets_of(base64) : 0; i > 0; i--)
        recorder_put(r, SPAN("x"));
    recorder_put_text(r, text_span(&prompt), "");
}

void recorder_login(struct recorder *r, const struct smtp_login *login,
                    enum smtp_login_result result, struct span text)
{
    r->challenge = false;
    if (r->fd < 0 || login->step == SMTP_LOGIN_CANCELLED)
        return;
    switch (result) {
    case SMTP_LOGIN_DONE:
        recorder_put(r, SPAN("auth: "));
        recorder_put_text(r, text, "mechanisms challenge wrong malformed later hangs none");
        break;
    case SMTP_LOGIN_CHALLENGE:
        put_auth_challenge(r, login, text);
        break;
    case SMTP_LOGIN_WRONG:
        recorder_put(r, SPAN("auth: wrong\n"));
        break;
    case SMTP_LOGIN_MALFORMED:
        recorder_put(r, SPAN("auth: malformed\n"));
        break;
    default: /* who has not the mechanism any more is not asked */
        recorder_put(r, result == SMTP_LOGIN_LATER ? SPAN("auth: later\n") : SPAN(""));
        break;
    }
}

static void put_fact(struct recorder *r, const char *name, struct span value)
{
    if (value.n == 0)
        return;
    recorder_put(r, span_of(name));
    recorder_put_escaped(r, value);
}

void recorder_tls(struct recorder *r, const struct tls_facts *t)
{
    if (r->fd < 0)
        return;
    recorder_put(r, SPAN("tls = "));
    recorder_put(r, t->protocol);
    put_fact(r, " cipher=", t->cipher_iana);
    put_fact(r, " group=", t->group);
    put_fact(r, " sni=", t->sni);
    /* A name with a blank would be two words there. */
    if (tls_facts_verified(t) && span_find(t->name, ' ') == t->name.n)
        put_fact(r, " client=", t->name);
    recorder_put(r, SPAN("\n"));
}

uint64_t recorder_pause(struct recorder *r)
{
    if (r->fd >= 0)
        recorder_flush(r);
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
        recorder_flush(r);
    return r->fd >= 0;
}

void recorder_close(struct recorder *r, const char *end)
{
    if (r->fd < 0)
        return;
    if (r->deliveries == 0)
        recorder_put(r, SPAN("D: none\n"));
    recorder_put_line(r, "# ended by: ", span_of(end));
    if (r->fd < 0)
        return;
    recorder_flush(r);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}
