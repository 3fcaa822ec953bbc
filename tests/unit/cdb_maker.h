/* Writes a small cdb into memory, octet by octet as its description has it: tests alter it then. */
#ifndef SMTPIN_TESTS_CDB_MAKER_H
#define SMTPIN_TESTS_CDB_MAKER_H

#include "base/span.h"

#include <assert.h>
#include <stdint.h>

enum { MAKER_HEADER = 2048, MAKER_RECORDS = 512, MAKER_OCTETS = 64 * 1024 };

struct maker {
    char bytes[MAKER_OCTETS];
    size_t n;
    size_t records_end;
    size_t records;
    uint32_t hash[MAKER_RECORDS], place[MAKER_RECORDS];
};

static inline void maker_set(struct maker *m, size_t at, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        m->bytes[at + (size_t)i] = (char)(number >> 8 * i & 0xff);
}

static inline uint32_t maker_get(const struct maker *m, size_t at)
{
    uint32_t number = 0;

    for (int i = 3; i >= 0; i--)
        number = number << 8 | (unsigned char)m->bytes[at + (size_t)i];
    return number;
}

static inline uint32_t maker_hash(struct span key)
{
    uint32_t hash = 5381;

    for (size_t i = 0; i < key.n; i++)
        hash = (hash * 33) ^ (unsigned char)key.p[i];
    return hash;
}

static inline void maker_start(struct maker *m)
{
    memset(m->bytes, 0, MAKER_HEADER);
    m->n = MAKER_HEADER;
    m->records = 0;
}

static inline void maker_add(struct maker *m, struct span key, struct span value)
{
    assert(m->records < MAKER_RECORDS && m->n + 8 + key.n + value.n <= MAKER_OCTETS);
    m->hash[m->records] = maker_hash(key);
    m->place[m->records++] = (uint32_t)m->n;
    maker_set(m, m->n, (uint32_t)key.n);
    maker_set(m, m->n + 4, (uint32_t)value.n);
    if (key.n > 0)
        memcpy(m->bytes + m->n + 8, key.p, key.n);
    if (value.n > 0)
        memcpy(m->bytes + m->n + 8 + key.n, value.p, value.n);
    m->n += 8 + key.n + value.n;
}

/* A hash table has twice as many slots as it needs. */
static inline void maker_end(struct maker *m)
{
    m->records_end = m->n;
    for (uint32_t table = 0; table < 256; table++) {
        uint32_t slots = 0;

        for (size_t i = 0; i < m->records; i++)
            slots += m->hash[i] % 256 == table ? 2 : 0;
        assert(m->n + 8 * (size_t)slots <= MAKER_OCTETS);
        maker_set(m, 8 * (size_t)table, (uint32_t)m->n);
        maker_set(m, 8 * (size_t)table + 4, slots);
        memset(m->bytes + m->n, 0, 8 * (size_t)slots);
        for (size_t i = 0; i < m->records; i++) {
            uint32_t slot = slots == 0 ? 0 : (m->hash[i] >> 8) % slots;

            if (m->hash[i] % 256 != table)
                continue;
            while (maker_get(m, m->n + 8 * (size_t)slot + 4) != 0)
                slot = (slot + 1) % slots;
            maker_set(m, m->n + 8 * (size_t)slot, m->hash[i]);
            maker_set(m, m->n + 8 * (size_t)slot + 4, m->place[i]);
        }
        m->n += 8 * (size_t)slots;
    }
}

#endif
