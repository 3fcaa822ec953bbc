#include "smtp/hello.h"

#include "smtp/extra.h"
#include "smtp/login.h"
#include "smtp/trace.h"
#include "smtp/xclient.h"

#include <string.h>

/* partial = single: the others are asked to come one by one, each to hear its own result. */
bool smtp_one_at_a_time(const struct smtp_session *s)
{
    return s->options->single && !s->options->lmtp && !s->transaction.prdr;
}

static bool greet(struct smtp_session *s, struct span name, bool esmtp)
{
    if (!smtp_is_helo_name(name, s->options->tolerate.kinds))
        return false;
    memcpy(s->helo_room, name.p, name.n);
    s->helo = (struct span){.p = s->helo_room, .n = name.n};
    s->esmtp = esmtp;
    smtp_forget_transaction(s);
    return true;
}

/* RFC 4954 3: the mechanisms that there are now. Some old clients read "AUTH=" alone. */
static void announce_login(struct smtp_session *s)
{
    text_add(s->out, SPAN("\r\n250-AUTH "));
    text_add(s->out, s->login->mechanisms);
    if (!s->options->auth_old_clients)
        return;
    text_add(s->out, SPAN("\r\n250-AUTH="));
    text_add(s->out, s->login->mechanisms);
}

static enum smtp_want say_ehlo(struct smtp_session *s)
{
    const struct smtp_options *o = s->options;
    char room[SMTP_REPLY_LINE_MAX];
    struct text hello = TEXT(room);

    /* ehlo-ok-rsp: the domain, then a greeting (RFC 5321 4.1.1.1) */
    text_add(&hello, o->hostname);
    text_add(&hello, SPAN(" Hello "));
    if (o->tolerate.kinds & SMTP_TOLERATE_HELO)
        smtp_add_helo_name(&hello, span_first(s->helo, 100));
    else
        text_add(&hello, span_first(s->helo, 200));
    smtp_reply_line(s->out, smtp_reply(SMTP_REPLY_HELLO), false, false, text_span(&hello));
    text_add(s->out, SPAN("250-SIZE "));
    text_addn(s->out, o->max_message_size, 1);
    /* RFC 9422: how many transactions a session, how many recipients a transaction. */
    text_add(s->out, SPAN("\r\n250-LIMITS MAILMAX="));
    text_addn(s->out, o->max_transactions, 1);
    text_add(s->out, SPAN(" RCPTMAX="));
    text_addn(s->out, smtp_one_at_a_time(s) ? 1 : o->max_recipients, 1);
    if (o->prdr && !o->lmtp)
        text_add(s->out, SPAN("\r\n250-PRDR"));
    text_add(s->out, SPAN("\r\n250-PIPELINING\r\n250-8BITMIME"));
    if (o->chunking)
        text_add(s->out, SPAN("\r\n250-CHUNKING"));
    if (o->binarymime)
        text_add(s->out, SPAN("\r\n250-BINARYMIME"));
    if (o->smtputf8)
        text_add(s->out, SPAN("\r\n250-SMTPUTF8"));
    /* RFC 3207 4.2: not again inside TLS. */
    if (o->tls != SMTP_TLS_OFF && !s->secure)
        text_add(s->out, SPAN("\r\n250-STARTTLS"));
    if (smtp_offers_login(s) && s->login->mechanisms.n > 0)
        announce_login(s);
    smtp_extra_announce(s);
    /* RFC 8689 2: only inside TLS. */
    if (o->requiretls && s->secure)
        text_add(s->out, SPAN("\r\n250-REQUIRETLS"));
    if (s->xclient != NULL)
        smtp_announce_xclient(s->out);
    text_add(s->out, SPAN("\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n"));
    return SMTP_NEXT_LINE;
}

enum smtp_want smtp_say_hello(struct smtp_session *s)
{
    if (s->esmtp && smtp_offers_login(s) && !s->login->mechanisms_known) {
        s->about = SMTP_ABOUT_GREETING;
        return SMTP_NEXT_MECHANISMS;
    }
    return s->esmtp ? say_ehlo(s) : smtp_say(s, SMTP_REPLY_HELLO, s->options->hostname);
}

static enum smtp_want ask_or_say_hello(struct smtp_session *s)
{
    return s->options->decide_at & SMTP_ABOUT_GREETING ? smtp_ask(s, SMTP_ABOUT_GREETING)
                                                       : smtp_say_hello(s);
}

enum smtp_want smtp_helo(struct smtp_session *s, struct span argument)
{
    if (!greet(s, argument, false))
        return smtp_say(s, SMTP_REPLY_BAD_NAME, SPAN("HELO"));
    return ask_or_say_hello(s);
}

enum smtp_want smtp_ehlo(struct smtp_session *s, struct span argument)
{
    if (!greet(s, argument, true))
        return smtp_say(s, SMTP_REPLY_BAD_NAME, s->options->lmtp ? SPAN("LHLO") : SPAN("EHLO"));
    return ask_or_say_hello(s);
}
