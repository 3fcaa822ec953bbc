#include "outside/log.h"

#include "io/environment.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

enum { LINE_MAX_OCTETS = 8192, JOURNAL_MAX_OCTETS = 32768 };

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

void log_open(struct log *l, uint64_t target, bool stderr_is_ours)
{
    l->target = (enum config_log)target;
    l->prefix = false;
    if (target == CONFIG_LOG_NONE || target == CONFIG_LOG_SYSLOG)
        return;
    l->prefix = stderr_is_ours && stderr_is_journal();
    if (target == CONFIG_LOG_AUTO)
        l->target = l->prefix        ? CONFIG_LOG_JOURNAL
                    : stderr_is_ours ? CONFIG_LOG_STDERR
                                     : CONFIG_LOG_SYSLOG;
    /* The client must not read our log, whatever was asked for. */
    if (l->target == CONFIG_LOG_STDERR && !stderr_is_ours)
        l->target = CONFIG_LOG_SYSLOG;
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

/* Behind what is there already: LINE_MAX_OCTETS at the most. */
static void add_line(const struct log_record *r, struct text *line)
{
    const size_t cap = line->cap;

    if (cap - line->n > LINE_MAX_OCTETS)
        line->cap = line->n + LINE_MAX_OCTETS;
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
}

/* One write, so that lines of many processes do not mix. */
static void to_stderr(const struct log *l, const struct log_record *r, struct text out)
{
    ssize_t ignored;

    if (l->prefix) {
        text_addc(&out, '<');
        text_addn(&out, r->level, 1);
        text_addc(&out, '>');
    } else {
        text_adds(&out, "smtpin[");
        text_addn(&out, (uint64_t)getpid(), 1);
        text_adds(&out, "]: ");
    }
    add_line(r, &out);
    text_addc(&out, '\n');
    ignored = write(2, out.p, out.n); /* nobody is left to tell */
    (void)ignored;
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

enum journal_result { JOURNAL_TAKEN, JOURNAL_NOBODY, JOURNAL_STUCK };

/* A journald that takes nothing for a second costs the record, not the session. */
static void open_journal(struct log *l)
{
    const struct timeval patience = {.tv_sec = 1};

    l->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(l->journal, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

/* The journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram of NAME=value lines.
 * Values are escaped, so none holds a newline. libsystemd would do the same, after loading a dozen
 * libraries into each session. */
static enum journal_result to_journal(struct log *l, const struct log_record *r, struct text all)
{
    static const struct sockaddr_un journal = {.sun_family = AF_UNIX,
                                               .sun_path = "/run/systemd/journal/socket"};

    if (l->journal < 0)
        open_journal(l);
    text_adds(&all, "SYSLOG_IDENTIFIER=smtpin\nMESSAGE_ID=");
    text_adds(&all, kinds[r->kind].message_id);
    text_adds(&all, "\nPRIORITY=");
    text_addn(&all, r->level, 1);
    text_adds(&all, "\nMESSAGE=");
    add_line(r, &all);
    text_addc(&all, '\n');
    for (size_t i = 0; i < r->n; i++)
        add_field(&all, "SMTP_", r->field[i].name, r->field[i].value);
    if (sendto(l->journal, all.p, all.n, MSG_NOSIGNAL, (const struct sockaddr *)&journal,
               sizeof journal) == (ssize_t)all.n)
        return JOURNAL_TAKEN;
    return errno == EAGAIN ? JOURNAL_STUCK : JOURNAL_NOBODY;
}

/* A frame of its own: who writes no log does not touch that much stack. */
__attribute__((noinline)) static void put_out(struct log *l, const struct log_record *r)
{
    char room[JOURNAL_MAX_OCTETS];
    struct text line = TEXT(room);

    switch (l->target) {
    case CONFIG_LOG_JOURNAL:
        /* Descriptor 2 is the journal's too: where it is stuck, that would wait without an end. */
        if (to_journal(l, r, line) == JOURNAL_NOBODY)
            to_stderr(l, r, line);
        break;
    case CONFIG_LOG_STDERR:
        to_stderr(l, r, line);
        break;
    default:
        add_line(r, &line);
        openlog("smtpin", LOG_PID, LOG_MAIL);
        syslog((int)r->level, "%.*s", SPAN_FORMAT(text_span(&line)));
        closelog();
    }
}

void log_end(struct log *l, const struct log_record *r)
{
    if (!log_is_silent(l))
        put_out(l, r);
}
