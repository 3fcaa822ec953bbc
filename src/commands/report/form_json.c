#include "commands/report/forms.h"

enum { JSON_DEPTH = 8 };

struct json {
    struct span left;
    struct text room; /* what strings with escapes become, until their field is taken */
};

static void skip_blanks(struct json *j)
{
    while (j->left.n > 0 && (byte_is_blank(j->left.p[0]) || j->left.p[0] == '\n' ||
                             j->left.p[0] == '\r' || j->left.p[0] == 0x1e))
        j->left = span_from(j->left, 1);
}

static bool take(struct json *j, char c)
{
    skip_blanks(j);
    if (j->left.n == 0 || j->left.p[0] != c)
        return false;
    j->left = span_from(j->left, 1);
    return true;
}

static bool hex4(struct span s, uint32_t *out)
{
    uint32_t n = 0;

    if (s.n < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        const int digit = byte_hex(s.p[i]);

        if (digit < 0)
            return false;
        n = n * 16 + (uint32_t)digit;
    }
    *out = n;
    return true;
}

static void add_utf8(struct text *t, uint32_t c)
{
    if (c < 0x80) {
        text_addc(t, (char)c);
        return;
    }
    if (c < 0x800) {
        text_addc(t, (char)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            text_addc(t, (char)(0xe0 | c >> 12));
        } else {
            text_addc(t, (char)(0xf0 | c >> 18));
            text_addc(t, (char)(0x80 | (c >> 12 & 63)));
        }
        text_addc(t, (char)(0x80 | (c >> 6 & 63)));
    }
    text_addc(t, (char)(0x80 | (c & 63)));
}

/* Behind "\u": one character, of two halves where it is one of the higher ones. */
static bool take_unicode(struct json *j)
{
    uint32_t c, low;

    if (!hex4(j->left, &c))
        return false;
    j->left = span_from(j->left, 4);
    if (c >= 0xd800 && c < 0xdc00 && j->left.n >= 6 && j->left.p[0] == '\\' &&
        j->left.p[1] == 'u' && hex4(span_from(j->left, 2), &low) && low >= 0xdc00 && low < 0xe000) {
        j->left = span_from(j->left, 6);
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    add_utf8(&j->room, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    return true;
}

static bool take_escape(struct json *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char c = j->left.n > 0 ? j->left.p[0] : '\0';
    const char *at = c == '\0' ? NULL : strchr(from, c);

    j->left = span_from(j->left, 1);
    if (c == 'u')
        return take_unicode(j);
    if (at == NULL)
        return false;
    text_addc(&j->room, to[at - from]);
    return true;
}

/* Points into what is read where it has no escape. */
static bool take_string(struct json *j, struct span *out)
{
    const size_t at = j->room.n;
    size_t n = 0;

    if (!take(j, '"'))
        return false;
    while (n < j->left.n && j->left.p[n] != '"' && j->left.p[n] != '\\')
        n++;
    if (n < j->left.n && j->left.p[n] == '"') {
        *out = span_first(j->left, n);
        j->left = span_from(j->left, n + 1);
        return true;
    }
    while (j->left.n > 0 && j->left.p[0] != '"') {
        const char c = j->left.p[0];

        j->left = span_from(j->left, 1);
        if (c == '\\' && !take_escape(j))
            return false;
        if (c != '\\')
            text_addc(&j->room, c);
    }
    *out = (struct span){.p = j->room.p + at, .n = j->room.n - at};
    return take(j, '"');
}

static bool skip_scalar(struct json *j)
{
    size_t n = 0;

    while (n < j->left.n && (byte_is_alpha(j->left.p[n]) || byte_is_digit(j->left.p[n]) ||
                             j->left.p[n] == '-' || j->left.p[n] == '+' || j->left.p[n] == '.'))
        n++;
    j->left = span_from(j->left, n);
    return n > 0;
}

/* The octets of a value that is no text: [106, 255]. The first has been looked at, and is a digit.
 */
static bool take_octets(struct json *j, struct span *out)
{
    const size_t at = j->room.n;

    do {
        unsigned octet = 0;

        skip_blanks(j);
        if (j->left.n == 0 || !byte_is_digit(j->left.p[0]))
            return false;
        for (; j->left.n > 0 && byte_is_digit(j->left.p[0]) && octet < 256;
             j->left = span_from(j->left, 1))
            octet = octet * 10 + (unsigned)(j->left.p[0] - '0');
        if (octet > 255)
            return false;
        text_addc(&j->room, (char)octet);
    } while (take(j, ','));
    *out = (struct span){.p = j->room.p + at, .n = j->room.n - at};
    return take(j, ']');
}

static bool skip_value(struct json *j, unsigned depth);

/* What is behind '{' or '['. */
static bool skip_inside(struct json *j, char end, unsigned depth)
{
    struct span name;

    if (depth == JSON_DEPTH)
        return false;
    if (take(j, end))
        return true;
    do {
        if (end == '}' && (!take_string(j, &name) || !take(j, ':')))
            return false;
        if (!skip_value(j, depth + 1))
            return false;
    } while (take(j, ','));
    return take(j, end);
}

static bool skip_value(struct json *j, unsigned depth)
{
    struct span s;

    skip_blanks(j);
    if (j->left.n > 0 && j->left.p[0] == '"')
        return take_string(j, &s);
    if (take(j, '{'))
        return skip_inside(j, '}', depth);
    if (take(j, '['))
        return skip_inside(j, ']', depth);
    return skip_scalar(j);
}

/* What had no room is left out. It is counted if it is of smtpin. */
static void give(struct json *j, struct journal_entry *to, struct span name, struct span value)
{
    if (!j->room.cut)
        form_field(to, name, value);
    else if (span_starts_nocase(name, SPAN("SMTP_")))
        to->entry->skipped++;
}

/* A field's value: text, octets, null where it is too long, or an array where the entry has the
 * field several times. */
static bool take_value(struct json *j, struct journal_entry *to, struct span name, bool inside)
{
    const struct text before = j->room;
    struct span value;

    skip_blanks(j);
    if (j->left.n > 0 && j->left.p[0] == '"') {
        if (!take_string(j, &value))
            return false;
        give(j, to, name, value);
        j->room = before;
        return true;
    }
    if (!take(j, '['))
        return skip_value(j, 0);
    skip_blanks(j);
    if (j->left.n > 0 && byte_is_digit(j->left.p[0])) {
        if (!take_octets(j, &value))
            return false;
        give(j, to, name, value);
        j->room = before;
        return true;
    }
    if (take(j, ']'))
        return true;
    if (inside)
        return false;
    do {
        if (!take_value(j, to, name, true))
            return false;
    } while (take(j, ','));
    return take(j, ']');
}

static bool take_object(struct json *j, struct journal_entry *to)
{
    struct span name;

    if (!take(j, '{'))
        return false;
    if (take(j, '}'))
        return true;
    do {
        j->room.n = 0;
        j->room.cut = false;
        if (!take_string(j, &name) || !take(j, ':') || !take_value(j, to, name, false))
            return false;
    } while (take(j, ','));
    return take(j, '}');
}

bool form_json(struct entry *e, struct span object)
{
    char bytes[ENTRY_ROOM];
    struct json j = {.left = object, .room = TEXT(bytes)};
    struct journal_entry to;

    form_begin(&to, e, true);
    if (!take_object(&j, &to)) {
        entry_clear(e);
        return false;
    }
    skip_blanks(&j);
    if (j.left.n == 0 && form_end(&to))
        return true;
    e->kind = LOG_KINDS;
    return false;
}
