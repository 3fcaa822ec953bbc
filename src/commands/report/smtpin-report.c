/* smtpin-report: what the log of smtpin says, for people and for other programs. See
 * smtpin-report(1). */
#include "commands/report/files.h"
#include "commands/report/follow.h"
#include "commands/report/metrics.h"
#include "commands/report/report.h"
#include "commands/report/source.h"
#include "commands/report/state.h"
#include "commands/report/story.h"
#include "commands/report/words.h"
#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_NONE = 1,
    EXIT_USAGE = 64,
    EXIT_DATA = 65,
    EXIT_INPUT = 66,
    EXIT_MEMORY = 71,
    EXIT_OUTPUT = 74
};

static const char usage[] =
    "usage: smtpin-report [OPTION]... [FILE]...\n"
    "Says what smtpin's log holds: of the journal, or of files (-: standard input) with lines of\n"
    "smtpin or a syslog, with the journal as JSON or as an export (journalctl(1)).\n"
    "  --since TIME, --until TIME   this span of time, as journalctl has them\n"
    "  --directory DIR, --file FILE another journal\n"
    "  --cursor-file FILE           go on behind what the run before has read\n"
    "  --top N                      rows of each list (10)\n"
    "  --json, --html               the report in another form\n"
    "  --openmetrics, --prometheus  counters\n"
    "  --state FILE                 add to the counters of the run before, and keep them\n"
    "  --follow                     a line for each session as it ends\n"
    "  --id ID                      all that is known of a message or a session\n"
    "  --recipient ADDRESS          all that is known of mail for an address\n"
    "  --rules                      what each rule means\n"
    "  --output FILE                write there, in one step\n"
    "Manual: smtpin-report(1)\n";

static int complain(const char *what, const char *why, int status)
{
    (void)fprintf(stderr, "smtpin-report: %s: %s\n", what, why);
    return status;
}

static bool add_to_tally(void *tally, const struct entry *e)
{
    tally_add(tally, e);
    return true;
}

static int print_report(struct source *s, const struct options *o, FILE *out)
{
    struct tally *t = malloc(sizeof *t);
    struct report r = {.tally = t, .since = o->since, .until = o->until, .top = o->top};
    uint64_t seed = 0;
    int status = 0;

    if (t == NULL)
        return complain("memory", strerror(errno), EXIT_MEMORY);
    (void)!getrandom(&seed, sizeof seed, GRND_NONBLOCK);
    tally_open(t, seed);
    if (!source_read(s, add_to_tally, t))
        status = complain(s->wrong_what, s->wrong, EXIT_INPUT);
    r.foreign = s->input.foreign;
    r.skipped = s->input.skipped;
    if (status == 0 && o->shape == SHAPE_JSON)
        report_json(out, &r);
    else if (status == 0 && o->shape == SHAPE_HTML)
        report_html(out, &r);
    else if (status == 0)
        report_text(out, &r);
    free(t);
    return status;
}

/* A cursor is a line of printable octets. */
static int read_cursor(struct source *s, const char *path)
{
    char room[JOURNAL_CURSOR_MAX];
    struct text all = TEXT(room);
    struct span line;

    if (!files_read(path, &all))
        return complain(path, strerror(errno), EXIT_DATA);
    line = span_first(text_span(&all), span_find(text_span(&all), '\n'));
    if (!span_is_printable(line) || (all.n > 0 && line.n + 1 != all.n))
        return complain(path, "is no cursor", EXIT_DATA);
    memcpy(s->cursor, line.p, line.n);
    s->cursor[line.n] = '\0';
    return 0;
}

static int write_file(const char *path, struct span text)
{
    struct new_file f = {.path = NULL};

    if (!files_begin(&f, path, true))
        return complain(path, strerror(errno), EXIT_OUTPUT);
    (void)fwrite(text.p, 1, text.n, f.out);
    return files_finish(&f) ? 0 : complain(path, strerror(errno), EXIT_OUTPUT);
}

static int write_cursor(const struct source *s, const char *path)
{
    char room[JOURNAL_CURSOR_MAX + 1];
    struct text t = TEXT(room);

    text_adds(&t, s->cursor);
    text_addc(&t, '\n');
    return s->cursor[0] == '\0' ? 0 : write_file(path, text_span(&t));
}

static bool add_to_totals(void *totals, const struct entry *e)
{
    totals_add(totals, e);
    return true;
}

/* The state of the run before, and what is new since then. The state is written first: a run that
 * is ended between the two counts nothing twice. */
static int print_metrics(struct source *s, const struct options *o, FILE *out)
{
    char room[STATE_MAX];
    struct text all = TEXT(room);
    struct totals totals = {.single = {0}};
    const char *wrong = NULL;
    int status = 0;

    if (o->state != NULL && !files_read(o->state, &all))
        wrong = strerror(errno);
    else if (o->state != NULL)
        wrong = state_parse(text_span(&all), &totals, s->cursor);
    if (wrong != NULL)
        return complain(o->state, wrong, EXIT_DATA);
    if (!source_read(s, add_to_totals, &totals))
        return complain(s->wrong_what, s->wrong, EXIT_INPUT);
    if (o->state != NULL) {
        all.n = 0;
        status = state_write(&all, &totals, s->cursor)
                     ? write_file(o->state, text_span(&all))
                     : complain(o->state, "is too large", EXIT_OUTPUT);
    }
    if (status == 0)
        metrics_write(out, o->shape == SHAPE_OPENMETRICS ? METRICS_OPENMETRICS : METRICS_PROMETHEUS,
                      &totals);
    return status;
}

static bool wants_colours(void)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return (no == NULL || *no == '\0') && isatty(1) == 1 && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

static int print_sessions(struct source *s, FILE *out)
{
    struct follow *f = malloc(sizeof *f);
    bool good;

    if (f == NULL)
        return complain("memory", strerror(errno), EXIT_MEMORY);
    follow_open(f, out, wants_colours());
    good = source_read(s, follow_entry, f);
    free(f);
    return good ? 0 : complain(s->wrong_what, s->wrong, EXIT_INPUT);
}

static int print_story(struct source *s, const struct options *o, FILE *out)
{
    struct story *story = calloc(1, sizeof *story);
    int status = 0;

    if (story == NULL)
        return complain("memory", strerror(errno), EXIT_MEMORY);
    story_open(story, out, o);
    if (!story_tell(story, s))
        status = complain(s->wrong_what, s->wrong, EXIT_INPUT);
    else if (story->told == 0)
        status = complain(o->id != NULL ? o->id : o->recipient, "is not in the log", EXIT_NONE);
    free(story);
    return status;
}

static void print_rules(FILE *out)
{
    for (size_t i = 0; i < words_rules_n; i++)
        (void)fprintf(out, "%s: %s\n", words_rules[i].name, words_rules[i].meaning);
    for (size_t i = 0; i < words_ends_n; i++)
        (void)fprintf(out, "end=%s: %s\n", words_ends[i].name, words_ends[i].meaning);
}

static int print(struct source *s, const struct options *o, FILE *out)
{
    switch (o->shape) {
    case SHAPE_OPENMETRICS:
    case SHAPE_PROMETHEUS:
        return print_metrics(s, o, out);
    case SHAPE_FOLLOW:
        return print_sessions(s, out);
    case SHAPE_STORY:
        return print_story(s, o, out);
    default:
        return print_report(s, o, out);
    }
}

/* Into the file of --output, which is replaced once all is there. */
static int print_to_file(struct source *s, const struct options *o)
{
    struct new_file f = {.path = NULL};
    int status;

    if (!files_begin(&f, o->output, false))
        return complain(o->output, strerror(errno), EXIT_OUTPUT);
    status = print(s, o, f.out);
    if (status != 0)
        files_give_up(&f);
    else if (!files_finish(&f))
        status = complain(o->output, strerror(errno), EXIT_OUTPUT);
    return status;
}

/* What could not be written is a failure, too: the cursor must not go on then. */
static int flush(int status)
{
    return (fflush(stdout) != 0 || ferror(stdout) != 0) && status == 0
               ? complain("standard output", strerror(errno), EXIT_OUTPUT)
               : status;
}

static int run(const struct options *o, uint64_t now)
{
    struct source *s = calloc(1, sizeof *s);
    int status = 0;

    if (s == NULL)
        return complain("memory", strerror(errno), EXIT_MEMORY);
    source_open(s, o, now, isatty(2) == 1 && o->shape != SHAPE_FOLLOW);
    if (o->cursor_file != NULL)
        status = read_cursor(s, o->cursor_file);
    if (status == 0)
        status = o->output != NULL ? print_to_file(s, o) : print(s, o, stdout);
    status = flush(status);
    if (status == 0 && o->cursor_file != NULL)
        status = write_cursor(s, o->cursor_file);
    source_close(s);
    free(s);
    return status;
}

int main(int argc, char **argv)
{
    const uint64_t now = clock_wall_micros();
    struct options o;

    tzset();
    if (!options_read(&o, argc, argv, now))
        return complain(o.wrong_what, o.wrong, EXIT_USAGE);
    if (o.shape != SHAPE_HELP && o.shape != SHAPE_VERSION && o.shape != SHAPE_RULES)
        return run(&o, now);
    if (o.shape == SHAPE_RULES)
        print_rules(stdout);
    else
        (void)fputs(o.shape == SHAPE_HELP ? usage : "smtpin-report " SMTPIN_VERSION "\n", stdout);
    return flush(0);
}
