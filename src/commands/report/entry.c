#include "commands/report/entry.h"

#include "base/number.h"

enum { NAME_MAX = 21, TIME_DIGITS = 11 };

/* 2020 and 2100: an id that says another time is none of ours. */
static const uint64_t earliest = 1577836800000000, latest = 4102444800000000;

static const struct tag names[FIELDS] = {
#define FIELD(name, text) TAG(text),
    ENTRY_FIELDS(FIELD)
#undef FIELD
};

/* In the journal they are in capitals. */
static const struct tag capitals[FIELDS] = {
#define FIELD(name, text) TAG(#name),
    ENTRY_FIELDS(FIELD)
#undef FIELD
};

void entry_clear(struct entry *e)
{
    e->kind = LOG_KINDS;
    e->time = 0;
    memset(e->value, 0, sizeof e->value);
    e->more = e->skipped = 0;
    e->room = TEXT(e->bytes);
}

const char *entry_field_name(enum entry_field field)
{
    return names[field].p;
}

/* The first name of each length; a length that no name has begins where the next does. */
static const unsigned char first_of_length[NAME_MAX + 2] = {
    [0] = FIELD_ID,
    [1] = FIELD_ID,
    [2] = FIELD_ID,
    [3] = FIELD_END,
    [4] = FIELD_FILE,
    [5] = FIELD_ALIAS,
    [6] = FIELD_FAILED,
    [7] = FIELD_COMMAND,
    [8] = FIELD_ACCEPTED,
    [9] = FIELD_VIOLATION,
    [10] = FIELD_RECIPIENTS,
    [11] = FIELD_CLIENT_NAME,
    [12] = FIELD_FORWARD_PATH,
    [13] = FIELD_COMMAND_ERROR,
    [14] = FIELD_CLIENT_ADDRESS,
    [15] = FIELD_CERTIFICATE_ENDS,
    [16] = FIELD_CERTIFICATE_ENDS,
    [17] = FIELD_DELIVERY_MILLISECONDS,
    [18] = FIELD_DELIVERY_MILLISECONDS,
    [19] = FIELD_DELIVERY_MILLISECONDS,
    [20] = FIELD_DELIVERY_MILLISECONDS,
    [21] = FIELD_DELIVERY_MILLISECONDS,
    [22] = FIELDS,
};

static enum entry_field find(const struct tag table[FIELDS], struct span name)
{
    if (name.n == 0 || name.n > NAME_MAX)
        return FIELDS;
    for (size_t i = first_of_length[name.n]; i < first_of_length[name.n + 1]; i++)
        if (table[i].p[0] == name.p[0] && table[i].p[name.n - 1] == name.p[name.n - 1] &&
            span_eq(tag_span(&table[i]), name))
            return (enum entry_field)i;
    return FIELDS;
}

enum entry_field entry_field(struct span name)
{
    return find(names, name);
}

enum entry_field entry_field_of_journal(struct span name)
{
    return find(capitals, name);
}

/* \xNN at the start of s: the octet, or -1. */
static int escape_at(struct span s)
{
    const int high = s.n >= 4 && s.p[1] == 'x' ? byte_hex(s.p[2]) : -1;
    const int low = high >= 0 ? byte_hex(s.p[3]) : -1;

    return low < 0 ? -1 : high * 16 + low;
}

static struct span decode(struct text *room, struct span s)
{
    const size_t at = room->n;

    while (s.n > 0) {
        const size_t plain = span_find(s, '\\');
        int octet;

        text_add(room, span_first(s, plain));
        s = span_from(s, plain);
        if (s.n == 0)
            break;
        octet = escape_at(s);
        text_addc(room, octet < 0 ? '\\' : (char)octet);
        s = span_from(s, octet < 0 ? 1 : 4);
    }
    return (struct span){.p = room->p + at, .n = room->n - at};
}

void entry_add_plain(struct entry *e, enum entry_field field, struct span value)
{
    if (e->room.cut) {
        e->room.cut = false;
        e->skipped++;
    } else if (e->value[field].p == NULL) {
        e->value[field] = value;
    } else if (e->more < ENTRY_MORE) {
        e->other[e->more].field = field;
        e->other[e->more++].value = value;
    } else {
        e->skipped++;
    }
}

void entry_add(struct entry *e, enum entry_field field, struct span escaped)
{
    if (span_find(escaped, '\\') < escaped.n)
        escaped = decode(&e->room, escaped);
    entry_add_plain(e, field, escaped);
}

void entry_add_copy(struct entry *e, enum entry_field field, struct span escaped)
{
    entry_add_plain(e, field, decode(&e->room, escaped));
}

uint64_t entry_number(const struct entry *e, enum entry_field field)
{
    uint64_t number = 0;

    (void)number_parse(e->value[field], UINT32_MAX * (uint64_t)1024, &number);
    return number;
}

bool entry_next(const struct entry *e, enum entry_field field, size_t *at, struct span *value)
{
    if (*at == 0) {
        *at = 1;
        *value = e->value[field];
        return value->p != NULL;
    }
    for (; *at <= e->more; ++*at)
        if (e->other[*at - 1].field == field) {
            *value = e->other[(*at)++ - 1].value;
            return true;
        }
    return false;
}

static int digit32(char c)
{
    if (byte_is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
}

uint64_t entry_session_time(struct span session)
{
    uint64_t time = 0;

    if (session.n <= TIME_DIGITS)
        return 0;
    for (size_t i = 0; i < TIME_DIGITS; i++) {
        const int digit = digit32(session.p[i]);

        if (digit < 0)
            return 0;
        time = time * 32 + (uint64_t)digit;
    }
    return time >= earliest && time < latest ? time : 0;
}
