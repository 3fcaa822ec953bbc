/* What a command is told of a message: macros in its words (named as in Postfix pipe(8)) and
 * environment variables (named as in Postfix local(8)). One table makes both. */
#ifndef SMTPIN_OUTSIDE_MACRO_H
#define SMTPIN_OUTSIDE_MACRO_H

#include "config.h"
#include "outside/peer.h"

/* A run of a command: the facts, and the recipients that it is for. */
struct macro_run {
    const struct smtp_session *session;
    const struct peer *peer;
    struct span id;
    struct span delimiter; /* between user and extension: any of its bytes */
    uint64_t size;
    struct span digest;  /* empty: none was made */
    struct span replies; /* macro_replies */
    const struct smtp_recipient *const *recipient;
    size_t recipients;
};

/* What becomes of a run's output, for the command: "one": its exit status and first line are the
 * one answer for its recipients; "each": it prints a reply line for each recipient, and the client
 * hears each; "merged": the same, but the client hears one reply for all of them. */
struct span macro_replies(const struct config *c, const struct smtp_session *session);

/* NULL, or what is wrong with the macros of a word. "$$" stands for a dollar sign. */
const char *macro_check(struct span word);

bool macro_has_any(struct span word);
/* Is the word repeated for each recipient? */
bool macro_is_per_recipient(struct span word);
/* A word that expands to `word` itself; .p is NULL when the arena is full. */
struct span macro_literal(struct span word, struct arena *a);

/* The words with their macros expanded, as a NULL-terminated argv in the arena; a word that names
 * a recipient's fact is repeated for each recipient. What a macro stands for is never looked at
 * again: no shell, no splitting, no second expansion. NULL when the arena is full. */
char **macro_argv(const struct macro_run *run, const struct config_words *words, struct arena *a);
/* The whole environment of the command, built from nothing; the recipient's variables are there
 * when the run has one recipient. */
char **macro_environment(const struct macro_run *run, struct arena *a);

#define MACRO_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#endif
