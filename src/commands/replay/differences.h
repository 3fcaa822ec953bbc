/* Differences between a transcript and what has happened, as text for people. */
#ifndef SMTPIN_REPLAY_DIFFERENCES_H
#define SMTPIN_REPLAY_DIFFERENCES_H

#include "base/text.h"

enum {
    DIFFERENCES_SHOWN = 10, /* of a transcript: the others follow from them */
    DIFFERENCE_LINES = 200, /* of one of them */
};

struct differences {
    struct text *out;
    const char *file;
    unsigned count; /* all, also those that are not shown */
    unsigned lines; /* of the last one */
    bool hidden;    /* something is not shown */
};

/* One with one place: the line of the transcript, what it expects, what there was. */
void differ(struct differences *d, unsigned line, struct span expected, struct span got);

/* One with several places: begin, then a line of the transcript and, with a mark before them, what
 * belongs there ('-'), what might be there instead ('|') and what was there ('+'). */
void differ_begin(struct differences *d);
void differ_at(struct differences *d, unsigned line);
void differ_mark(struct differences *d, char mark, struct span text);
/* The same, with words before the text and behind it. */
void differ_words(struct differences *d, char mark, const char *before, struct span text,
                  const char *behind);
/* Behind the last one: says so if there is more than what is shown. */
void differ_close(struct differences *d);

#endif
