/* Where the records come from: files, standard input or the journal, as the options say; all of
 * them, in the time that is asked for. */
#ifndef SMTPIN_COMMANDS_REPORT_SOURCE_H
#define SMTPIN_COMMANDS_REPORT_SOURCE_H

#include "commands/report/journal.h"
#include "commands/report/options.h"

struct source {
    const struct options *options;
    const char *session;             /* of the journal, records of this session alone; NULL */
    char cursor[JOURNAL_CURSOR_MAX]; /* begin behind it; where it has come to; empty: none */
    struct input input;
    uint64_t last;     /* when the record before was written */
    uint64_t progress; /* when the next word of progress is due (clock_now); 0: never */
    input_taker *take;
    void *context;
    const char *wrong, *wrong_what; /* where source_read has returned false */
    int copy; /* of standard input, so that it can be read a second time; -1: none */
};

/* `progress`: standard error is a terminal, and somebody waits there. */
void source_open(struct source *s, const struct options *o, uint64_t now, bool progress);
/* Standard input, where it can't be read twice, is copied first. False: it can't be. */
bool source_keep(struct source *s);
/* Gives each record to `take`. May be called again: then it begins again, where source_keep was
 * called. False: something can't be read. */
bool source_read(struct source *s, input_taker *take, void *context);
void source_close(struct source *s);

#endif
