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
    s->told = s->forgotten = 0;
    s->sessions = 0;
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

static void put_command(FILE *out, const struct entry *e)
{
    if (e->value[FIELD_COMMAND_END].n > 0) {
        (void)fputs("    The command ", out);
        show_all(out, e->value[FIELD_COMMAND]);
        (void)fputs(" ended after ", out);
        show_duration(out, entry_number(e, FIELD_DELIVERY_MILLISECONDS));
        (void)fputs(": ", out);
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

/* A record of another message in the same session is none of this one's. */
static bool tell_id(void *context, const struct entry *e)
{
    struct story *s = context;
    const struct span id = e->value[FIELD_ID];

    if (span_eq(e->value[FIELD_SESSION], s->session) &&
        (s->id.n == 0 || id.n == 0 || span_eq(id, s->id)))
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

static bool knows(const struct story *s, struct span session)
{
    for (size_t i = s->sessions; i > 0; i--)
        if (span_eq((struct span){.p = s->of[i - 1].p, .n = s->of[i - 1].n}, session))
            return true;
    return false;
}

static bool look_for_recipient(void *context, const struct entry *e)
{
    struct story *s = context;
    const struct span session = e->value[FIELD_SESSION];

    if (session.n == 0 || session.n > STORY_ID_MAX || names(s, e) != 1 || knows(s, session))
        return true;
    if (s->sessions == STORY_SESSIONS) {
        s->forgotten++;
        return true;
    }
    s->of[s->sessions].n = (unsigned char)session.n;
    memcpy(s->of[s->sessions++].p, session.p, session.n);
    return true;
}

static bool tell_recipient(void *context, const struct entry *e)
{
    struct story *s = context;

    if (names(s, e) != 0 && knows(s, e->value[FIELD_SESSION]))
        put_entry(s, e);
    return true;
}

bool story_tell(struct story *s, struct source *from)
{
    char session[STORY_ID_MAX + 1] = "";

    if (s->recipient.n == 0) {
        if (s->session.n <= STORY_ID_MAX && span_is_printable(s->session)) {
            memcpy(session, s->session.p, s->session.n);
            from->session = session;
        }
        return source_read(from, tell_id, s);
    }
    if (!source_keep(from) || !source_read(from, look_for_recipient, s))
        return false;
    from->cursor[0] = '\0';
    from->input.foreign = from->input.skipped = 0;
    if (!source_read(from, tell_recipient, s))
        return false;
    if (s->forgotten > 0)
        (void)fprintf(s->out,
                      "\nThere were %" PRIu64 " sessions more. A shorter span of time has "
                      "them: --since, --until.\n",
                      s->forgotten);
    return true;
}
