#include "commands/report/show.h"

#include "commands/report/dates.h"

#include <inttypes.h>

enum { VALUE_MAX = 8192, ESCAPE = 4 };

/* The character that s begins with, which is valid UTF-8 of n octets, 2 to 4. */
static uint32_t character(struct span s, size_t n)
{
    uint32_t c = (unsigned char)s.p[0] & (0xffu >> (n + 1));

    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)s.p[i] & 0x3f);
    return c;
}

/* What text_add_escaped leaves, and nobody sees: characters without a shape (Unicode's
 * Default_Ignorable_Code_Point, with the fillers of Hangul), the Arabic mark of direction, marks of
 * annotation, private use. The last two of each plane are no characters. */
static bool is_unseen(struct span s)
{
    static const struct {
        uint32_t first, last;
    } unseen[] = {
        {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},      {0x115f, 0x1160},
        {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},    {0x2060, 0x206f},
        {0x3164, 0x3164},   {0xe000, 0xf8ff},   {0xfdd0, 0xfdef},    {0xfe00, 0xfe0f},
        {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},    {0x1bca0, 0x1bca3},
        {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff},
    };
    const size_t n = utf8_length(s);
    uint32_t c;

    if (n < 2)
        return false;
    c = character(s, n);
    if ((c & 0xfffe) == 0xfffe)
        return true;
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen && unseen[i].first <= c; i++)
        if (c <= unseen[i].last)
            return true;
    return false;
}

static void clean(struct text *t, struct span s)
{
    size_t n = 0;

    for (; n < s.n; n++)
        if (byte_is_high(s.p[n]) && is_unseen(span_from(s, n))) {
            text_add_escaped(t, span_first(s, n), "\\");
            /* An octet by itself is no UTF-8. */
            text_add_escaped(t, span_first(span_from(s, n), 1), "\\");
            s = span_from(s, n + 1);
            n = (size_t)-1;
        }
    text_add_escaped(t, s, "\\");
}

/* Its first octets, without the half of a character. */
static struct span cut(struct span s, size_t most)
{
    size_t n = most;

    if (s.n <= most)
        return s;
    while (n > 0 && n + 3 > most && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return span_first(s, n);
}

static void put(FILE *out, struct span s, size_t most, void (*each)(FILE *out, char c))
{
    char room[ESCAPE * VALUE_MAX];
    struct text t = TEXT(room);

    clean(&t, cut(s, most));
    if (each == NULL)
        (void)fwrite(t.p, 1, t.n, out);
    for (size_t i = 0; each != NULL && i < t.n; i++)
        each(out, t.p[i]);
    if (s.n > most)
        (void)fputs("...", out);
}

void show_text(FILE *out, struct span s)
{
    put(out, s, SHOW_MOST, NULL);
}

void show_all(FILE *out, struct span s)
{
    put(out, s, VALUE_MAX, NULL);
}

static void html_character(FILE *out, char c)
{
    const char *entity = c == '&'    ? "&amp;"
                         : c == '<'  ? "&lt;"
                         : c == '>'  ? "&gt;"
                         : c == '"'  ? "&quot;"
                         : c == '\'' ? "&#39;"
                                     : NULL;

    if (entity != NULL)
        (void)fputs(entity, out);
    else
        (void)putc(c, out);
}

void show_html(FILE *out, struct span s)
{
    put(out, s, SHOW_MOST, html_character);
}

static void json_character(FILE *out, char c)
{
    if (c == '"' || c == '\\')
        (void)putc('\\', out);
    (void)putc(c, out);
}

void show_json(FILE *out, struct span s)
{
    (void)putc('"', out);
    put(out, s, VALUE_MAX, json_character);
    (void)putc('"', out);
}

void show_time(FILE *out, uint64_t time)
{
    char room[32];
    struct text t = TEXT(room);

    if (time == 0)
        text_adds(&t, "-");
    else
        dates_add(&t, time);
    (void)fwrite(t.p, 1, t.n, out);
}

void show_duration(FILE *out, uint64_t milliseconds)
{
    if (milliseconds < 1000)
        (void)fprintf(out, "%" PRIu64 " ms", milliseconds);
    else if (milliseconds < 60000)
        (void)fprintf(out, "%" PRIu64 ".%" PRIu64 " s", milliseconds / 1000,
                      milliseconds % 1000 / 100);
    else
        (void)fprintf(out, "%" PRIu64 " min %" PRIu64 " s", milliseconds / 60000,
                      milliseconds % 60000 / 1000);
}

void show_number(FILE *out, uint64_t number)
{
    char digits[32];
    const int n = snprintf(digits, sizeof digits, "%" PRIu64, number);

    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            (void)putc(',', out);
        (void)putc(digits[i], out);
    }
}

void show_octets(FILE *out, uint64_t octets)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    uint64_t whole = octets;

    if (octets < 1024) {
        (void)fprintf(out, "%" PRIu64 " octets", octets);
        return;
    }
    while (whole >= 1024 * (uint64_t)1024) {
        whole /= 1024;
        unit++;
    }
    (void)fprintf(out, "%" PRIu64 ".%" PRIu64 " %s", whole / 1024, whole % 1024 * 10 / 1024,
                  units[unit]);
}
