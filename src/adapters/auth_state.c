#include "adapters/auth_state.h"

#include <string.h>

bool auth_is_user(struct span name)
{
    return name.n > 0 && name.n <= AUTH_USER_MAX && !span_has_control(name) &&
           span_find(name, ' ') == name.n && utf8_valid(name);
}

void auth_later(struct auth_answer *out, const char *why)
{
    *out = (struct auth_answer){AUTH_LATER, span_of(why)};
}

void auth_wipe(struct auth *a)
{
    if (a->dirty > 0)
        explicit_bzero(a->room, a->dirty);
    a->dirty = a->from = a->to = a->user = 0;
    a->has_user = false;
}

void auth_add_mechanism(struct auth *a, struct span name)
{
    struct text *t = &a->mechanisms;

    if (name.n + (t->n > 0) > AUTH_MECHANISMS_MAX - t->n)
        return;
    if (t->n > 0)
        text_addc(t, ' ');
    text_add(t, name);
}
