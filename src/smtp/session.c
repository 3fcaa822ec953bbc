#include "smtp/session.h"

#include "smtp/verbs.h"

static void begin(struct smtp_session *s)
{
    s->said = (struct smtp_said){0};
    s->judged = (struct span){0};
}

enum smtp_want smtp_session_open(struct smtp_session *s, const struct smtp_options *options,
                                 struct text *out, struct arena *arena, bool available)
{
    *s = (struct smtp_session){
        .options = options,
        .out = out,
        .transaction = {.arena = arena},
        .phase = SMTP_CONNECTED,
    };
    arena_reset(arena);
    return smtp_say(s,
                    !available      ? SMTP_REPLY_UNAVAILABLE
                    : options->lmtp ? SMTP_REPLY_GREETING_LMTP
                                    : SMTP_REPLY_GREETING,
                    options->hostname);
}

enum smtp_want smtp_session_line(struct smtp_session *s, struct span line)
{
    begin(s);
    /* One reply a command: the 421 of a limit takes the place of the reply to the command after. */
    if (s->errors >= s->options->max_errors)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_ERRORS);
    if (++s->commands > s->options->max_commands)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_COMMANDS);
    return smtp_dispatch(s, line);
}

enum smtp_want smtp_session_bad_line(struct smtp_session *s, enum smtp_line_result fault)
{
    begin(s);
    if (s->errors >= s->options->max_errors)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_ERRORS);
    if (++s->commands > s->options->max_commands)
        return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_COMMANDS);
    return smtp_say(s,
                    fault == SMTP_LINE_BARE_LF   ? SMTP_REPLY_BARE_LF
                    : fault == SMTP_LINE_BARE_CR ? SMTP_REPLY_BARE_CR
                                                 : SMTP_REPLY_LINE_TOO_LONG,
                    SPAN(""));
}

enum smtp_want smtp_session_decided(struct smtp_session *s, const struct smtp_verdict *verdict)
{
    struct smtp_recipient *r = s->candidate;
    const struct span text = verdict->reply.text;
    const uint64_t errors = s->errors;
    struct smtp_reply reply = verdict->reply;

    begin(s);
    s->judged = r->mailbox.address;
    s->candidate = NULL;
    if (verdict->opinion == SMTP_ACCEPT) {
        smtp_add_recipient(&s->transaction, r);
        s->phase = SMTP_RCPT;
        return smtp_say(s, SMTP_REPLY_RECIPIENT_OK, r->mailbox.address);
    }
    if (verdict->opinion == SMTP_REFUSE && !s->options->lmtp &&
        ++s->refused_recipients > s->options->max_refused_recipients) {
        /* Those who were accepted get their message first; the others may come with the next. */
        if (s->transaction.recipients == 0)
            return smtp_session_interrupt(s, SMTP_REPLY_TOO_MANY_REFUSED);
        reply = *smtp_reply(SMTP_REPLY_REFUSED_LATER);
    }
    if (reply.code == 0) {
        const char *rule = reply.rule;

        reply =
            *smtp_reply(verdict->opinion == SMTP_DEFER ? SMTP_REPLY_DEFERRED : SMTP_REPLY_REFUSED);
        if (rule != NULL)
            reply.rule = rule;
    }
    /* A rule's text is foreign: it goes in as the argument, where no '%' is looked for. */
    const struct span said = text.n > 0 && reply.code == verdict->reply.code ? text : reply.text;
    reply.text = SPAN("%");
    smtp_say_reply(s, &reply, said);
    s->errors = errors; /* a refused recipient is counted as such */
    s->transaction.arena->used = s->mark;
    return reply.close ? SMTP_NEXT_CLOSE : SMTP_NEXT_LINE;
}

void smtp_session_decoder(const struct smtp_session *s, struct smtp_data *data)
{
    *data = (struct smtp_data){
        .max_size = s->options->max_message_size,
        .max_line = s->options->max_text_line,
        .max_received = s->options->max_received,
        .normalize = s->options->normalize,
    };
}

/* LMTP has a reply for each recipient whatever becomes of the message (RFC 2033 4.2). */
static enum smtp_want refuse_all(struct smtp_session *s, const struct smtp_reply *reply)
{
    for (struct smtp_recipient *r = s->transaction.first; r != NULL; r = r->next) {
        r->result = *reply;
        r->result.close = reply->close && r->next == NULL;
    }
    s->reporting = s->transaction.first;
    return smtp_session_more(s);
}

enum smtp_want smtp_session_collected(struct smtp_session *s, const struct smtp_data *data)
{
    static const enum smtp_reply_id replies[] = {
        [SMTP_DATA_FINE] = SMTP_REPLY_OK,
        [SMTP_DATA_TOO_LARGE] = SMTP_REPLY_TOO_LARGE,
        [SMTP_DATA_LOOP] = SMTP_REPLY_DATA_LOOP,
        [SMTP_DATA_LONG_LINE] = SMTP_REPLY_DATA_LONG_LINE,
        [SMTP_DATA_NO_SPOOL] = SMTP_REPLY_NO_SPOOL,
        [SMTP_DATA_BARE_LF] = SMTP_REPLY_DATA_BARE_LF,
        [SMTP_DATA_BARE_CR] = SMTP_REPLY_DATA_BARE_CR,
    };
    const uint64_t errors = s->errors;
    enum smtp_want want;

    begin(s);
    /* End of file never means complete: a message that has no end is no message, and nobody is
     * there to hear a reply. */
    if (!smtp_data_is_over(data))
        return SMTP_NEXT_CLOSE;
    if (data->fault == SMTP_DATA_FINE)
        return SMTP_NEXT_DELIVERY;
    if (s->options->lmtp)
        return refuse_all(s, smtp_reply(replies[data->fault]));
    want = smtp_say(s, replies[data->fault], SPAN(""));
    s->errors = errors; /* a message that is refused is no mistake */
    smtp_forget_transaction(s);
    return want;
}

/* One reply for all recipients (RFC 5321 4.2.5 knows no other). All succeeded: the first one's
 * reply; all failed: the gravest, but nothing permanent while one may still succeed; some succeeded
 * and some failed: try again, and those who have it get it again (smtpin.conf(5), partial). */
static const struct smtp_reply *merged_result(const struct smtp_transaction *t)
{
    const struct smtp_reply *worst = &t->first->result;
    bool good = false, bad = false, later = false;

    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next) {
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

/* The last reply of PRDR, for the message: it has been taken when one recipient has it. */
static const struct smtp_reply *overall_result(const struct smtp_transaction *t)
{
    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        if (r->result.code < 400)
            return smtp_reply(SMTP_REPLY_OK);
    return merged_result(t);
}

static enum smtp_want say_result(struct smtp_session *s, const struct smtp_reply *result)
{
    struct smtp_reply reply = *result;

    const uint64_t errors = s->errors;
    enum smtp_want want;

    /* A command's text is foreign: no '%' is looked for in it. */
    reply.text = SPAN("%");
    want = smtp_say_reply(s, &reply, result->text);
    /* What became of a message is no mistake of the client's. */
    s->errors = errors;
    return want;
}

static enum smtp_want say_last_result(struct smtp_session *s, const struct smtp_reply *result)
{
    const enum smtp_want want = say_result(s, result);

    /* Who sends mail that is taken is no guesser: its mistakes are counted anew. */
    if (result->code < 400)
        s->errors = s->refused_recipients = 0;
    smtp_forget_transaction(s);
    return want;
}

enum smtp_want smtp_session_more(struct smtp_session *s)
{
    const struct smtp_recipient *r = s->reporting;
    enum smtp_want want = SMTP_NEXT_MORE;

    begin(s);
    if (r == NULL) {
        want = say_last_result(s, overall_result(&s->transaction));
    } else {
        s->judged = r->mailbox.address;
        s->reporting = r->next;
        if (s->reporting == NULL && !s->transaction.prdr)
            want = say_last_result(s, &r->result);
        else
            say_result(s, &r->result);
    }
    return want;
}

enum smtp_want smtp_session_delivered(struct smtp_session *s)
{
    struct smtp_transaction *t = &s->transaction;

    begin(s);
    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        if (r->result.code < 400) {
            s->messages++;
            break;
        }
    s->reporting = t->first;
    if (s->options->lmtp)
        return smtp_session_more(s);
    /* PRDR, as Exim speaks it: 353, each recipient's reply, one for the message; with a single
     * recipient there is nothing to tell apart. */
    if (t->prdr && t->recipients > 1) {
        smtp_say(s, SMTP_REPLY_START_REPORT, SPAN(""));
        return SMTP_NEXT_MORE;
    }
    return say_last_result(s, merged_result(t));
}

enum smtp_want smtp_session_gone(struct smtp_session *s)
{
    begin(s);
    return SMTP_NEXT_CLOSE;
}

enum smtp_want smtp_session_interrupt(struct smtp_session *s, enum smtp_reply_id why)
{
    begin(s);
    smtp_say(s, why, s->options->hostname);
    return SMTP_NEXT_CLOSE;
}

bool smtp_session_hears_each(const struct smtp_session *s)
{
    return s->options->lmtp || s->transaction.prdr || s->transaction.recipients == 1;
}

struct span smtp_session_protocol(const struct smtp_session *s, bool smtputf8)
{
    static const struct span lmtp_names[2][2][2] = {
        {{{.p = "LMTP", .n = 4}, {.p = "LMTPA", .n = 5}},
         {{.p = "LMTPS", .n = 5}, {.p = "LMTPSA", .n = 6}}},
        {{{.p = "UTF8LMTP", .n = 8}, {.p = "UTF8LMTPA", .n = 9}},
         {{.p = "UTF8LMTPS", .n = 9}, {.p = "UTF8LMTPSA", .n = 10}}},
    };
    /* RFC 3848 and RFC 6531 4.3: S for TLS, A for AUTH. */
    static const struct span names[2][2][2] = {
        {{{.p = "ESMTP", .n = 5}, {.p = "ESMTPA", .n = 6}},
         {{.p = "ESMTPS", .n = 6}, {.p = "ESMTPSA", .n = 7}}},
        {{{.p = "UTF8SMTP", .n = 8}, {.p = "UTF8SMTPA", .n = 9}},
         {{.p = "UTF8SMTPS", .n = 9}, {.p = "UTF8SMTPSA", .n = 10}}},
    };

    if (s->options->lmtp)
        return lmtp_names[smtputf8][s->secure][s->authenticated];
    if (!s->esmtp)
        return SPAN("SMTP");
    return names[smtputf8][s->secure][s->authenticated];
}
