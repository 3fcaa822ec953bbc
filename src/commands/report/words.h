/* What records, rules and ends mean, in words: the one place where that is said. docs/words.py
 * writes units/smtpin.catalog and the list of rules in smtpin-rules(7) from these tables. */
#ifndef SMTPIN_COMMANDS_REPORT_WORDS_H
#define SMTPIN_COMMANDS_REPORT_WORDS_H

#include "base/span.h"
#include "syntax/log_kinds.h"

/* For journalctl -x: @SMTP_NAME@ stands for a field. The first paragraph of `text` says what has
 * happened; what follows says what it means. */
struct words_kind {
    const char *subject;
    const char *manual;
    const char *text;
};

extern const struct words_kind words_kinds[LOG_KINDS];

/* A rule: a reply's rule=, or what a session's end= names. */
struct words_rule {
    const char *name;
    const char *meaning; /* goes on behind "NAME: " */
};

extern const struct words_rule words_rules[];
extern const size_t words_rules_n;

/* How a session may end without a rule. Those that are `odd` are worth a look. */
struct words_end {
    const char *name;
    const char *meaning;
    bool odd;
};

extern const struct words_end words_ends[];
extern const size_t words_ends_n;

/* The index in the table; the table's length where it is none of them. */
size_t words_rule(struct span name);
size_t words_end(struct span name);

#endif
