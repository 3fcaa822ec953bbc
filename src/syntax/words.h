/* A command line as words: for the settings that name a command. No shell: a quote is the only
 * special character. */
#ifndef SMTPIN_SYNTAX_WORDS_H
#define SMTPIN_SYNTAX_WORDS_H

#include "base/arena.h"
#include "base/text.h"

enum { WORDS_MAX = 256 };

/* Spans are terminated. */
struct words {
    struct span *word;
    size_t n;
    bool macros; /* a '$' is in one of them */
};

/* Splits a command line: words are apart by blanks, "..." keeps blanks together; a word that
 * begins with '#' or a single quote must stand in these. NULL or what is
 * wrong with it. */
const char *words_split(struct span line, struct arena *a, struct words *out);
/* Adds a word as words_split reads it: with quotes where it needs them. */
void words_add(struct text *out, struct span word);

#endif
