#include "smtp/state.h"

enum smtp_want smtp_say_reply(struct smtp_session *s, const struct smtp_reply *r,
                              struct span argument)
{
    smtp_reply_line(s->out, r, true, s->esmtp, argument);
    s->said = (struct smtp_said){.reply = *r, .argument = argument};
    /* Permanent errors count as the client's; 4yz are ours, or a limit that it could not know. An
     * LMTP client is a mail server that hands on what others send. */
    if (r->code >= 500 && !s->options->lmtp)
        s->errors++;
    return r->close ? SMTP_NEXT_CLOSE : SMTP_NEXT_LINE;
}

enum smtp_want smtp_say(struct smtp_session *s, enum smtp_reply_id id, struct span argument)
{
    return smtp_say_reply(s, smtp_reply(id), argument);
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

void smtp_add_recipient(struct smtp_transaction *t, struct smtp_recipient *r)
{
    if (t->last == NULL)
        t->first = r;
    else
        t->last->next = r;
    t->last = r;
    t->recipients++;
}
