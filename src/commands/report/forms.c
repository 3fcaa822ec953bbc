#include "commands/report/forms.h"

#include "base/number.h"
#include "commands/report/dates.h"

/* Begins `s` with a field of an export, NAME and '=' or the end of the line (then it is binary), or
 * is it empty? */
static bool is_field(struct span s)
{
    size_t n = 0;

    while (n < s.n &&
           ((s.p[n] >= 'A' && s.p[n] <= 'Z') || s.p[n] == '_' || (n > 0 && byte_is_digit(s.p[n]))))
        n++;
    return n == s.n || s.p[n] == '\n' || (n > 0 && s.p[n] == '=');
}

/* systemd.io/JOURNAL_EXPORT_FORMATS. One line of a log may look like a field (PATH=/bin); two
 * don't. */
static bool is_export(struct span s)
{
    return s.n > 0 && s.p[0] != '\n' && span_find(s, '=') < s.n && is_field(s) &&
           is_field(span_from(s, span_find(s, '\n') + 1));
}

enum form form_of(struct span start)
{
    while (start.n > 0 && (byte_is_blank(start.p[0]) || start.p[0] == '\n' || start.p[0] == 0x1e))
        start = span_from(start, 1);
    if (start.n > 0 && start.p[0] == '{')
        return FORM_JSON;
    return is_export(start) ? FORM_EXPORT : FORM_LINES;
}

/* KEY=VALUE, or KEY="VALUE", with the blank before it. */
static bool take_pair(struct span *s, struct span *key, struct span *value, bool *quoted)
{
    size_t n = 0;

    if (s->n == 0 || s->p[0] != ' ')
        return false;
    *s = span_from(*s, 1);
    while (n < s->n && s->p[n] != '=' && s->p[n] != ' ')
        n++;
    *key = span_first(*s, n);
    if (n == 0 || n == s->n || s->p[n] != '=')
        return false;
    *s = span_from(*s, n + 1);
    *quoted = s->n > 0 && s->p[0] == '"';
    if (*quoted) {
        *s = span_from(*s, 1);
        n = span_find(*s, '"');
        *value = span_first(*s, n);
        if (n == s->n)
            return false;
        *s = span_from(*s, n + 1);
    } else {
        n = span_find(*s, ' ');
        *value = span_first(*s, n);
        *s = span_from(*s, n);
    }
    return true;
}

/* KIND KEY=VALUE ... */
static bool read_record(struct entry *e, struct span s, bool copy)
{
    const size_t n = span_find(s, ' ');
    const enum log_kind kind = log_kind_of_name(span_first(s, n));
    struct span key, value;
    bool quoted;

    s = span_from(s, n);
    if (kind == LOG_KINDS || s.n == 0)
        return false;
    while (s.n > 0) {
        enum entry_field field;

        if (!take_pair(&s, &key, &value, &quoted))
            return false;
        field = entry_field(key);
        if (field == FIELDS)
            continue;
        if (copy)
            entry_add_copy(e, field, value);
        else if (quoted)
            entry_add(e, field, value);
        else
            entry_add_plain(e, field, value); /* a backslash would be in quotes */
    }
    e->kind = kind;
    return true;
}

/* Is the last word smtpin's name, or its unit's: "smtpin", "smtpin[7]", "smtpin@0-1.service[7]"? */
static bool is_tag(struct span s)
{
    static const struct span ours = {.p = "smtpin", .n = 6};
    size_t begin = s.n;

    while (begin > 0 && s.p[begin - 1] != ' ')
        begin--;
    return s.n - begin >= ours.n && memcmp(s.p + begin, ours.p, ours.n) == 0;
}

/* What stands before the record: nothing, "<5>", or "Nov 29 21:20:18 host smtpin[7]: ". Other
 * programs write what strangers say, which may look like a record: it is the first ": " that
 * counts, and the name before it. False: it is the line of another program. */
static bool skip_prefix(struct span *line)
{
    for (;;) {
        const size_t end = span_find(*line, '=');
        size_t i = 0;

        while (i + 1 < end && (line->p[i] != ':' || line->p[i + 1] != ' '))
            i++;
        if (i + 1 >= end)
            break;
        if (!is_tag(span_first(*line, i)))
            return false;
        *line = span_from(*line, i + 2); /* a syslog's own may stand before smtpin's */
    }
    if (line->n > 3 && line->p[0] == '<' && byte_is_digit(line->p[1]) && line->p[2] == '>')
        *line = span_from(*line, 3);
    return true;
}

static bool read_line(struct entry *e, struct span line, bool copy)
{
    while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
        line.n--;
    return skip_prefix(&line) && read_record(e, line, copy);
}

/* Cleared, but for its time. */
static bool read_entry(struct entry *e, struct span line, uint64_t time, bool copy)
{
    e->time = time;
    if (!read_line(e, line, copy)) {
        e->kind = LOG_KINDS;
        return false;
    }
    if (e->time == 0)
        e->time = entry_session_time(e->value[FIELD_SESSION]);
    return true;
}

bool form_line(struct entry *e, struct span line, uint64_t now)
{
    uint64_t time;

    entry_clear(e);
    time = dates_take(&line, now);
    return read_entry(e, line, time, false);
}

bool form_message(struct entry *e, struct span message, uint64_t time)
{
    entry_clear(e);
    e->time = time;
    return read_record(e, message, false);
}

void form_begin(struct journal_entry *j, struct entry *e, bool copy)
{
    entry_clear(e);
    j->entry = e;
    j->copy = copy;
    j->ours = false;
    j->text_n = 0;
}

/* The fields that are not smtpin's own. */
static void journal_field(struct journal_entry *j, struct span name, struct span value)
{
    struct entry *e = j->entry;

    if (span_eq(name, SPAN("MESSAGE_ID"))) {
        e->kind = log_kind_of_message_id(value);
    } else if (span_eq(name, SPAN("SYSLOG_IDENTIFIER"))) {
        j->ours = span_eq(value, SPAN("smtpin"));
    } else if (e->kind == LOG_KINDS && span_eq(name, SPAN("MESSAGE")) &&
               value.n <= sizeof j->text) {
        memcpy(j->text, value.p, value.n);
        j->text_n = value.n;
    } else if (span_eq(name, SPAN("__REALTIME_TIMESTAMP"))) {
        (void)number_parse(value, UINT64_MAX / 2, &e->time);
    }
}

void form_field(struct journal_entry *j, struct span name, struct span value)
{
    static const struct span ours = {.p = "SMTP_", .n = 5};
    enum entry_field field;

    if (name.n <= ours.n || memcmp(name.p, ours.p, ours.n) != 0) {
        journal_field(j, name, value);
        return;
    }
    field = entry_field_of_journal(span_from(name, ours.n));
    if (field == FIELDS || value.n == 0)
        return;
    if (j->copy)
        entry_add_copy(j->entry, field, value);
    else
        entry_add(j->entry, field, value);
}

bool form_end(struct journal_entry *j)
{
    struct entry *e = j->entry;
    const uint64_t time = e->time;

    if (e->kind != LOG_KINDS)
        return true;
    if (!j->ours || j->text_n == 0)
        return false;
    /* A line that went through a syslog, or descriptor 2, into the journal. */
    entry_clear(e);
    return read_entry(e, (struct span){.p = j->text, .n = j->text_n}, time, true);
}
