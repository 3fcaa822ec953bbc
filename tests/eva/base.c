/* Eva's entries for the base: spans, numbers, text, the arena, SHA-256. */
#include "any.h"
#include "base/arena.h"
#include "base/number.h"
#include "base/sha256.h"
#include "base/text.h"

/* On a strong block, where Eva knows that two places are of one object; long enough for eight
 * octets at once, twice. */
static char strong[17];

void eva_find(void)
{
    size_t n = (size_t)Frama_C_interval(0, sizeof strong);
    struct span s = {.p = strong, .n = 0};

    //@ split n;
    Frama_C_make_unknown(strong, sizeof strong);
    s.p = strong + sizeof strong - n;
    s.n = n;
    switch (Frama_C_interval_split(0, 4)) {
    case 0:
        (void)span_find(s, Frama_C_char_interval(-128, 127));
        break;
    case 1:
        (void)span_find_line_end(s);
        break;
    case 2:
        (void)span_has_control_but_tab(s);
        break;
    case 3:
        (void)span_is_ascii(s);
        break;
    default:
        (void)span_eq(s, s);
        break;
    }
}

void eva_span(void)
{
    struct span s = any_bytes(0, BYTES), t, word;
    size_t from = (size_t)any_number();

    switch (Frama_C_interval_split(0, 7)) {
    case 0:
        t = any_bytes(0, BYTES);
        (void)span_eq(s, t);
        (void)span_eq_nocase(s, t);
        (void)span_starts_nocase(s, t);
        break;
    case 1:
        (void)utf8_valid(s);
        break;
    case 2:
        (void)span_trim(s);
        break;
    case 3: /* the empty span that has no place */
        t = span_of(NULL);
        (void)span_eq(s, t);
        (void)span_starts_nocase(s, t);
        (void)utf8_valid(t);
        (void)span_find(t, 'x');
        (void)span_trim(t);
        (void)span_first(span_from(t, from), from);
        (void)span_word(&t, " ", &word);
        break;
    case 4:
        (void)span_first(span_from(s, from), from);
        break;
    case 5:
        (void)byte_hex(Frama_C_char_interval(-128, 127));
        break;
    case 6:
        while (span_word(&s, " \t,", &word))
            ;
        break;
    default:
        break;
    }
}

void eva_number(void)
{
    struct span s = any_bytes(0, BYTES);
    uint64_t most = any_number(), out;

    (void)number_parse(s, most, &out);
    (void)number_parse_size(s, most, &out);
    (void)number_parse_time(s, most, &out);
}

void eva_text(void)
{
    char room[8];
    struct text t = TEXT(room);
    struct span s = any_bytes(0, 5);
    size_t n = (size_t)Frama_C_interval(0, 8);

    t.n = n;
    //@ split n;
    for (size_t i = 0; i < n; i++)
        room[i] = 'x';
    t.n = n;
    switch (Frama_C_interval_split(0, 5)) {
    case 0:
        text_add(&t, s);
        break;
    case 1:
        text_addn(&t, any_number(), Frama_C_unsigned_int_interval(0, UINT32_MAX));
        break;
    case 2:
        text_add32(&t, any_number());
        break;
    case 3:
        text_add_escaped(&t, s, "\\");
        break;
    case 4:
        text_addc(&t, 'x');
        break;
    default:
        text_adds(&t, NULL);
        break;
    }
    (void)text_string(&t);
}

void eva_arena(void)
{
    char room[BYTES];
    size_t n = (size_t)Frama_C_interval(0, BYTES), m = (size_t)Frama_C_interval(0, BYTES);
    struct arena a = {.base = room, .cap = BYTES}, b;
    struct span s = any_bytes(0, BYTES);
    void *p;

    //@ split n;
    //@ split m;
    p = arena_get(&a, n);
    if (p != NULL && m <= n)
        arena_shrink(&a, p, m);
    (void)arena_copy(&a, s);
    b = arena_behind(&a, BYTES);
    (void)arena_copy(&b, s);
}

void eva_sha256(void)
{
    static const unsigned char held[] = {0, 55, 56, 63};
    struct sha256 h;
    char hex[64];
    const unsigned char n = held[Frama_C_interval_split(0, 3)];

    Frama_C_make_unknown((char *)&h, sizeof h);
    h.octets = (any_number() / 128) * 64 + n;
    if (Frama_C_interval_split(0, 1))
        sha256_close(&h, hex);
    else
        sha256_add(&h, any_bytes(0, 66));
}
