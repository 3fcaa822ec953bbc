/* What smtpin is told (smtpin-delivery(7)): reply lines, and the exit status that goes with one. */
#ifndef SMTPIN_COMMANDS_MILTER_ANSWER_H
#define SMTPIN_COMMANDS_MILTER_ANSWER_H

#include "base/text.h"

enum {
    ANSWER_USAGE = 64,
    ANSWER_TEMPORARY = 75,
    ANSWER_FOR_GOOD = 100,
};

/* Is a line read for each recipient? Else one, and the exit status, are for all. */
bool answer_is_each(void);
/* Writes a filter's reply as one line that smtpin takes: "550 5.7.1 text". `text` is what followed
 * the code: it may have an enhanced code, more lines with codes of their own, and octets that no
 * reply may have. `room` holds `cap` octets, the last of which is a NUL. */
void answer_line(char *room, size_t cap, unsigned code, struct span text);
/* Prints the one answer for all. The exit status: 0, or what fits the line's code. */
int answer_all(const char *line);

#endif
