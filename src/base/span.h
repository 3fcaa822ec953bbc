/* A span is a pointer and a length: bytes that belong to somebody else.
 * Nothing here needs a terminator, allocates, or makes a system call. */
#ifndef SMTPIN_BASE_SPAN_H
#define SMTPIN_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

/* A span over a string literal. */
#define SPAN(literal) ((struct span){.p = (literal), .n = sizeof(literal) - 1})
#define SPAN_FORMAT(s) (int)(s).n, (s).p

/* A short text that stands in a table itself. A span there is a pointer, and a position-independent
 * program has each of them relocated whenever it starts. */
struct tag {
    unsigned char n;
    char p[31]; /* with a NUL */
};

#define TAG(literal)                                                                               \
    {                                                                                              \
        .n = sizeof(literal) - 1, .p = { literal }                                                 \
    }

static inline struct span tag_span(const struct tag *t)
{
    return (struct span){.p = t->p, .n = t->n};
}

bool span_eq(struct span a, struct span b);
bool span_starts_nocase(struct span s, struct span prefix);
/* The first place of c in s, or s.n when there is none. */
size_t span_find(struct span s, char c);
/* How many of its octets are c. */
size_t span_count(struct span s, char c);
/* The first place of a CR or LF, or s.n when there is none. */
size_t span_find_line_end(struct span s);
/* Has it a control octet (0-31, 127); one that is no tab? */
bool span_has_control(struct span s);
bool span_has_control_but_tab(struct span s);
/* Takes the next word off *s: runs of bytes that are not in `separators`.
 * False when none is left. */
bool span_word(struct span *s, const char *separators, struct span *word);

/* Has it no octet above 127? */
bool span_is_ascii(struct span s);
/* ASCII without control octets. */
bool span_is_printable(struct span s);

/* The value of a hexadecimal digit, or -1. */
int byte_hex(char c);

/* The length of the well-formed UTF-8 sequence (RFC 3629) at the start of s, 1 to 4;
 * 0 when there is none: overlong forms, surrogates and values past U+10FFFF are none. */
size_t utf8_length(struct span s);
bool utf8_valid(struct span s);

/* Here, where a compiler sees them: each is less than its call. */

/* A span over a terminated string; NULL gives the empty span. */
static inline struct span span_of(const char *text)
{
    return (struct span){.p = text, .n = text == NULL ? 0 : strlen(text)};
}

/* Equal but for the case of ASCII letters. Most that are not differ in length or in the first
 * octet, which in letters of either case is the same but for one bit. */
static inline bool span_eq_nocase(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || ((a.p[0] ^ b.p[0]) & ~0x20) == 0) && span_starts_nocase(a, b);
}

/* s from byte `from` on; its first n bytes. Both stay within s. */
static inline struct span span_from(struct span s, size_t from)
{
    if (from > s.n)
        from = s.n;
    return (struct span){.p = from == 0 ? s.p : s.p + from, .n = s.n - from};
}

static inline struct span span_first(struct span s, size_t n)
{
    return (struct span){.p = s.p, .n = n < s.n ? n : s.n};
}

static inline bool byte_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* s without spaces and tabs at its ends. */
static inline struct span span_trim(struct span s)
{
    while (s.n > 0 && byte_is_blank(s.p[0]))
        s = span_from(s, 1);
    while (s.n > 0 && byte_is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static inline bool byte_is_alpha(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26; /* the cases differ in one bit */
}

static inline bool byte_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* 0-31 and 127 */
static inline bool byte_is_control(char c)
{
    return (unsigned char)c < 0x20 || (unsigned char)c == 0x7f;
}

/* 128-255 */
static inline bool byte_is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

static inline char byte_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

#endif
