#include "adapters/cdb.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    PAIR = 8, /* octets of two numbers: place and length, hash and place, key and value */
    SLOTS_AT_ONCE = 16,
    VALUE_FIRST = 256,  /* octets of a value that are read with its key */
    WINDOW = 16 * 1024, /* octets that cdb_walk reads at once */
};

static const char cut_short[] = "is cut short, or is not a cdb";
static const char damaged[] = "is damaged";
static const char value_too_long[] = "has a value that is too long";

static uint32_t number_at(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* All n octets. */
static bool read_at(struct cdb *c, uint64_t at, char *out, size_t n)
{
    ssize_t got;

    do
        got = pread(c->fd, out, n, (off_t)at);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)n)
        c->wrong = got < 0 ? strerror(errno) : cut_short;
    return c->wrong == NULL;
}

bool cdb_open(struct cdb *c, int fd, uint64_t size)
{
    uint64_t slots = 0;

    c->fd = fd;
    c->size = size;
    c->wrong = NULL;
    if (size < CDB_HEADER) {
        c->wrong = cut_short;
        return false;
    }
    if (!read_at(c, 0, c->header, CDB_HEADER))
        return false;
    for (size_t i = 0; i < CDB_HEADER; i += PAIR) {
        const uint64_t place = number_at(c->header + i), length = number_at(c->header + i + 4);

        slots += length;
        if (length > 0 && place < CDB_HEADER)
            c->wrong = damaged;
        else if (length > 0 && place + length * PAIR > size)
            c->wrong = cut_short;
    }
    /* Its writer fills the header in at the end. */
    if (c->wrong == NULL && slots == 0 && size > CDB_HEADER)
        c->wrong = "is not complete";
    return c->wrong == NULL;
}

static uint32_t hash_of(struct span key)
{
    uint32_t hash = 5381;

    for (size_t i = 0; i < key.n; i++)
        hash = ((hash << 5) + hash) ^ (unsigned char)key.p[i];
    return hash;
}

/* The slots that may have a key's records, one after the other. */
struct chain {
    uint32_t hash;
    uint64_t place, length; /* of the hash table; its length in slots */
    uint64_t slot;          /* that comes next */
    uint64_t probes;        /* so many have been looked at */
    uint64_t from, to;      /* the slots that are in the room */
    char room[SLOTS_AT_ONCE * PAIR];
};

static void start_chain(const struct cdb *c, struct span key, struct chain *chain)
{
    const uint32_t hash = hash_of(key);
    const char *pointer = c->header + hash % 256 * PAIR;

    chain->hash = hash;
    chain->place = number_at(pointer);
    chain->length = number_at(pointer + 4);
    chain->slot = chain->length == 0 ? 0 : (hash >> 8) % chain->length;
    chain->probes = chain->from = chain->to = 0;
}

static bool read_slots(struct cdb *c, struct chain *chain)
{
    const uint64_t left = chain->length - chain->slot;
    const uint64_t n = left < SLOTS_AT_ONCE ? left : SLOTS_AT_ONCE;

    chain->from = chain->slot;
    chain->to = chain->slot + n;
    return read_at(c, chain->place + chain->slot * PAIR, chain->room, (size_t)n * PAIR);
}

/* The place of the next record whose key has this hash. 0: there is none, or c->wrong. */
static uint64_t next_in_chain(struct cdb *c, struct chain *chain)
{
    while (chain->probes < chain->length) {
        const char *slot;

        if (chain->probes++ == CDB_PROBES_MAX) {
            c->wrong = "has thousands of entries with one key, or is damaged";
            return 0;
        }
        if ((chain->slot < chain->from || chain->slot >= chain->to) && !read_slots(c, chain))
            return 0;
        slot = chain->room + (chain->slot - chain->from) * PAIR;
        chain->slot = chain->slot + 1 == chain->length ? 0 : chain->slot + 1;
        if (number_at(slot + 4) == 0)
            return 0;
        if (number_at(slot) == chain->hash)
            return number_at(slot + 4);
    }
    return 0;
}

static enum cdb_result damage(struct cdb *c, const char *wrong)
{
    if (c->wrong == NULL)
        c->wrong = wrong;
    return CDB_DAMAGED;
}

/* The record there, if it has this key. */
static enum cdb_result read_record(struct cdb *c, uint64_t at, struct span key, struct text *value)
{
    char first[PAIR + CDB_KEY_MAX + VALUE_FIRST];
    const uint64_t left = at < c->size ? c->size - at : 0;
    const size_t wanted = PAIR + key.n + VALUE_FIRST;
    const size_t n = left < wanted ? (size_t)left : wanted, from = PAIR + key.n;
    uint64_t key_length, value_length;
    size_t have;

    if (at < CDB_HEADER || n < PAIR || !read_at(c, at, first, n))
        return damage(c, damaged);
    key_length = number_at(first);
    value_length = number_at(first + 4);
    if (PAIR + key_length + value_length > left)
        return damage(c, damaged);
    if (key_length != key.n || (key.n > 0 && memcmp(first + PAIR, key.p, key.n) != 0))
        return CDB_NOT_FOUND;
    if (value_length > value->cap - value->n)
        return damage(c, value_too_long);
    have = value_length < n - from ? (size_t)value_length : n - from;
    text_add(value, (struct span){.p = first + from, .n = have});
    if (have < value_length) {
        const size_t rest = (size_t)value_length - have;

        if (!read_at(c, at + n, value->p + value->n, rest))
            return CDB_DAMAGED;
        value->n += rest;
    }
    return CDB_FOUND;
}

enum cdb_result cdb_find(struct cdb *c, struct span key, struct text *value)
{
    enum cdb_result result = CDB_NOT_FOUND;
    struct chain chain;
    uint64_t at;

    if (key.n > CDB_KEY_MAX)
        return damage(c, "was asked for a key that is too long");
    start_chain(c, key, &chain);
    while (result == CDB_NOT_FOUND && (at = next_in_chain(c, &chain)) > 0)
        result = read_record(c, at, key, value);
    return c->wrong != NULL ? CDB_DAMAGED : result;
}

/* The whole file, piece by piece. */
struct window {
    uint64_t from;
    size_t n;
    char room[WINDOW];
};

/* n octets at that place, at most WINDOW; they live until the next call. NULL: c->wrong. */
static const char *look_at(struct cdb *c, struct window *w, uint64_t at, size_t n)
{
    const uint64_t left = at < c->size ? c->size - at : 0;

    if (at < w->from || at + n > w->from + w->n) {
        w->from = at;
        w->n = 0;
        if (n > left)
            damage(c, damaged);
        else if (read_at(c, at, w->room, left < WINDOW ? (size_t)left : WINDOW))
            w->n = left < WINDOW ? (size_t)left : WINDOW;
    }
    return c->wrong == NULL ? w->room + (at - w->from) : NULL;
}

/* Where the records end: the hash tables are behind them. */
static uint64_t end_of_records(const struct cdb *c)
{
    uint64_t end = c->size;

    for (size_t i = 0; i < CDB_HEADER; i += PAIR)
        if (number_at(c->header + i + 4) > 0 && number_at(c->header + i) < end)
            end = number_at(c->header + i);
    return end;
}

/* Does a look-up of its key come to the record there? */
static bool is_reached(struct cdb *c, uint64_t at, struct span key)
{
    struct chain chain;
    uint64_t place;

    start_chain(c, key, &chain);
    do
        place = next_in_chain(c, &chain);
    while (place != at && place != 0);
    return place == at;
}

/* `cdb -0` leaves this of a record whose key comes again. */
static bool is_emptied(struct span key, struct span value)
{
    return key.n == 0 && span_count(value, '\0') == value.n;
}

/* Reads the record there, which ends at `end` or before. False: c->wrong. */
static bool take_record(struct cdb *c, struct window *w, uint64_t at, uint64_t end,
                        size_t value_max, struct span *key, struct span *value)
{
    const char *p = end - at < PAIR ? NULL : look_at(c, w, at, PAIR);
    uint64_t key_length, value_length;

    if (p == NULL) {
        damage(c, damaged);
        return false;
    }
    key_length = number_at(p);
    value_length = number_at(p + 4);
    if (key_length + value_length > end - at - PAIR)
        damage(c, damaged);
    else if (key_length > CDB_KEY_MAX)
        damage(c, "has a key that is too long");
    else if (value_length > value_max)
        damage(c, value_too_long);
    p = c->wrong == NULL ? look_at(c, w, at, PAIR + (size_t)(key_length + value_length)) : NULL;
    if (p == NULL)
        return false;
    *key = (struct span){.p = p + PAIR, .n = (size_t)key_length};
    *value = (struct span){.p = p + PAIR + key_length, .n = (size_t)value_length};
    return true;
}

/* Slots that name a record. */
static uint64_t count_slots(struct cdb *c, struct window *w)
{
    uint64_t used = 0;

    for (size_t i = 0; i < CDB_HEADER; i += PAIR) {
        const uint64_t place = number_at(c->header + i), length = number_at(c->header + i + 4);

        for (uint64_t slot = 0; slot < length; slot++) {
            const char *p = look_at(c, w, place + slot * PAIR, PAIR);

            if (p == NULL)
                return used;
            used += number_at(p + 4) != 0;
        }
    }
    return used;
}

bool cdb_walk(struct cdb *c, size_t value_max,
              bool (*each)(void *context, struct span key, struct span value), void *context)
{
    const size_t most = WINDOW - PAIR - CDB_KEY_MAX; /* a record is in one window */
    const uint64_t end = end_of_records(c);
    uint64_t at = CDB_HEADER, records = 0;
    struct window w;
    struct span key, value;

    w.from = w.n = 0;
    for (;
         at < end && take_record(c, &w, at, end, value_max < most ? value_max : most, &key, &value);
         at += PAIR + key.n + value.n) {
        if (is_reached(c, at, key)) {
            records++;
            if (!each(context, key, value))
                return true;
        } else if (!is_emptied(key, value)) {
            damage(c, damaged);
        }
        if (c->wrong != NULL)
            break;
    }
    if (c->wrong == NULL && count_slots(c, &w) != records)
        damage(c, damaged);
    return c->wrong == NULL;
}
