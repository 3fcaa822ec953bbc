#include "adapters/log.h"

#include "io/clock.h"
#include "io/environment.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_OCTETS = 8192,
    STDERR_MAX_OCTETS = PIPE_BUF, /* with its newline: a pipe takes it whole, or not at all */
    JOURNAL_MAX_OCTETS = 32768,
    PATIENCE = 100,      /* milliseconds that a record may be waited for */
    NOWAIT = 0x00000008, /* RWF_NOWAIT (linux/fs.h), which musl has not */
};

static const char dropped_name[] = "dropped";

static const struct {
    const char *name;
    const char *message_id; /* units/smtpin.catalog explains them */
} kinds[] = {
    [LOG_SESSION] = {"session", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f11"},
    [LOG_TRANSACTION] = {"transaction", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f12"},
    [LOG_REFUSAL] = {"refused", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f13"},
    [LOG_CONFIGURATION] = {"configuration", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f14"},
    [LOG_CRASH] = {"crash", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f15"},
    [LOG_SERVICE] = {"service", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f16"},
};

/* systemd sets JOURNAL_STREAM to the device and inode of the stream that it has made descriptor 1
 * or 2 (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *stream = environment_get("JOURNAL_STREAM");
    struct stat st;
    char room[64];
    struct text t = TEXT(room);

    if (stream == NULL || fstat(2, &st) < 0)
        return false;
    text_addn(&t, st.st_dev, 1);
    text_addc(&t, ':');
    text_addn(&t, st.st_ino, 1);
    return span_eq(text_span(&t), span_of(stream));
}

static enum config_log choose(struct log *l, enum config_log target, bool stderr_is_ours)
{
    l->prefix = false;
    if (target == CONFIG_LOG_NONE || target == CONFIG_LOG_SYSLOG)
        return target;
    l->prefix = stderr_is_ours && stderr_is_journal();
    if (target == CONFIG_LOG_AUTO && l->prefix)
        return CONFIG_LOG_JOURNAL;
    if (target == CONFIG_LOG_AUTO)
        target = CONFIG_LOG_STDERR;
    /* The client must not read our log, whatever was asked for. */
    return target == CONFIG_LOG_STDERR && !stderr_is_ours ? CONFIG_LOG_SYSLOG : target;
}

static void close_socket(struct log *l)
{
    if (l->socket >= 0)
        close(l->socket);
    l->socket = -1;
    l->stream = false;
}

void log_open(struct log *l, uint64_t target, bool stderr_is_ours)
{
    const enum config_log before = l->target;

    l->target = choose(l, (enum config_log)target, stderr_is_ours);
    if (l->target != before) {
        close_socket(l);
        l->stuck = false;
    }
    /* What the process that forked this one has lost is that one's to say. */
    if (l->process != 0 && l->process != getpid()) {
        l->process = 0;
        l->dropped = 0;
    }
}

void log_begin(struct log_record *r, enum log_kind kind, enum log_level level)
{
    r->kind = kind;
    r->level = level;
    r->n = 0;
    r->used = 0;
}

void log_add(struct log_record *r, const char *name, struct span value)
{
    if (value.n > 0 && r->n < LOG_FIELDS_MAX)
        r->field[r->n++] = (struct log_field){.name = name, .value = value};
}

static struct text begin_value(struct log_record *r)
{
    return (struct text){.p = r->room + r->used, .cap = sizeof r->room - r->used};
}

static void end_value(struct log_record *r, const char *name, const struct text *t)
{
    r->used += t->n;
    log_add(r, name, text_span(t));
}

void log_add_number(struct log_record *r, const char *name, uint64_t value)
{
    struct text t = begin_value(r);

    text_addn(&t, value, 1);
    end_value(r, name, &t);
}

void log_add_reply(struct log_record *r, const struct smtp_reply *reply, struct span text)
{
    const size_t place = span_find(reply->text, '%');
    struct text t = begin_value(r);

    text_addn(&t, reply->code, 3);
    text_addc(&t, ' ');
    if (reply->enhanced.n > 0) {
        text_add(&t, reply->enhanced);
        text_addc(&t, ' ');
    }
    text_add(&t, span_first(reply->text, place));
    if (place < reply->text.n) {
        text_add(&t, text);
        text_add(&t, span_from(reply->text, place + 1));
    }
    if (!t.cut)
        end_value(r, "reply", &t);
    log_add(r, "rule", span_of(reply->rule));
}

static bool wants_quotes(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];

        /* What is not printable ASCII, and four that are. */
        if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\')
            return true;
    }
    return false;
}

/* Behind what is there already: `most` octets at the most. */
static void add_line(const struct log *l, const struct log_record *r, struct text *line,
                     size_t most)
{
    char room[64];
    struct text dropped = TEXT(room);
    const size_t cap = line->cap;

    if (l->dropped > 0) {
        text_addc(&dropped, ' ');
        text_adds(&dropped, dropped_name);
        text_addc(&dropped, '=');
        text_addn(&dropped, l->dropped, 1);
    }
    if (cap - line->n > most - dropped.n)
        line->cap = line->n + most - dropped.n;
    text_adds(line, kinds[r->kind].name);
    for (size_t i = 0; i < r->n; i++) {
        const bool quotes = wants_quotes(r->field[i].value);
        const size_t before = line->n;

        text_addc(line, ' ');
        text_adds(line, r->field[i].name);
        text_adds(line, quotes ? "=\"" : "=");
        text_add_escaped(line, r->field[i].value, "\"\\");
        if (quotes)
            text_addc(line, '"');
        if (line->cut) { /* a field is there whole, or not at all */
            line->n = before;
            line->cut = false;
        }
    }
    line->cap = cap;
    text_add(line, text_span(&dropped));
}

static void nothing(int sig)
{
    (void)sig;
}

/* Ended by SIGALRM after a moment: EINTR. The alarm rings again, should the first have come before
 * the write had begun. It takes the place of one that somebody else has left in this process, whose
 * signal, if it waits already, is taken before the write. Neither is left behind: SIGALRM is
 * blocked again (setup.c), and what is forked inherits no timer. */
static ssize_t write_with_alarm(struct log *l, struct span s)
{
    static const struct timeval patience = {.tv_usec = PATIENCE * 1000};
    const struct itimerval on = {.it_interval = patience, .it_value = patience}, off = {0};
    const struct sigaction action = {.sa_handler = nothing};
    struct pollfd p = {.fd = 2, .events = POLLOUT};
    sigset_t alarms, before;
    ssize_t n;
    int error;

    if (l->stuck && poll(&p, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (!l->handled)
        sigaction(SIGALRM, &action, NULL);
    l->handled = true;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, &before);
    setitimer(ITIMER_REAL, &on, NULL);
    n = write(2, s.p, s.n);
    error = errno;
    setitimer(ITIMER_REAL, &off, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return n;
}

/* Some file systems answer EAGAIN where they would have to allocate: no reader will make that
 * better, and a file takes the record soon. */
static bool is_file(void)
{
    struct stat st;

    return fstat(2, &st) == 0 && S_ISREG(st.st_mode);
}

/* Descriptor 2 is others' too: O_NONBLOCK would be theirs as well. */
static ssize_t write_at_once(struct log *l, struct span s)
{
    const struct iovec all = {.iov_base = (char *)s.p, .iov_len = s.n};
    ssize_t n = -1;

    for (; l->way < LOG_WAY_ALARM; l->way++) {
        n = l->way == LOG_WAY_NOWAIT ? syscall(SYS_pwritev2, 2, &all, 1, -1L, -1L, NOWAIT)
                                     : send(2, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0 || errno == EINTR || (errno == EAGAIN && !is_file()))
            return n;
    }
    return write_with_alarm(l, s);
}

/* In one piece, so that lines of many processes do not mix; what is no pipe may still take it in
 * several. False: not all of it went through. */
static bool write_line(struct log *l, struct span left)
{
    const size_t all = left.n;
    struct pollfd p = {.fd = 2, .events = POLLOUT};
    uint64_t deadline = 0;

    for (;;) {
        const ssize_t n = write_at_once(l, left);

        left = span_from(left, n > 0 ? (size_t)n : 0);
        if (left.n == 0)
            break;
        /* An alarm's EINTR is the end of the wait. */
        if (n == 0 || l->stuck ||
            (n < 0 && errno != EAGAIN && (errno != EINTR || l->way == LOG_WAY_ALARM)))
            break;
        if (deadline == 0)
            deadline = clock_now() + PATIENCE;
        if (clock_left(deadline) == 0)
            break;
        poll(&p, 1, clock_left(deadline));
    }
    if (left.n < all)
        l->torn = left.n > 0;
    return left.n == 0;
}

static void add_name(const struct log *l, struct text *out)
{
    text_adds(out, "smtpin[");
    text_addn(out, (uint64_t)l->process, 1);
    text_adds(out, "]: ");
}

static bool to_stderr(struct log *l, const struct log_record *r, struct text out)
{
    if (l->torn)
        text_addc(&out, '\n');
    if (l->prefix) {
        text_addc(&out, '<');
        text_addn(&out, r->level, 1);
        text_addc(&out, '>');
    } else {
        add_name(l, &out);
    }
    add_line(l, r, &out, STDERR_MAX_OCTETS - 1 - out.n);
    text_addc(&out, '\n');
    return write_line(l, text_span(&out));
}

enum sent { SENT, SENT_STUCK, SENT_NOBODY };

/* A socket that takes nothing for a moment costs the record, not the session. */
static void open_socket(struct log *l, int type)
{
    const struct timeval patience = {.tv_usec = PATIENCE * 1000};

    l->socket = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    setsockopt(l->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static enum sent result_of(bool sent)
{
    if (sent)
        return SENT;
    return errno == EAGAIN || errno == EINTR ? SENT_STUCK : SENT_NOBODY;
}

static ssize_t send_some(const struct log *l, struct span s, const struct sockaddr_un *to)
{
    return sendto(l->socket, s.p, s.n, MSG_NOSIGNAL | (l->stuck ? MSG_DONTWAIT : 0),
                  (const struct sockaddr *)to, to == NULL ? 0 : sizeof *to);
}

/* A datagram, to whoever has the socket of that name now. */
static enum sent send_datagram(struct log *l, const struct sockaddr_un *to, struct span s)
{
    if (l->socket < 0)
        open_socket(l, SOCK_DGRAM);
    return result_of(send_some(l, s, to) == (ssize_t)s.n);
}

static void add_field(struct text *all, const char *prefix, const char *name, struct span value)
{
    const size_t before = all->n;

    text_adds(all, prefix);
    for (const char *c = name; *c != '\0'; c++)
        text_addc(all, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
    text_addc(all, '=');
    text_add_escaped(all, value, "\\");
    text_addc(all, '\n');
    if (all->cut) { /* a field is there whole, or not at all */
        all->n = before;
        all->cut = false;
    }
}

/* The journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram of NAME=value lines.
 * Values are escaped, so none holds a newline. libsystemd would do the same, after loading a dozen
 * libraries into each session. */
static enum sent to_journal(struct log *l, const struct log_record *r, struct text all)
{
    static const struct sockaddr_un journal = {.sun_family = AF_UNIX,
                                               .sun_path = "/run/systemd/journal/socket"};
    char room[32];
    struct text dropped = TEXT(room);

    text_adds(&all, "SYSLOG_IDENTIFIER=smtpin\nMESSAGE_ID=");
    text_adds(&all, kinds[r->kind].message_id);
    text_adds(&all, "\nPRIORITY=");
    text_addn(&all, r->level, 1);
    text_adds(&all, "\nMESSAGE=");
    add_line(l, r, &all, LINE_MAX_OCTETS);
    text_addc(&all, '\n');
    if (l->dropped > 0) {
        text_addn(&dropped, l->dropped, 1);
        add_field(&all, "SMTP_", dropped_name, text_span(&dropped));
    }
    for (size_t i = 0; i < r->n; i++)
        add_field(&all, "SMTP_", r->field[i].name, r->field[i].value);
    return send_datagram(l, &journal, text_span(&all));
}

/* A syslogd that has a stream: each record ends with a NUL. The connection is kept while it takes
 * them. */
static enum sent send_in_stream(struct log *l, const struct sockaddr_un *to, struct span s)
{
    enum sent result;

    if (!l->stream) {
        close_socket(l);
        open_socket(l, SOCK_STREAM | (l->stuck ? SOCK_NONBLOCK : 0));
        l->stream = true;
        if (connect(l->socket, (const struct sockaddr *)to, sizeof *to) < 0)
            s.n = 0;
    }
    result = result_of(s.n > 0 && send_some(l, s, NULL) == (ssize_t)s.n);
    if (result != SENT)
        close_socket(l);
    return result;
}

/* What syslog(3) does, whose wait for a syslogd has no end: "<22>Feb  3 04:05:06 smtpin[7]: ". */
static enum sent to_syslog(struct log *l, const struct log_record *r, struct text all)
{
    static const struct sockaddr_un syslogd = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    const time_t now = (time_t)(clock_wall_micros() / 1000000);
    enum sent result;
    struct tm local;
    char date[32];

    text_addc(&all, '<');
    text_addn(&all, LOG_MAIL | r->level, 1);
    text_addc(&all, '>');
    if (localtime_r(&now, &local) != NULL)
        text_add(&all, (struct span){date, strftime(date, sizeof date, "%b %e %T ", &local)});
    add_name(l, &all);
    add_line(l, r, &all, LINE_MAX_OCTETS);
    text_addc(&all, '\0');
    result = l->stream ? send_in_stream(l, &syslogd, text_span(&all)) : SENT_NOBODY;
    /* None yet, or it has been started anew. */
    if (result == SENT_NOBODY)
        result = send_datagram(l, &syslogd, span_first(text_span(&all), all.n - 1));
    if (result == SENT_NOBODY && errno == EPROTOTYPE)
        result = send_in_stream(l, &syslogd, text_span(&all));
    return result;
}

static bool to_target(struct log *l, const struct log_record *r, struct text room)
{
    enum sent result;

    switch (l->target) {
    case CONFIG_LOG_JOURNAL:
        /* Descriptor 2 is the journal's too: where that is stuck, so is this. */
        result = to_journal(l, r, room);
        return result == SENT || (result == SENT_NOBODY && to_stderr(l, r, room));
    case CONFIG_LOG_STDERR:
        return to_stderr(l, r, room);
    default:
        return to_syslog(l, r, room) == SENT;
    }
}

/* A frame of its own: who writes no log does not touch that much stack. */
__attribute__((noinline)) static void put_out(struct log *l, const struct log_record *r)
{
    char room[JOURNAL_MAX_OCTETS];

    if (l->process == 0)
        l->process = getpid();
    l->stuck = !to_target(l, r, TEXT(room));
    l->dropped = l->stuck ? l->dropped + 1 : 0;
}

void log_end(struct log *l, const struct log_record *r)
{
    if (!log_is_silent(l))
        put_out(l, r);
}
