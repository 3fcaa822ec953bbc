#include "commands/report/top.h"

#include <stdlib.h>

void top_open(struct top *t, uint64_t seed)
{
    t->seed = seed;
    t->total = 0;
    t->n = 0;
    memset(t->slot, 0, sizeof t->slot);
}

static uint32_t hash_of(const struct top *t, struct span key)
{
    uint64_t h = t->seed ^ key.n;

    /* Eight octets at a time; the last of them may be fewer. */
    for (size_t i = 0; i < key.n; i += sizeof h) {
        uint64_t octets = 0;

        memcpy(&octets, key.p + i, key.n - i < sizeof h ? key.n - i : sizeof h);
        h = (h ^ octets) * 0x9e3779b97f4a7c15;
        h ^= h >> 32;
    }
    return (uint32_t)(h ^ h >> 15);
}

static struct top_counter *at_heap(struct top *t, size_t i)
{
    return &t->counter[t->heap[i]];
}

static void put(struct top *t, size_t i, uint16_t counter)
{
    t->heap[i] = counter;
    t->counter[counter].at = (uint16_t)i;
}

/* To where its count belongs. */
static void sink(struct top *t, size_t i)
{
    const uint16_t moved = t->heap[i];
    const uint64_t count = t->counter[moved].count;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < t->n && at_heap(t, child + 1)->count < at_heap(t, child)->count)
            child++;
        if (child >= t->n || at_heap(t, child)->count >= count)
            break;
        put(t, i, t->heap[child]);
        i = child;
    }
    put(t, i, moved);
}

static void rise(struct top *t, size_t i)
{
    const uint16_t moved = t->heap[i];

    while (i > 0 && at_heap(t, (i - 1) / 2)->count > t->counter[moved].count) {
        put(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(t, i, moved);
}

/* Its slot, or the free one where it would be. */
static size_t slot_of(const struct top *t, struct span key, uint32_t hash)
{
    size_t i = hash % TOP_SLOTS;

    for (; t->slot[i] != 0; i = (i + 1) % TOP_SLOTS) {
        const struct top_counter *c = &t->counter[t->slot[i] - 1];

        if (c->hash == hash && c->n == key.n && memcmp(c->key, key.p, key.n) == 0)
            break;
    }
    return i;
}

/* Those behind it that would not be found any more move up. */
static void free_slot(struct top *t, size_t i)
{
    size_t next = i;

    for (;;) {
        size_t home;

        t->slot[i] = 0;
        do {
            next = (next + 1) % TOP_SLOTS;
            if (t->slot[next] == 0)
                return;
            home = t->counter[t->slot[next] - 1].hash % TOP_SLOTS;
        } while (i <= next ? i < home && home <= next : i < home || home <= next);
        t->slot[i] = t->slot[next];
        i = next;
    }
}

void top_add(struct top *t, struct span key, uint64_t count)
{
    struct top_counter *c;
    uint32_t hash;
    size_t slot;

    key = span_first(key, TOP_KEY_MAX);
    hash = hash_of(t, key);
    slot = slot_of(t, key, hash);
    t->total += count;
    if (t->slot[slot] != 0) {
        c = &t->counter[t->slot[slot] - 1];
        c->count += count;
        sink(t, c->at);
        return;
    }
    if (t->n < TOP_COUNTERS) {
        c = &t->counter[t->n];
        c->count = c->error = 0;
        put(t, t->n, (uint16_t)t->n);
        t->n++;
    } else {
        c = at_heap(t, 0);
        free_slot(t, slot_of(t, (struct span){.p = c->key, .n = c->n}, c->hash));
        c->error = c->count;
        slot = slot_of(t, key, hash);
    }
    c->count += count;
    c->hash = hash;
    c->n = (unsigned char)key.n;
    memcpy(c->key, key.p, key.n);
    c->key[key.n] = '\0';
    t->slot[slot] = (uint16_t)(c - t->counter + 1);
    rise(t, c->at);
    sink(t, c->at);
}

struct row {
    const struct top_counter *counter;
};

/* Of equal counts, in the order of the keys: the same log gives the same report. */
static int compare(const void *a, const void *b)
{
    const struct top_counter *const x = ((const struct row *)a)->counter;
    const struct top_counter *const y = ((const struct row *)b)->counter;
    int order;

    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    order = memcmp(x->key, y->key, x->n < y->n ? x->n : y->n);
    return order != 0 ? order : (int)x->n - (int)y->n;
}

size_t top_list(const struct top *t, const struct top_counter **out, size_t most)
{
    struct row all[TOP_COUNTERS] = {{NULL}};

    for (size_t i = 0; i < t->n; i++)
        all[i].counter = &t->counter[i];
    qsort(all, t->n, sizeof *all, compare);
    most = most < t->n ? most : t->n;
    for (size_t i = 0; i < most; i++)
        out[i] = all[i].counter;
    return most;
}
