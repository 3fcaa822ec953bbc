/* The words of the command line: options, filters, and the command. */
#ifndef SMTPIN_COMMANDS_MILTER_OPTIONS_H
#define SMTPIN_COMMANDS_MILTER_OPTIONS_H

#include "commands/milter/limits.h"
#include "commands/milter/talk.h"

enum { OPTIONS_FILTERS_MAX = 16, OPTIONS_SERVER_MAX = 512 };

struct options {
    struct filter filter[OPTIONS_FILTERS_MAX];
    char server[OPTIONS_FILTERS_MAX][OPTIONS_SERVER_MAX];
    size_t filters;
    struct limits limits;
    const char *spool_dir;
    struct facts facts;
    char host[256];
    char **recipient; /* those of -r */
    size_t recipients;
    char **command;
    size_t words; /* of it */
};

/* Reads them; `recipient` has room for argc pointers. NULL, or what is wrong with *word. */
const char *options_read(struct options *o, int argc, char **argv, const char **word);

#endif
