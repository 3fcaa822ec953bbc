/* Building text in a fixed buffer that somebody else owns. What does not fit is left out, and
 * `cut` remembers it: whoever must not lose a byte looks there once, at the end. */
#ifndef SMTPIN_BASE_TEXT_H
#define SMTPIN_BASE_TEXT_H

#include "base/span.h"

#include <stdint.h>

struct text {
    char *p;
    size_t n;
    size_t cap;
    bool cut;
};

#define TEXT(array) ((struct text){.p = (array), .cap = sizeof(array)})

/* What text_add calls where it is more than a few moves. */
void text_append(struct text *t, struct span s);
/* Decimal, padded with zeros to `width`. */
void text_addn(struct text *t, uint64_t number, unsigned width);
/* Base 32 (0-9, a-v), most significant digit first. */
void text_add32(struct text *t, uint64_t number);
/* Client bytes for people to read: a control byte, a byte that is no UTF-8, marks that deceive the
 * eye and a byte in `also` becomes \xNN; well-formed UTF-8 is kept. */
void text_add_escaped(struct text *t, struct span s, const char *also);
/* The text, terminated: for system calls. The last byte goes when there is no room. */
const char *text_string(struct text *t);

static inline struct span text_span(const struct text *t)
{
    return (struct span){.p = t->p, .n = t->n};
}

static inline void text_add(struct text *t, struct span s)
{
    if (__builtin_constant_p(s.n) && s.n > 0 && s.n <= 32 && s.n <= t->cap - t->n) {
        memcpy(t->p + t->n, s.p, s.n);
        t->n += s.n;
    } else {
        text_append(t, s);
    }
}

static inline void text_adds(struct text *t, const char *terminated)
{
    text_add(t, span_of(terminated));
}

/* Adds it, and returns it where it now is. */
static inline struct span text_keep(struct text *t, struct span s)
{
    const size_t at = t->n;

    text_add(t, s);
    return (struct span){.p = t->p + at, .n = t->n - at};
}

/* What is left of it behind its first n bytes: a text of its own. */
static inline struct text text_behind(const struct text *t, size_t n)
{
    return (struct text){.p = t->p + n, .cap = t->cap - n};
}

static inline void text_addc(struct text *t, char c)
{
    if (t->n < t->cap)
        t->p[t->n++] = c;
    else
        t->cut = true;
}

#endif
