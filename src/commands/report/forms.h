/* The forms that records come in as text. Each function reads octets that are wholly hostile, from
 * memory alone, and fills an entry, whose values may point into what was read. */
#ifndef SMTPIN_COMMANDS_REPORT_FORMS_H
#define SMTPIN_COMMANDS_REPORT_FORMS_H

#include "commands/report/entry.h"

enum form { FORM_LINES, FORM_JSON, FORM_EXPORT };

/* What the octets at the front of a file say it is. */
enum form form_of(struct span start);

/* A line of smtpin's own, KIND KEY=VALUE ..., with whatever a syslog, journalctl or smtpin itself
 * has put before it. Where that is a time, it is the entry's; where there is none, the session's id
 * is: the time when the session began. False: it is no record. */
bool form_line(struct entry *e, struct span line, uint64_t now);
/* An object of journalctl -o json. */
bool form_json(struct entry *e, struct span object);

/* The record alone, as MESSAGE of an entry of the journal has it. Values point into it. */
bool form_message(struct entry *e, struct span message, uint64_t time);

/* The fields of an entry of the journal, in whatever order they come: of journalctl -o export, and
 * of the journal itself. */
struct journal_entry {
    struct entry *entry;
    bool copy;       /* values do not live until the end of the entry */
    bool ours;       /* SYSLOG_IDENTIFIER is smtpin */
    char text[8192]; /* MESSAGE, of a record that is a line */
    size_t text_n;
};

void form_begin(struct journal_entry *j, struct entry *e, bool copy);
void form_field(struct journal_entry *j, struct span name, struct span value);
/* False: it is no record. */
bool form_end(struct journal_entry *j);

#endif
