/* What the command line asks for. */
#ifndef SMTPIN_COMMANDS_REPORT_OPTIONS_H
#define SMTPIN_COMMANDS_REPORT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shape {
    SHAPE_TEXT,
    SHAPE_JSON,
    SHAPE_HTML,
    SHAPE_OPENMETRICS,
    SHAPE_PROMETHEUS,
    SHAPE_FOLLOW,
    SHAPE_STORY,
    SHAPE_RULES,
    SHAPE_HELP,
    SHAPE_VERSION
};

enum { OPTIONS_TOP = 10, OPTIONS_TOP_MAX = 1000 };

struct options {
    enum shape shape;
    uint64_t since, until;        /* microseconds since 1970; 0: no such bound */
    const char *directory, *file; /* another journal */
    const char *cursor_file;      /* NULL: none */
    const char *state, *output;   /* NULL: none; standard output */
    const char *id, *recipient;   /* NULL: none */
    size_t top;                   /* rows of each list */
    char *const *input;           /* files; none: the journal */
    size_t inputs;
    const char *wrong, *wrong_what; /* where options_read has returned false */
};

/* False: wrong usage, and what is wrong. `now` is in microseconds since 1970. */
bool options_read(struct options *o, int argc, char *const *argv, uint64_t now);

#endif
