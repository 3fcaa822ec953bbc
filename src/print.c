#include "print.h"

#include "config/value.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the places where settings are made, in the order in which they are printed. A section goes on
 * to the end of a file, so it is the last. */
enum group { ON_COMMAND_LINE, IN_FILE, BY_DEFAULT, IN_SECTION, GROUPS };

static enum group group_of(const struct config_origin *o)
{
    if (o->file == NULL)
        return BY_DEFAULT;
    if (strcmp(o->file, "-o") == 0)
        return ON_COMMAND_LINE;
    return o->section.n == 0 ? IN_FILE : IN_SECTION;
}

/* True: the file would not take it there, or it has no value that can be written: a comment. */
static bool is_comment(const struct setting *k, const struct config *c, enum group group)
{
    if (k->only_override || (k->only_section && group != IN_SECTION))
        return true;
    return k->kind == VALUE_COMMAND &&
           (group == BY_DEFAULT || ((const struct words *)((const char *)c + k->field))->n == 0);
}

static void print_setting(const struct setting *k, const struct config *c, enum group group,
                          struct text *value)
{
    value->n = 0;
    value_show(k, c, value);
    printf("%s%.*s =%s%.*s\n", is_comment(k, c, group) ? "# " : "", k->name.n, k->name.p,
           value->n > 0 ? " " : "", SPAN_FORMAT(text_span(value)));
}

/* The group's setting that was made next behind that line, and behind the setting `last` of that
 * line itself; NULL: there is none. */
static const struct setting *next_of(const struct config_origin *origin, enum group group,
                                     unsigned line, const struct setting *last)
{
    const struct setting *found = NULL;
    unsigned found_at = UINT_MAX;

    for (size_t i = 0; i < setting_count(); i++) {
        const struct setting *k = setting_at(i);

        if (group_of(&origin[i]) != group || origin[i].line >= found_at || origin[i].line < line ||
            (origin[i].line == line && last != NULL && k <= last))
            continue;
        found = k;
        found_at = origin[i].line;
    }
    return found;
}

static void print_group(const struct config *c, const struct config_origin *origin,
                        enum group group, struct text *value)
{
    const struct setting *k = next_of(origin, group, 0, NULL);

    if (k != NULL && group == IN_SECTION)
        printf("[%.*s]\n", SPAN_FORMAT(origin[setting_number(k)].section));
    if (k != NULL && group == BY_DEFAULT)
        puts("# default:");
    while (k != NULL) {
        const struct config_origin *o = &origin[setting_number(k)];

        if (group != BY_DEFAULT)
            printf("# %s:%u:\n", o->file, o->line);
        print_setting(k, c, group, value);
        k = next_of(origin, group, o->line, k);
    }
}

int print_settings(const struct config *c, const struct config_origin *origin, bool only_made)
{
    struct text value = {.p = malloc(VALUE_TEXT_MAX), .cap = VALUE_TEXT_MAX};

    if (value.p == NULL)
        return 1;
    for (enum group group = ON_COMMAND_LINE; group < GROUPS; group++)
        if (group != BY_DEFAULT || !only_made)
            print_group(c, origin, group, &value);
    free(value.p);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
