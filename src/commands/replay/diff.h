/* Two lists, and the cheapest changes that make one the other (Levenshtein's distance, with
 * weights). What the lists are of, it does not know. */
#ifndef SMTPIN_REPLAY_DIFF_H
#define SMTPIN_REPLAY_DIFF_H

#include "base/arena.h"

enum diff_step {
    DIFF_SAME,    /* a row and its line */
    DIFF_CHANGED, /* a row, and another line in its place */
    DIFF_MISSING, /* a row without a line */
    DIFF_EXTRA,   /* a line without a row */
};

struct diff {
    size_t rows, lines;
    /* The rows may end behind any of so many lines, from `least` to `lines`, and what is behind it
     * is left alone; `least` is `lines` where all lines are theirs. */
    size_t least;
    bool (*same)(const void *context, size_t row, size_t line);
    const void *context;
};

/* Writes the steps, in order, to `steps` (room for rows + lines), and returns how many. Where the
 * lists are too long for the memory of `a`, every row is missing, and every line extra. */
size_t diff_lists(const struct diff *d, struct arena *a, unsigned char *steps);

#endif
