#include "smtp/envelope.h"

#include "smtp/hello.h"
#include "smtp/param.h"

static enum smtp_want refuse_mail(struct smtp_session *s, enum smtp_reply_id why)
{
    smtp_forget_transaction(s);
    return smtp_say(s, why, SPAN(""));
}

enum smtp_want smtp_begin_transaction(struct smtp_session *s)
{
    s->phase = SMTP_MAIL;
    return smtp_say(s, SMTP_REPLY_SENDER_OK, s->transaction.reverse_path.address);
}

enum smtp_want smtp_mail(struct smtp_session *s, struct span argument)
{
    struct smtp_transaction *t = &s->transaction;
    enum smtp_reply_id reply;

    switch (smtp_reverse_path(&argument, t->arena, &t->reverse_path, &s->options->tolerate)) {
    case SMTP_PATH_OK:
        break;
    case SMTP_PATH_TOO_LONG:
        return refuse_mail(s, SMTP_REPLY_LONG_REVERSE_PATH);
    case SMTP_PATH_FULL:
        return refuse_mail(s, SMTP_REPLY_NO_MEMORY);
    default:
        return refuse_mail(s, SMTP_REPLY_BAD_REVERSE_PATH);
    }
    /* Something right behind the path, not a space, belongs to a broken path. */
    if (argument.n > 0 && argument.p[0] != ' ')
        return refuse_mail(s, SMTP_REPLY_BAD_REVERSE_PATH);
    reply = argument.n == 0 ? SMTP_REPLY_OK : smtp_parameters(s, false, argument, &t->extras);
    if (reply != SMTP_REPLY_OK)
        return refuse_mail(s, reply);
    /* RFC 6531 3.5: a mailbox outside ASCII needs the parameter. */
    if (t->reverse_path.utf8 && !t->smtputf8)
        return refuse_mail(s, SMTP_REPLY_SENDER_NEEDS_UTF8);
    if (++s->transactions > s->options->max_transactions)
        return smtp_say(s, SMTP_REPLY_TOO_MANY_TRANSACTIONS, s->options->hostname);
    return s->options->decide_at & SMTP_ABOUT_SENDER ? smtp_ask(s, SMTP_ABOUT_SENDER)
                                                     : smtp_begin_transaction(s);
}

static enum smtp_want refuse_rcpt(struct smtp_session *s, enum smtp_reply_id why)
{
    s->transaction.arena->used = s->mark;
    s->candidate = NULL;
    return smtp_say(s, why, SPAN(""));
}

enum smtp_want smtp_rcpt(struct smtp_session *s, struct span argument)
{
    struct smtp_transaction *t = &s->transaction;
    struct smtp_recipient *r;
    struct span extras = {0};
    enum smtp_reply_id reply;

    t->attempts++;
    s->mark = t->arena->used;
    /* RFC 5321 4.5.3.1.10: 452 where 552 was once; those before are kept. */
    if (t->recipients >= s->options->max_recipients)
        return smtp_say(s, SMTP_REPLY_TOO_MANY_RECIPIENTS, SPAN(""));
    if (t->recipients > 0 && smtp_one_at_a_time(s))
        return smtp_say(s, SMTP_REPLY_ONE_RECIPIENT, SPAN(""));
    /* Nobody is looked up for a client that guesses. */
    if (t->recipients > 0 && s->refused_recipients > s->options->max_refused_recipients)
        return smtp_say(s, SMTP_REPLY_REFUSED_LATER, SPAN(""));
    r = arena_get(t->arena, sizeof *r);
    if (r == NULL)
        return refuse_rcpt(s, SMTP_REPLY_NO_MEMORY);
    *r = (struct smtp_recipient){0};
    switch (smtp_forward_path(&argument, t->arena, &r->mailbox, &s->options->tolerate)) {
    case SMTP_PATH_OK:
        break;
    case SMTP_PATH_TOO_LONG:
        return refuse_rcpt(s, SMTP_REPLY_LONG_FORWARD_PATH);
    case SMTP_PATH_FULL:
        return refuse_rcpt(s, SMTP_REPLY_NO_MEMORY);
    default:
        return refuse_rcpt(s, SMTP_REPLY_BAD_FORWARD_PATH);
    }
    if (argument.n > 0 && argument.p[0] != ' ')
        return refuse_rcpt(s, SMTP_REPLY_BAD_FORWARD_PATH);
    reply = argument.n == 0 ? SMTP_REPLY_OK : smtp_parameters(s, true, argument, &extras);
    if (reply != SMTP_REPLY_OK)
        return refuse_rcpt(s, reply);
    r->extras = extras.p; /* terminated */
    if (r->mailbox.utf8 && !t->smtputf8)
        return refuse_rcpt(s, SMTP_REPLY_RECIPIENT_NEEDS_UTF8);
    s->candidate = r;
    return smtp_ask(s, SMTP_ABOUT_RECIPIENT);
}
