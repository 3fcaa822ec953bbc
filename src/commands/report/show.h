/* Octets that strangers have chosen, shown where they can do no harm: in a terminal, in HTML, in
 * JSON. What is no printable character is \xNN in all of them, a backslash \x5c. */
#ifndef SMTPIN_COMMANDS_REPORT_SHOW_H
#define SMTPIN_COMMANDS_REPORT_SHOW_H

#include "base/span.h"

#include <stdint.h>
#include <stdio.h>

enum { SHOW_MOST = 200 }; /* octets of a value; what is cut off is "..." */

void show_text(FILE *out, struct span s);
/* The same, of any length up to that of an entry's value. */
void show_all(FILE *out, struct span s);
/* As the text of an element or of an attribute in quotes. */
void show_html(FILE *out, struct span s);
/* With its quotes. */
void show_json(FILE *out, struct span s);
/* "2026-11-29 21:20:18", local; "-" for 0. */
void show_time(FILE *out, uint64_t time);
/* "12 ms", "1.5 s", "2 min 5 s" */
void show_duration(FILE *out, uint64_t milliseconds);
/* "12,345" */
void show_number(FILE *out, uint64_t number);
/* "1.2 MiB" */
void show_octets(FILE *out, uint64_t octets);

#endif
