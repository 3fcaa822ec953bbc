#include "commands/report/options.h"

#include "base/number.h"
#include "commands/report/dates.h"

#include <string.h>

enum kind { ALONE, TEXT_VALUE, TIME_VALUE, NUMBER_VALUE };

static bool wrong(struct options *o, const char *what, const char *why)
{
    o->wrong_what = what;
    o->wrong = why;
    return false;
}

/* The options that choose what is printed. */
static bool shape_of(const char *name, enum shape *out)
{
    static const struct {
        const char *name;
        enum shape shape;
    } shapes[] = {
        {"--json", SHAPE_JSON},     {"--html", SHAPE_HTML},
        {"--follow", SHAPE_FOLLOW}, {"--openmetrics", SHAPE_OPENMETRICS},
        {"--rules", SHAPE_RULES},   {"--prometheus", SHAPE_PROMETHEUS},
        {"--help", SHAPE_HELP},     {"--version", SHAPE_VERSION},
    };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(name, shapes[i].name) == 0) {
            *out = shapes[i].shape;
            return true;
        }
    return false;
}

/* Where the value of an option goes; NULL: it has none. */
static const char **text_of(struct options *o, const char *name)
{
    const struct {
        const char *name;
        const char **to;
    } texts[] = {
        {"--directory", &o->directory},     {"--file", &o->file},
        {"--cursor-file", &o->cursor_file}, {"--state", &o->state},
        {"--output", &o->output},           {"--id", &o->id},
        {"--recipient", &o->recipient},
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i].name) == 0)
            return texts[i].to;
    return NULL;
}

static uint64_t *time_of(struct options *o, const char *name)
{
    if (strcmp(name, "--since") == 0)
        return &o->since;
    return strcmp(name, "--until") == 0 ? &o->until : NULL;
}

/* An option with a value. */
static bool set(struct options *o, const char *name, const char *value, uint64_t now)
{
    uint64_t *time = time_of(o, name);
    const char **text = text_of(o, name);
    uint64_t number;

    if (value == NULL || *value == '\0')
        return wrong(o, name, "wants a value");
    if (text != NULL) {
        *text = value;
    } else if (time != NULL) {
        if (!dates_parse(span_of(value), now, time))
            return wrong(o, value, "is no time: YYYY-MM-DD HH:MM:SS, yesterday, -2h, @SECONDS");
        if (*time == 0)
            *time = 1; /* 0 is for no bound */
    } else {
        if (number_parse(span_of(value), OPTIONS_TOP_MAX, &number) != NUMBER_OK || number == 0)
            return wrong(o, value, "is no number from 1 to 1000");
        o->top = (size_t)number;
    }
    return true;
}

static bool has_value(struct options *o, const char *name)
{
    return text_of(o, name) != NULL || time_of(o, name) != NULL || strcmp(name, "--top") == 0;
}

/* One option, with its value behind '=' or in the next word. */
static bool read_option(struct options *o, int argc, char *const *argv, int *i, uint64_t now)
{
    const char *word = argv[*i], *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
    char name[24] = "";
    enum shape shape;

    if (equals != NULL && (size_t)(equals - word) < sizeof name) {
        memcpy(name, word, (size_t)(equals - word));
        return has_value(o, name) ? set(o, name, equals + 1, now)
                                  : wrong(o, word, "is no option with a value");
    }
    if (shape_of(word, &shape)) {
        if (o->shape != SHAPE_TEXT && o->shape != shape)
            return wrong(o, word, "is one form too many");
        o->shape = shape;
        return true;
    }
    if (!has_value(o, word))
        return wrong(o, word, "is no option");
    ++*i;
    return set(o, word, *i < argc ? argv[*i] : NULL, now);
}

/* What does not go together. */
static bool check(struct options *o)
{
    const bool journal = o->inputs == 0;

    if ((o->id != NULL || o->recipient != NULL) && o->shape == SHAPE_TEXT)
        o->shape = SHAPE_STORY;
    if ((o->id != NULL || o->recipient != NULL) && o->shape != SHAPE_STORY)
        return wrong(o, o->id != NULL ? "--id" : "--recipient", "is told in text alone");
    if (o->id != NULL && o->recipient != NULL)
        return wrong(o, "--id", "or --recipient, not both");
    if (!journal && (o->directory != NULL || o->file != NULL))
        return wrong(o, o->input[0], "is a log, and --directory and --file name a journal");
    if (o->directory != NULL && o->file != NULL)
        return wrong(o, "--directory", "or --file, not both");
    if (!journal && o->cursor_file != NULL)
        return wrong(o, "--cursor-file", "is for the journal");
    if (o->state != NULL && o->cursor_file != NULL)
        return wrong(o, "--cursor-file", "is not needed: --state keeps the cursor");
    if (o->state != NULL && o->shape != SHAPE_OPENMETRICS && o->shape != SHAPE_PROMETHEUS)
        return wrong(o, "--state", "is for --openmetrics and --prometheus");
    if (o->state != NULL && (o->since != 0 || o->until != 0))
        return wrong(o, "--state", "counts all that is new: no --since, no --until");
    if (o->shape == SHAPE_FOLLOW &&
        (o->inputs > 1 || (o->inputs == 1 && strcmp(o->input[0], "-") != 0)))
        return wrong(o, o->input[0], "does not grow here: tail -F FILE | smtpin-report --follow -");
    if (o->shape == SHAPE_FOLLOW && o->output != NULL)
        return wrong(o, "--output", "is for what has an end");
    if (o->since != 0 && o->until != 0 && o->since > o->until)
        return wrong(o, "--since", "is later than --until");
    return true;
}

bool options_read(struct options *o, int argc, char *const *argv, uint64_t now)
{
    int i = 1;

    *o = (struct options){.shape = SHAPE_TEXT, .top = OPTIONS_TOP};
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (!read_option(o, argc, argv, &i, now))
            return false;
    }
    o->input = argv + i;
    o->inputs = (size_t)(argc - i);
    return check(o);
}
