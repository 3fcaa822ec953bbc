#include "adapters/penalty.h"

#include <string.h>

static bool is_of(const struct penalty *p, const struct admission_guest *guest)
{
    struct admission_guest other = {.local = false};

    memcpy(other.address, p->address, sizeof other.address);
    return admission_same_source(&other, guest);
}

static const struct penalty *find(const struct penalties *p, const struct admission_guest *guest)
{
    for (size_t i = 0; i < p->n; i++)
        if (is_of(&p->of[i], guest))
            return &p->of[i];
    return NULL;
}

/* A place for one more: a new one, one whose time has passed, or that which has the least left. */
static struct penalty *make_room(struct penalties *p)
{
    struct penalty *least = &p->of[0];

    if (p->n < PENALTY_SOURCES_MAX)
        return &p->of[p->n++];
    for (size_t i = 1; i < p->n; i++)
        if (p->of[i].until < least->until)
            least = &p->of[i];
    return least;
}

/* Those whose time has passed are nobody's any more. */
static void forget_past(struct penalties *p, uint64_t now)
{
    for (size_t i = 0; i < p->n;) {
        if (p->of[i].until > now)
            i++;
        else
            p->of[i] = p->of[--p->n];
    }
}

bool penalty_add(struct penalties *p, const struct admission_guest *guest, uint64_t added,
                 uint64_t least, uint64_t most, uint64_t now)
{
    struct penalty *of;
    bool was_active;

    if (guest->local || added == 0)
        return false;
    forget_past(p, now);
    of = (struct penalty *)find(p, guest);
    if (of == NULL) {
        of = make_room(p);
        *of = (struct penalty){.until = now};
        memcpy(of->address, guest->address, sizeof of->address);
    }
    was_active = of->active;
    of->until = of->until + added < now + most ? of->until + added : now + most;
    of->active = was_active || of->until - now >= (least < most ? least : most);
    return of->active && !was_active;
}

uint64_t penalty_left(const struct penalties *p, const struct admission_guest *guest, uint64_t now)
{
    const struct penalty *of = guest->local ? NULL : find(p, guest);

    return of == NULL || !of->active || of->until <= now ? 0 : of->until - now;
}
