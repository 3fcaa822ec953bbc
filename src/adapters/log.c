#include "adapters/log.h"

#include "io/clock.h"
#include "io/environment.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_OCTETS = 8192,
    STDERR_MAX_OCTETS = PIPE_BUF, /* with its newline: a pipe takes it whole, or not at all */
    JOURNAL_MAX_OCTETS = 32768,
    FIELD_MAX_OCTETS = 4000, /* of a field of the journal's, with its name */
};

static const char dropped_name[] = "dropped";

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

void log_open(struct log *l, uint64_t target, bool stderr_is_ours)
{
    const enum config_log before = l->target;

    l->target = choose(l, (enum config_log)target, stderr_is_ours);
    if (l->target != before) {
        log_output_close(&l->output);
        l->output.stuck = false;
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
    text_adds(line, log_kinds[r->kind].name);
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

static void add_name(const struct log *l, struct text *out)
{
    text_adds(out, "smtpin[");
    text_addn(out, (uint64_t)l->process, 1);
    text_adds(out, "]: ");
}

static bool to_stderr(struct log *l, const struct log_record *r, struct text out)
{
    if (l->output.torn)
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
    return log_output_line(&l->output, text_span(&out));
}

/* At the end of a text that was cut: an escape (\\xNN) of which a part is missing, or the last
 * character where it has several octets, since it may be incomplete. */
static void drop_incomplete(struct text *t)
{
    size_t octets = 0;

    for (size_t i = 1; i <= 3 && i <= t->n; i++) {
        if (t->p[t->n - i] == '\\') {
            t->n -= i;
            return;
        }
    }
    while (octets < 3 && octets < t->n && ((unsigned char)t->p[t->n - octets - 1] & 0xc0) == 0x80)
        octets++;
    if (octets < t->n && byte_is_high(t->p[t->n - octets - 1]))
        t->n -= octets + 1;
}

/* `journalctl -o json` shows null in the place of a longer one: of that, as much as there may be,
 * without the half of a character or of an escape. */
static void add_value(struct text *all, size_t most, struct span value)
{
    struct text t = text_behind(all, all->n);

    if (most > t.cap) /* the whole record ends first */
        most = t.cap;
    t.cap = most;
    text_add_escaped(&t, value, "\\");
    if (t.cut && most + all->n == all->cap)
        all->cut = true;
    if (t.cut)
        drop_incomplete(&t);
    all->n += t.n;
}

static void add_field(struct text *all, const char *prefix, const char *name, struct span value)
{
    const size_t before = all->n;

    text_adds(all, prefix);
    for (const char *c = name; *c != '\0'; c++)
        text_addc(all, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
    text_addc(all, '=');
    add_value(all, before + FIELD_MAX_OCTETS - all->n, value);
    text_addc(all, '\n');
    if (all->cut) { /* a field is there whole, or not at all */
        all->n = before;
        all->cut = false;
    }
}

/* Values are escaped, so none holds a newline. */
static enum log_output_result to_journal(struct log *l, const struct log_record *r, struct text all)
{
    char room[32];
    struct text dropped = TEXT(room);

    text_adds(&all, "SYSLOG_IDENTIFIER=smtpin\nMESSAGE_ID=");
    text_adds(&all, log_kinds[r->kind].message_id);
    text_adds(&all, "\nPRIORITY=");
    text_addn(&all, r->level, 1);
    text_adds(&all, "\nMESSAGE=");
    add_line(l, r, &all, FIELD_MAX_OCTETS - (sizeof "MESSAGE=" - 1));
    text_addc(&all, '\n');
    if (l->dropped > 0) {
        text_addn(&dropped, l->dropped, 1);
        add_field(&all, "SMTP_", dropped_name, text_span(&dropped));
    }
    for (size_t i = 0; i < r->n; i++)
        add_field(&all, "SMTP_", r->field[i].name, r->field[i].value);
    return l->manager->journal(&l->output, text_span(&all));
}

/* What syslog(3) does, whose wait for a syslogd has no end: "<22>Feb  3 04:05:06 smtpin[7]: ". */
static enum log_output_result to_syslog(struct log *l, const struct log_record *r, struct text all)
{
    static const struct sockaddr_un syslogd = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    const time_t now = (time_t)(clock_wall_micros() / 1000000);
    enum log_output_result result;
    struct tm local;
    char date[32];

    text_addc(&all, '<');
    text_addn(&all, LOG_MAIL | r->level, 1);
    text_addc(&all, '>');
    if (localtime_r(&now, &local) != NULL)
        text_add(&all, (struct span){date, strftime(date, sizeof date, "%b %e %T ", &local)});
    add_name(l, &all);
    add_line(l, r, &all, LINE_MAX_OCTETS);
    text_addc(&all, '\0'); /* a record's end, in a stream */
    result = l->output.stream ? log_output_stream(&l->output, &syslogd, text_span(&all))
                              : LOG_OUTPUT_NOBODY;
    /* There is no stream yet, or syslogd has been started anew. */
    if (result == LOG_OUTPUT_NOBODY)
        result = log_output_datagram(&l->output, &syslogd, span_first(text_span(&all), all.n - 1));
    if (result == LOG_OUTPUT_NOBODY && errno == EPROTOTYPE)
        result = log_output_stream(&l->output, &syslogd, text_span(&all));
    return result;
}

static bool to_target(struct log *l, const struct log_record *r, struct text room)
{
    enum log_output_result result;

    switch (l->target) {
    case CONFIG_LOG_JOURNAL:
        /* Descriptor 2 is the journal's too: where that is stuck, so is this. */
        result = to_journal(l, r, room);
        return result == LOG_OUTPUT_SENT || (result == LOG_OUTPUT_NOBODY && to_stderr(l, r, room));
    case CONFIG_LOG_STDERR:
        return to_stderr(l, r, room);
    default:
        return to_syslog(l, r, room) == LOG_OUTPUT_SENT;
    }
}

/* A frame of its own: who writes no log does not touch that much stack. */
__attribute__((noinline)) static void put_out(struct log *l, const struct log_record *r)
{
    char room[JOURNAL_MAX_OCTETS];

    if (l->process == 0)
        l->process = getpid();
    l->output.stuck = !to_target(l, r, TEXT(room));
    l->dropped = l->output.stuck ? l->dropped + 1 : 0;
}

void log_end(struct log *l, const struct log_record *r)
{
    if (!log_is_silent(l))
        put_out(l, r);
}
