#include "commands/replay/settings.h"

#include "commands/replay/contains.h"
#include "commands/replay/place.h"
#include "commands/replay/stand_in_auth.h"
#include "config/load.h"

#include <errno.h>

enum { SETTINGS_MAX = 2 * TRANSCRIPT_SETTINGS_MAX };

size_t settings_all(const struct transcript *t, const struct replay_options *o, const char **out,
                    size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < t->settings && n < room; i++)
        out[n++] = t->setting[i];
    for (size_t i = 0; i < o->overrides && n < room; i++)
        out[n++] = o->override[i];
    return n;
}

struct check {
    const struct transcript *t;
    struct text *out;
    bool good;
    /* What several settings together are wrong in. */
    char key_room[64], what_room[512];
    struct text key, what;
};

static struct span key_of(const char *setting)
{
    const struct span s = span_of(setting);

    return span_trim(span_first(s, span_find(s, '=')));
}

/* Where the place of a second setting is named behind, "(KEY: -o:N)", it would be none for people.
 */
static struct span without_place(struct span what)
{
    const size_t place = span_find(what, '(');

    return place > 0 && contains(span_from(what, place), SPAN(": -o:"))
               ? span_trim(span_first(what, place))
               : what;
}

static void add_mistake(struct check *c, size_t i, struct span key, struct span what)
{
    c->good = false;
    text_adds(c->out, c->t->file);
    text_addc(c->out, ':');
    text_addn(c->out, c->t->setting_line[i], 1);
    text_adds(c->out, ": ");
    text_add_escaped(c->out, span_first(key, 100), "");
    text_adds(c->out, key.n > 0 ? ": " : "");
    text_add(c->out, without_place(what));
    text_addc(c->out, '\n');
}

/* What comes of the command line has the file "-o" and its place there as the line; the settings of
 * the transcript are the first there. */
static void say(void *context, const char *file, unsigned line, struct span key, const char *what)
{
    struct check *c = context;

    if (span_eq(span_of(file), SPAN("-o")) && line > 0 && line <= c->t->settings &&
        span_eq(key, key_of(c->t->setting[line - 1]))) {
        add_mistake(c, line - 1, key, span_of(what));
    } else {
        c->key.n = c->what.n = 0;
        text_add(&c->key, key);
        text_adds(&c->what, what);
    }
}

/* The name of the transcript's socket: its section of the file counts. */
static struct span socket_of(const struct transcript *t)
{
    struct span name = {0};

    for (size_t i = 0; i < t->settings; i++)
        if (span_eq(key_of(t->setting[i]), SPAN("socket")))
            name = span_trim(
                span_from(span_of(t->setting[i]), span_find(span_of(t->setting[i]), '=') + 1));
    return name;
}

static bool load(const struct config_source *from, const struct config_report *report,
                 struct config *c, struct arena *a)
{
    struct arena room = {.cap = 4 * CONFIG_FILE_MAX};

    room.base = arena_get(a, room.cap);
    return room.base != NULL && config_load(c, &room, from, report);
}

bool settings_load(const struct transcript *t, const struct replay_options *o, struct config *c,
                   struct arena *a)
{
    const char *settings[SETTINGS_MAX];
    const struct config_report silent = {.say = NULL};
    const struct config_source all = {.file = o->file,
                                      .override = settings,
                                      .overrides = settings_all(t, o, settings, SETTINGS_MAX)};

    return load(&all, &silent, c, a);
}

bool settings_put_tables(struct transcript *t, const char *directory, struct arena *a)
{
    if (t->table != NULL && !place_is_plain(directory))
        return false;
    for (const struct told_table *table = t->table; table != NULL; table = table->next) {
        char room[PLACE_PATH_MAX], bytes[PLACE_PATH_MAX + 128];
        struct text path = TEXT(room), setting = TEXT(bytes);
        struct span kept;

        if (!place_put(place_file(&path, directory, table->name), table->text))
            return false;
        text_add(&setting, table->name);
        text_adds(&setting, "=text:");
        text_add(&setting, text_span(&path));
        kept = arena_copy(a, text_span(&setting));
        errno = ENOMEM;
        if (kept.p == NULL || t->settings == TRANSCRIPT_SETTINGS_MAX)
            return false;
        t->setting_line[t->settings] = table->line;
        t->setting[t->settings++] = kept.p;
    }
    return true;
}

bool settings_put_auth(struct transcript *t, const char *directory, struct arena *a)
{
    const struct told *first = t->told[TOLD_AUTH].first;
    const char *setting;

    if (!t->told[TOLD_AUTH].checked)
        return true;
    if (!place_is_plain(directory))
        return false;
    setting = stand_in_auth_setting(directory, a);
    errno = ENOMEM;
    if (setting == NULL || t->settings == TRANSCRIPT_SETTINGS_MAX)
        return false;
    t->setting_line[t->settings] = first == NULL ? 0 : first->line;
    t->setting[t->settings++] = setting;
    return true;
}

/* The last setting of the transcript that is about it, or is the last at all. */
static size_t find_setting(const struct check *c)
{
    for (size_t i = c->t->settings; i > 0; i--) {
        const struct span key = key_of(c->t->setting[i - 1]);

        if (span_eq(key, text_span(&c->key)) || contains(text_span(&c->what), key))
            return i - 1;
    }
    return c->t->settings - 1;
}

bool settings_check(const struct transcript *t, const struct replay_options *o, struct arena *a,
                    struct text *out)
{
    const char *settings[SETTINGS_MAX];
    struct check c = {.t = t, .out = out, .good = true};
    const struct config_report report = {.say = say, .context = &c}, silent = {.say = NULL};
    const struct config_source all = {.file = o->file,
                                      .override = settings,
                                      .overrides = settings_all(t, o, settings, SETTINGS_MAX)};
    const struct config_source without = {.file = o->file,
                                          .socket = socket_of(t),
                                          .override = o->override,
                                          .overrides = o->overrides};
    const size_t mark = a->used;
    struct config config;

    c.key = TEXT(c.key_room);
    c.what = TEXT(c.what_room);
    if (t->settings > 0 && !load(&all, &report, &config, a) && c.good && c.what.n > 0 &&
        load(&without, &silent, &config, a))
        add_mistake(&c, find_setting(&c), text_span(&c.key), text_span(&c.what));
    a->used = mark;
    return c.good;
}
