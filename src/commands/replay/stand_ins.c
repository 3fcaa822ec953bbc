#include "commands/replay/stand_ins.h"

#include "commands/replay/settings.h"
#include "commands/replay/stand_in.h"
#include "commands/replay/stand_in_auth.h"
#include "commands/replay/stand_in_policy.h"
#include "commands/replay/stand_in_server.h"

#include <errno.h>
#include <unistd.h>

/* For `user =`. */
static bool for_everybody(const struct replay_options *o)
{
    return o->deliver && geteuid() == 0;
}

static bool is_stood_in_for(const struct transcript *t, const struct replay_options *o,
                            enum told_kind kind)
{
    return kind == TOLD_DELIVERY ? !o->in_process : t->told[kind].checked;
}

/* Nobody waits for minutes for what hangs, unless a transcript or -o wants it. */
static void add_times(struct stand_ins *s, const struct transcript *t,
                      const struct replay_options *o)
{
    static const char *const times[] = {
        [TOLD_DELIVERY] = "deliver_timeout=1s",
        [TOLD_CHECK] = "check_timeout=1s",
        [TOLD_POLICY] = "policy_timeout=1s",
        [TOLD_AUTH] = "auth_timeout=1s",
    };

    for (enum told_kind kind = 0; kind < TOLD_KINDS; kind++)
        if (is_stood_in_for(t, o, kind) && transcript_has(t, kind, TOLD_HANGS) &&
            !(kind == TOLD_DELIVERY && o->deliver))
            s->first[s->firsts++] = times[kind];
    if (is_stood_in_for(t, o, TOLD_AUTH))
        s->first[s->firsts++] = "auth_failure_delay=0";
}

static bool add(struct stand_ins *s, const char *setting)
{
    if (setting == NULL) {
        errno = ENOMEM;
        return false;
    }
    s->setting[s->settings++] = setting;
    return true;
}

/* Each that is set: in its place, with its words. */
static bool add_checks(struct stand_ins *s, const struct transcript *t,
                       const struct replay_options *o, const struct config *c, struct arena *a)
{
    const struct {
        const char *key;
        const struct words *command;
    } checks[] = {
        {"check_client", &c->check_client},
        {"check_sender", &c->check_sender},
        {"check_recipient", &c->check_recipient},
    };

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i].command->n > 0 &&
            !add(s, stand_in_setting(t, o, TOLD_CHECK, s->directory, checks[i].key,
                                     checks[i].command, a)))
            return false;
    return stand_in_open(t, o, TOLD_CHECK, s->directory);
}

/* As many servers as are set, so that as many are asked; one where none is. */
static bool add_policy(struct stand_ins *s, const struct transcript *t,
                       const struct replay_options *o, const struct config *c, struct arena *a)
{
    struct span left = c->policy, word;
    size_t servers = 0;

    while (span_word(&left, " \t,", &word))
        servers++;
    servers += servers == 0;
    if (!add(s, stand_in_policy_setting(s->directory, servers, a)))
        return false;
    s->policy = stand_in_policy_start(t, s->directory, servers, for_everybody(o), a);
    return s->policy > 0;
}

static void stop(const struct stand_ins *s)
{
    if (s->policy > 0)
        stand_in_server_stop(s->policy);
    if (s->auth > 0)
        stand_in_server_stop(s->auth);
}

static bool add_auth(struct stand_ins *s, const struct transcript *t,
                     const struct replay_options *o, struct arena *a)
{
    if (!add(s, stand_in_auth_setting(s->directory, a)))
        return false;
    s->auth = stand_in_auth_start(t, s->directory, for_everybody(o), a);
    return s->auth > 0;
}

bool stand_ins_open(struct stand_ins *s, const struct transcript *t, const struct replay_options *o,
                    const char *directory, struct arena *a)
{
    static const struct words nothing;
    struct config config;

    *s = (struct stand_ins){.directory = directory};
    add_times(s, t, o);
    if (is_stood_in_for(t, o, TOLD_DELIVERY) &&
        (!add(s,
              stand_in_setting(t, o, TOLD_DELIVERY, directory, "deliver_through", &nothing, a)) ||
         !stand_in_open(t, o, TOLD_DELIVERY, directory)))
        return false;
    /* One with a mistake takes no mail, and asks nobody. */
    if (!settings_load(t, o, &config, a))
        return true;
    if ((o->in_process || stand_in_tls_open(&s->tls, t, o, &config, s->first, &s->firsts, a)) &&
        (!is_stood_in_for(t, o, TOLD_CHECK) || add_checks(s, t, o, &config, a)) &&
        (!is_stood_in_for(t, o, TOLD_AUTH) || add_auth(s, t, o, a)) &&
        (!is_stood_in_for(t, o, TOLD_POLICY) || add_policy(s, t, o, &config, a)))
        return true;
    stop(s);
    return false;
}

void stand_ins_close(struct stand_ins *s, const struct transcript *t,
                     const struct replay_options *o, struct arena *a, struct differences *d)
{
    stop(s);
    for (enum told_kind kind = 0; kind < TOLD_KINDS; kind++)
        if (is_stood_in_for(t, o, kind))
            stand_in_compare(t, kind, s->directory, a, d);
}
