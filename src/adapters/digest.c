#include "adapters/digest.h"

#include <string.h>

/* May this message's recipients have different results, of which the client hears one reply? Then
 * it may send the message again to some who have it. The addresses of an alias have one reply,
 * whatever the client speaks. */
static bool may_be_mixed(const struct config *c, const struct smtp_transaction *t)
{
    const bool each = c->deliver_per == CONFIG_PER_RECIPIENT || c->deliver_replies == 1;
    const bool one_for_all = t->recipients > 1 && !c->smtp.lmtp && !t->prdr && !c->smtp.single;

    return each && (one_for_all || t->targets > t->recipients);
}

void digest_open(struct digest *d, const struct config *c, const struct smtp_transaction *t)
{
    d->wanted = c->digest == CONFIG_DIGEST_ALWAYS ||
                (c->digest == CONFIG_DIGEST_AUTO && may_be_mixed(c, t));
    if (d->wanted)
        sha256_open(&d->hash);
}

void digest_add(struct digest *d, struct span bytes)
{
    if (d->wanted)
        sha256_add(&d->hash, bytes);
}

/* s is not behind t in the order of their bytes. */
static bool in_order(struct span s, struct span t)
{
    const int order = memcmp(s.p, t.p, s.n < t.n ? s.n : t.n);

    return order < 0 || (order == 0 && s.n <= t.n);
}

/* Two sorted lists, which follow each other in `from`, as one. */
static void merge(struct span *to, const struct span *from, size_t n, size_t first)
{
    size_t i = 0, j = first;

    /* Addresses often come in order. */
    if (first == n || in_order(from[first - 1], from[first])) {
        memcpy(to, from, n * sizeof *to);
        return;
    }
    while (i < first && j < n)
        *to++ = in_order(from[i], from[j]) ? from[i++] : from[j++];
    memcpy(to, i < first ? from + i : from + j, (i < first ? first - i : n - j) * sizeof *to);
}

/* Sorts a[0..n), with room for as many behind them; returns where they stand then. For a thousand
 * of them musl's qsort takes five times as long. */
static struct span *sort(struct span *a, size_t n)
{
    struct span *other = a + n;

    for (size_t run = 1; run < n; run *= 2) {
        struct span *const from = a;

        for (size_t at = 0; at < n; at += 2 * run) {
            const size_t left = n - at;

            merge(other + at, from + at, left < 2 * run ? left : 2 * run, left < run ? left : run);
        }
        a = other;
        other = from;
    }
    return a;
}

struct span digest_close(struct digest *d, const struct smtp_transaction *t, struct arena *a)
{
    const struct span nul = {.p = "", .n = 1};
    const size_t mark = a->used;
    struct span *address;
    size_t n = 0;

    if (!d->wanted)
        return SPAN("");
    address = arena_get(a, 2 * t->recipients * sizeof *address);
    if (address == NULL)
        return SPAN("");
    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        address[n++] = r->mailbox.address;
    address = sort(address, n);
    sha256_add(&d->hash, nul);
    sha256_add(&d->hash, t->reverse_path.address);
    for (size_t i = 0; i < n; i++) {
        sha256_add(&d->hash, nul);
        sha256_add(&d->hash, address[i]);
    }
    a->used = mark;
    sha256_close(&d->hash, d->hex);
    return (struct span){.p = d->hex, .n = sizeof d->hex};
}
