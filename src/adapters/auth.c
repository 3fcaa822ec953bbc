#include "adapters/auth.h"

#include "adapters/auth_checkpassword.h"
#include "adapters/auth_dovecot.h"
#include "base/base64.h"

static bool is_dovecot(const struct auth *a)
{
    return a->config->auth.command.n == 0;
}

void auth_open(struct auth *a, const struct config *c, const struct peer *peer, struct span id)
{
    a->config = c;
    a->peer = peer;
    a->id = id;
    a->fd = -1;
    a->minor = a->request = 0;
    a->active = a->has_user = false;
    a->knows = a->from = a->to = a->user = a->dirty = 0;
    a->binding = (struct span){0};
    a->mechanisms = (struct text){.p = a->mechanisms_room, .cap = AUTH_MECHANISMS_MAX};
    a->mechanism = (struct text){.p = a->mechanism_room, .cap = AUTH_MECHANISM_MAX};
}

bool auth_mechanisms(struct auth *a, struct span *out, const char **why)
{
    *why = NULL;
    if (is_dovecot(a))
        *why = auth_dovecot_mechanisms(a);
    else
        auth_checkpassword_mechanisms(a);
    *out = text_span(&a->mechanisms);
    return *why == NULL;
}

/* What a server is sent is base64 alone: nothing in it ends a line, or a field. */
static bool is_response(struct span s)
{
    return s.n <= AUTH_RESPONSE_MAX && base64_is(s);
}

/* A login that goes on has another challenge; all others leave nothing behind but their answer. */
static void conclude(struct auth *a, struct auth_answer *out)
{
    a->active = out->result == AUTH_CHALLENGE;
}

void auth_begin(struct auth *a, struct span mechanism, const struct span *initial,
                struct auth_answer *out)
{
    if (a->active)
        auth_cancel(a);
    *out = (struct auth_answer){.result = AUTH_MALFORMED};
    if (initial != NULL && !is_response(*initial))
        return;
    if (is_dovecot(a))
        auth_dovecot_begin(a, mechanism, initial, out);
    else
        auth_checkpassword_begin(a, mechanism, initial, out);
    conclude(a, out);
}

void auth_go_on(struct auth *a, struct span response, struct auth_answer *out)
{
    if (!a->active) {
        auth_later(out, "no login is going on");
        return;
    }
    *out = (struct auth_answer){.result = AUTH_MALFORMED};
    if (!is_response(response)) {
        auth_cancel(a);
        return;
    }
    if (is_dovecot(a))
        auth_dovecot_go_on(a, response, out);
    else
        auth_checkpassword_go_on(a, response, out);
    conclude(a, out);
}

void auth_cancel(struct auth *a)
{
    if (a->active && is_dovecot(a))
        auth_dovecot_cancel(a);
    a->active = false;
    if (!is_dovecot(a))
        auth_wipe(a);
}

void auth_close(struct auth *a)
{
    auth_cancel(a);
    if (is_dovecot(a))
        auth_dovecot_close(a);
    auth_wipe(a);
}
