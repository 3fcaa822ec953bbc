#include "smtp/state.h"

enum smtp_want smtp_say_reply(struct smtp_session *s, const struct smtp_reply *r,
                              struct span argument)
{
    smtp_reply_line(s->out, r, true, s->esmtp, argument);
    s->said = (struct smtp_said){.reply = *r, .argument = argument};
    /* Permanent errors count as the client's; 4yz are ours, or a limit that it could not know. An
     * LMTP client is a mail server that hands on what others send. */
    if (r->code >= 500 && !s->options->lmtp) {
        s->errors++;
        if (s->options->error_delay > 0 && !r->close)
            return SMTP_NEXT_PAUSE;
    }
    return r->close ? SMTP_NEXT_CLOSE : SMTP_NEXT_LINE;
}

enum smtp_want smtp_say(struct smtp_session *s, enum smtp_reply_id id, struct span argument)
{
    return smtp_say_reply(s, smtp_reply(id), argument);
}

enum smtp_want smtp_say_foreign(struct smtp_session *s, const struct smtp_reply *r)
{
    struct smtp_reply reply = *r;

    reply.text = SPAN("%");
    return smtp_say_reply(s, &reply, r->text);
}

void smtp_forget_transaction(struct smtp_session *s)
{
    struct arena *arena = s->transaction.arena;

    arena_reset(arena);
    s->transaction = (struct smtp_transaction){.arena = arena};
    s->candidate = NULL;
    s->reporting = NULL;
    s->phase = s->helo.n > 0 ? SMTP_GREETED : SMTP_CONNECTED;
}

void smtp_forget_client(struct smtp_session *s)
{
    s->helo = (struct span){0};
    s->esmtp = s->authenticated = false;
    if (s->login != NULL)
        *s->login = (struct smtp_login){.errors = s->login->errors};
    smtp_forget_transaction(s);
}

void smtp_add_recipient(struct smtp_transaction *t, struct smtp_recipient *r)
{
    if (t->last == NULL)
        t->first = r;
    else
        t->last->next = r;
    t->last = r;
    t->recipients++;
    t->targets += r->aliased == NULL;
    for (const struct smtp_recipient *p = r->aliased; p != NULL; p = p->next)
        t->targets++;
}

enum smtp_want smtp_ask(struct smtp_session *s, enum smtp_subject about)
{
    s->about = about;
    return SMTP_NEXT_DECISION;
}

static struct smtp_recipient *target_of(struct smtp_recipient *r)
{
    return r != NULL && r->aliased != NULL ? r->aliased : r;
}

struct smtp_recipient *smtp_first_target(const struct smtp_transaction *t)
{
    return target_of(t->first);
}

struct smtp_recipient *smtp_next_target(const struct smtp_recipient *r)
{
    if (r->of == NULL)
        return target_of(r->next);
    return r->next != NULL ? r->next : target_of(r->of->next);
}

const struct smtp_reply *smtp_merged_result(const struct smtp_recipient *first)
{
    const struct smtp_reply *worst = &first->result;
    bool good = false, bad = false, later = false;

    for (const struct smtp_recipient *r = first; r != NULL; r = r->next) {
        good = good || r->result.code < 400;
        later = later || (r->result.code >= 400 && r->result.code < 500);
        bad = bad || r->result.code >= 500;
        if (r->result.code > worst->code)
            worst = &r->result;
    }
    if (bad && (good || later))
        return smtp_reply(SMTP_REPLY_DELIVERY_FAILED);
    return worst;
}
