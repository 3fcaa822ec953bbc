#include "outside/digest.h"

#include <stdlib.h>
#include <string.h>

void digest_open(struct digest *d, const struct config *c, const struct smtp_transaction *t)
{
    d->wanted =
        c->digest == CONFIG_DIGEST_ALWAYS || (c->digest == CONFIG_DIGEST_AUTO && t->recipients > 1);
    if (d->wanted)
        sha256_open(&d->hash);
}

void digest_add(struct digest *d, struct span bytes)
{
    if (d->wanted)
        sha256_add(&d->hash, bytes);
}

static int compare(const void *a, const void *b)
{
    const struct span *s = a, *t = b;
    const int order = memcmp(s->p, t->p, s->n < t->n ? s->n : t->n);

    return order != 0 ? order : (s->n > t->n) - (s->n < t->n);
}

struct span digest_close(struct digest *d, const struct smtp_transaction *t, struct arena *a)
{
    const struct span nul = {.p = "", .n = 1};
    const size_t mark = a->used;
    struct span *address;
    size_t n = 0;

    if (!d->wanted)
        return SPAN("");
    address = arena_get(a, t->recipients * sizeof *address);
    if (address == NULL)
        return SPAN("");
    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        address[n++] = r->mailbox.address;
    qsort(address, n, sizeof *address, compare);
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
