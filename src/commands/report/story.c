#include "commands/report/story.h"

#include "commands/report/show.h"
#include "commands/report/words.h"

#include <inttypes.h>

void story_open(struct story *s, FILE *out, const struct options *o)
{
    const struct span id = span_of(o->id);
    const size_t dash = span_find(id, '-');

    s->out = out;
    s->id = dash < id.n ? id : SPAN("");
    s->session = span_first(id, dash);
    s->recipient = span_of(o->recipient);
    s->told = s->forgotten = s->cut = 0;
    s->found = false;
    s->at = s->first = s->last = 0;
    s->sessions = 0;
    memset(s->slot, 0, sizeof s->slot);
}

/* Each value of a field, apart by commas. */
static void put_field(FILE *out, const struct entry *e, enum entry_field field)
{
    struct span value;
    size_t at = 0;
    bool any = false;

    while (field < FIELDS && entry_next(e, field, &at, &value)) {
        if (any)
            (void)fputs(", ", out);
        show_all(out, value);
        any = true;
    }
    if (!any)
        (void)fputs("(none)", out);
}

/* A text of the catalog, up to its first empty line, with the fields that it names. Its lines
 * become one. */
static void put_words(FILE *out, const struct entry *e, const char *text)
{
    static const struct span mark = {.p = "@SMTP_", .n = 6};
    struct span left = span_of(text);

    while (left.n > 0) {
        const size_t end = span_find(span_from(left, 1), '@') + 1;

        if (left.p[0] == '\n' && (left.n == 1 || left.p[1] == '\n'))
            return;
        if (left.n > mark.n && memcmp(left.p, mark.p, mark.n) == 0 && end < left.n) {
            put_field(
                out, e,
                entry_field_of_journal((struct span){.p = left.p + mark.n, .n = end - mark.n}));
            left = span_from(left, end + 1);
        } else {
            (void)putc(left.p[0] == '\n' ? ' ' : left.p[0], out);
            left = span_from(left, 1);
        }
    }
}

static void put_line(FILE *out, const struct entry *e, const char *before, enum entry_field field,
                     const char *behind)
{
    if (e->value[field].n == 0)
        return;
    (void)fprintf(out, "    %s", before);
    put_field(out, e, field);
    (void)fprintf(out, "%s\n", behind);
}

/* A delivery may run the command several times: the time is that of all of them, the end that of
 * one. */
static void put_command(FILE *out, const struct entry *e)
{
    if (e->value[FIELD_DELIVERY_MILLISECONDS].n > 0) {
        (void)fputs("    Delivery took ", out);
        show_duration(out, entry_number(e, FIELD_DELIVERY_MILLISECONDS));
        (void)fputs(".\n", out);
    }
    if (e->value[FIELD_COMMAND_END].n > 0) {
        (void)fputs("    The command ", out);
        if (e->value[FIELD_COMMAND].n > 0) {
            show_all(out, e->value[FIELD_COMMAND]);
            (void)putc(' ', out);
        }
        (void)fputs("ended: ", out);
        show_all(out, e->value[FIELD_COMMAND_END]);
        if (e->value[FIELD_COMMAND_STATUS].n > 0) {
            (void)putc(' ', out);
            show_all(out, e->value[FIELD_COMMAND_STATUS]);
        }
        (void)fputs(".\n", out);
    }
    put_line(out, e, "It could not be started: ", FIELD_COMMAND_ERROR, "");
    put_line(out, e, "It wrote to its standard error: ", FIELD_COMMAND_STDERR, "");
}

static void put_rule(FILE *out, const struct entry *e)
{
    const size_t rule = words_rule(e->value[FIELD_RULE]);

    put_line(out, e, "The rule: ", FIELD_RULE, "");
    if (rule < words_rules_n)
        (void)fprintf(out, "    which means: %s.\n", words_rules[rule].meaning);
    if (e->kind == LOG_TRANSACTION) {
        put_line(out, e, "Asked was ", FIELD_SOURCE, ".");
        put_line(out, e, "It said: ", FIELD_SAID, "");
    }
}

static void put_end(FILE *out, const struct entry *e)
{
    const size_t end = words_end(e->value[FIELD_END]), rule = words_rule(e->value[FIELD_END]);

    put_line(out, e, "What ended it: ", FIELD_END, "");
    if (end < words_ends_n || rule < words_rules_n)
        (void)fprintf(out, "    which means: %s.\n",
                      end < words_ends_n ? words_ends[end].meaning : words_rules[rule].meaning);
    put_line(out, e, "Inside TLS: ", FIELD_TLS, "");
    put_line(out, e, "Logged in as ", FIELD_SASL_USERNAME, "");
}

static void put_details(FILE *out, const struct entry *e)
{
    switch (e->kind) {
    case LOG_TRANSACTION:
        put_line(out, e, "Its id: ", FIELD_ID, "");
        put_line(out, e, "It had ", FIELD_SIZE, " octets.");
        put_command(out, e);
        put_line(out, e, "Failed for: ", FIELD_FAILED, "");
        put_line(out, e, "It went to: ", FIELD_ALIAS, "");
        put_line(out, e, "What is odd about it: ", FIELD_NOTE, "");
        put_line(out, e, "It could not be kept here: ", FIELD_SPOOL_ERROR, "");
        put_rule(out, e);
        break;
    case LOG_REFUSAL:
        put_line(out, e, "It was about the sender ", FIELD_REVERSE_PATH, "");
        put_line(out, e, "It was about the recipient ", FIELD_FORWARD_PATH, "");
        put_rule(out, e);
        break;
    case LOG_SESSION:
        put_end(out, e);
        break;
    case LOG_CRASH:
        put_line(out, e, "The signal: ", FIELD_SIGNAL, "");
        put_line(out, e, "The violation: ", FIELD_VIOLATION, "");
        break;
    default:
        break;
    }
}

static void put_entry(struct story *s, const struct entry *e)
{
    if (s->told++ > 0)
        (void)putc('\n', s->out);
    show_time(s->out, e->time);
    (void)fputs("  ", s->out);
    put_words(s->out, e, words_kinds[e->kind].subject);
    (void)fputs("\n    ", s->out);
    put_words(s->out, e, words_kinds[e->kind].text);
    (void)putc('\n', s->out);
    put_details(s->out, e);
    if (s->session.n == 0)
        put_line(s->out, e, "The session: ", FIELD_SESSION, "");
}

/* Is it of the session that --id names? */
static bool is_in_session(const struct story *s, const struct entry *e)
{
    return span_eq(e->value[FIELD_SESSION], s->session);
}

static bool tell_session(void *context, const struct entry *e)
{
    struct story *s = context;

    if (is_in_session(s, e))
        put_entry(s, e);
    return true;
}

/* Which records of the session are the message's. Only its transaction has its id; what was refused
 * in that transaction stands before. */
static bool look_for_message(void *context, const struct entry *e)
{
    struct story *s = context;

    if (!is_in_session(s, e))
        return true;
    if (!s->found && span_eq(e->value[FIELD_ID], s->id)) {
        s->found = true;
        s->last = s->at;
    } else if (!s->found && e->kind == LOG_TRANSACTION) {
        s->first = s->at + 1;
    }
    s->at++;
    return true;
}

/* How the session ended is told of each message in it. */
static bool tell_message(void *context, const struct entry *e)
{
    struct story *s = context;
    uint64_t at;

    if (!is_in_session(s, e))
        return true;
    at = s->at++;
    if ((at >= s->first && at <= s->last) || span_eq(e->value[FIELD_ID], s->id) ||
        e->kind == LOG_SESSION || e->kind == LOG_CRASH)
        put_entry(s, e);
    return true;
}

/* Does it name the recipient? 1: yes; 0: another one; -1: none at all. */
static int names(const struct story *s, const struct entry *e)
{
    static const enum entry_field fields[] = {FIELD_FORWARD_PATH, FIELD_ALIAS};
    int found = -1;

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct span value;
        size_t at = 0;

        while (found != 1 && entry_next(e, fields[i], &at, &value))
            found = span_eq_nocase(value, s->recipient);
    }
    return found;
}

/* The slot where the session's id is, or the empty one where it would be. Half of all slots are
 * empty, at least. */
static size_t slot_of(const struct story *s, struct span session)
{
    uint32_t hash = 2166136261; /* FNV-1a */
    size_t i;

    for (size_t k = 0; k < session.n; k++)
        hash = (hash ^ (unsigned char)session.p[k]) * 16777619;
    for (i = (hash ^ hash >> 15) % STORY_SLOTS; s->slot[i] != 0; i = (i + 1) % STORY_SLOTS) {
        const size_t at = s->slot[i] - 1u;

        if (span_eq((struct span){.p = s->of[at].p, .n = s->of[at].n}, session))
            break;
    }
    return i;
}

static void add_session(struct story *s, struct span session)
{
    const size_t slot = slot_of(s, session);

    if (s->slot[slot] != 0)
        return;
    if (s->sessions == STORY_SESSIONS) {
        s->forgotten++;
        return;
    }
    s->of[s->sessions].n = (unsigned char)session.n;
    memcpy(s->of[s->sessions].p, session.p, session.n);
    s->slot[slot] = (uint16_t)++s->sessions;
}

/* A transaction that had more recipients than its record has room for. */
static bool is_cut(const struct entry *e)
{
    struct span value;
    uint64_t named = 0;
    size_t at = 0;

    while (entry_next(e, FIELD_FORWARD_PATH, &at, &value))
        named++;
    return e->kind == LOG_TRANSACTION && entry_number(e, FIELD_RECIPIENTS) > named;
}

static bool look_for_recipient(void *context, const struct entry *e)
{
    struct story *s = context;
    const struct span session = e->value[FIELD_SESSION];

    if (names(s, e) != 1)
        s->cut += is_cut(e);
    else if (session.n > 0 && session.n <= STORY_ID_MAX)
        add_session(s, session);
    return true;
}

static bool tell_recipient(void *context, const struct entry *e)
{
    struct story *s = context;

    if (names(s, e) != 0 && s->slot[slot_of(s, e->value[FIELD_SESSION])] != 0)
        put_entry(s, e);
    return true;
}

/* From where it began. */
static bool read_again(struct source *from, const char *cursor, input_taker *take, struct story *s)
{
    memcpy(from->cursor, cursor, sizeof from->cursor);
    from->input.foreign = from->input.skipped = 0;
    s->at = 0;
    return source_read(from, take, s);
}

/* The journal is asked for the session's entries first, which is fast. Records that came there as
 * plain lines have no field to ask for: where nothing is found, all entries are read. */
static bool read_session(struct source *from, const char *cursor, input_taker *take,
                         struct story *s)
{
    if (!read_again(from, cursor, take, s))
        return false;
    if (from->session == NULL || s->found || s->told > 0)
        return true;
    from->session = NULL;
    s->first = 0;
    return read_again(from, cursor, take, s);
}

static bool tell_of_id(struct story *s, struct source *from, const char *cursor)
{
    if (s->id.n == 0)
        return read_session(from, cursor, tell_session, s);
    return source_keep(from) && read_session(from, cursor, look_for_message, s) &&
           (!s->found || read_again(from, cursor, tell_message, s));
}

static bool tell_of_recipient(struct story *s, struct source *from, const char *cursor)
{
    if (!source_keep(from) || !read_again(from, cursor, look_for_recipient, s) ||
        !read_again(from, cursor, tell_recipient, s))
        return false;
    if (s->forgotten > 0)
        (void)fprintf(s->out,
                      "\nMore sessions have %" PRIu64 " records of it. A shorter span of time has "
                      "them: --since, --until.\n",
                      s->forgotten);
    if (s->told == 0 && s->cut > 0)
        (void)fprintf(stderr,
                      s->cut == 1 ? "smtpin-report: %" PRIu64
                                    " message had more recipients than its record names\n"
                                  : "smtpin-report: %" PRIu64
                                    " messages had more recipients than their records name\n",
                      s->cut);
    return true;
}

bool story_tell(struct story *s, struct source *from)
{
    char session[STORY_ID_MAX + 1] = "", cursor[JOURNAL_CURSOR_MAX];
    bool good;

    memcpy(cursor, from->cursor, sizeof cursor);
    if (s->recipient.n > 0)
        return tell_of_recipient(s, from, cursor);
    if (from->options->inputs == 0 && s->session.n <= STORY_ID_MAX &&
        span_is_printable(s->session)) {
        memcpy(session, s->session.p, s->session.n);
        from->session = session;
    }
    good = tell_of_id(s, from, cursor);
    from->session = NULL;
    return good;
}
