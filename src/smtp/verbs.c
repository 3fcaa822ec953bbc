#include "smtp/verbs.h"

#include "smtp/param.h"
#include "smtp/trace.h"

#include <string.h>

enum argument {
    ARGUMENT_NONE,
    ARGUMENT_ANY,
    ARGUMENT_NEEDED,
    ARGUMENT_FROM, /* "FROM:" and a Reverse-path */
    ARGUMENT_TO,   /* "TO:" and a Forward-path */
};

struct verb {
    struct span name;
    struct span syntax; /* for HELP and for 501 */
    enum argument argument;
    unsigned phases;              /* where it is legal */
    enum smtp_reply_id misplaced; /* the reply elsewhere */
    bool may_need_helo;
    bool recorded; /* its command holds no secret: `trace` writes it down */
    enum { IN_BOTH, IN_SMTP, IN_LMTP } in;
    enum smtp_want (*run)(struct smtp_session *s, struct span argument);
};

enum { ANY_PHASE = SMTP_CONNECTED | SMTP_GREETED | SMTP_MAIL | SMTP_RCPT };

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

/* partial = single: the others are asked to come one by one, each to hear its own result. */
static bool one_at_a_time(const struct smtp_session *s)
{
    return s->options->single && !s->options->lmtp && !s->transaction.prdr;
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
    text_addn(s->out, one_at_a_time(s) ? 1 : o->max_recipients, 1);
    if (o->prdr && !o->lmtp)
        text_add(s->out, SPAN("\r\n250-PRDR"));
    text_add(s->out, SPAN("\r\n250-PIPELINING\r\n250-8BITMIME"));
    if (o->smtputf8)
        text_add(s->out, SPAN("\r\n250-SMTPUTF8"));
    text_add(s->out, SPAN("\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n"));
    return SMTP_NEXT_LINE;
}

static enum smtp_want say_hello(struct smtp_session *s)
{
    return s->esmtp ? say_ehlo(s) : smtp_say(s, SMTP_REPLY_HELLO, s->options->hostname);
}

static enum smtp_want ask_or_say_hello(struct smtp_session *s)
{
    return s->options->decide_at & SMTP_ABOUT_GREETING ? smtp_ask(s, SMTP_ABOUT_GREETING)
                                                       : say_hello(s);
}

static enum smtp_want do_helo(struct smtp_session *s, struct span argument)
{
    if (!greet(s, argument, false))
        return smtp_say(s, SMTP_REPLY_BAD_NAME, SPAN("HELO"));
    return ask_or_say_hello(s);
}

static enum smtp_want do_ehlo(struct smtp_session *s, struct span argument)
{
    if (!greet(s, argument, true))
        return smtp_say(s, SMTP_REPLY_BAD_NAME, s->options->lmtp ? SPAN("LHLO") : SPAN("EHLO"));
    return ask_or_say_hello(s);
}

static enum smtp_want refuse_mail(struct smtp_session *s, enum smtp_reply_id why)
{
    smtp_forget_transaction(s);
    return smtp_say(s, why, SPAN(""));
}

static enum smtp_want begin_transaction(struct smtp_session *s)
{
    s->phase = SMTP_MAIL;
    return smtp_say(s, SMTP_REPLY_SENDER_OK, s->transaction.reverse_path.address);
}

static enum smtp_want do_mail(struct smtp_session *s, struct span argument)
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
    reply = smtp_parameters(s, "MAIL", argument);
    if (reply != SMTP_REPLY_OK)
        return refuse_mail(s, reply);
    /* RFC 6531 3.5: a mailbox outside ASCII needs the parameter. */
    if (t->reverse_path.utf8 && !t->smtputf8)
        return refuse_mail(s, SMTP_REPLY_SENDER_NEEDS_UTF8);
    if (++s->transactions > s->options->max_transactions)
        return smtp_say(s, SMTP_REPLY_TOO_MANY_TRANSACTIONS, s->options->hostname);
    return s->options->decide_at & SMTP_ABOUT_SENDER ? smtp_ask(s, SMTP_ABOUT_SENDER)
                                                     : begin_transaction(s);
}

static enum smtp_want refuse_rcpt(struct smtp_session *s, enum smtp_reply_id why)
{
    s->transaction.arena->used = s->mark;
    s->candidate = NULL;
    return smtp_say(s, why, SPAN(""));
}

static enum smtp_want do_rcpt(struct smtp_session *s, struct span argument)
{
    struct smtp_transaction *t = &s->transaction;
    struct smtp_recipient *r;
    enum smtp_reply_id reply;

    t->attempts++;
    s->mark = t->arena->used;
    /* RFC 5321 4.5.3.1.10: 452 where 552 was once; those before are kept. */
    if (t->recipients >= s->options->max_recipients)
        return smtp_say(s, SMTP_REPLY_TOO_MANY_RECIPIENTS, SPAN(""));
    if (t->recipients > 0 && one_at_a_time(s))
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
    reply = smtp_parameters(s, "RCPT", argument);
    if (reply != SMTP_REPLY_OK)
        return refuse_rcpt(s, reply);
    if (r->mailbox.utf8 && !t->smtputf8)
        return refuse_rcpt(s, SMTP_REPLY_RECIPIENT_NEEDS_UTF8);
    s->candidate = r;
    return smtp_ask(s, SMTP_ABOUT_RECIPIENT);
}

static enum smtp_want start_data(struct smtp_session *s)
{
    smtp_say(s, SMTP_REPLY_START_DATA, SPAN(""));
    return SMTP_NEXT_DATA;
}

static enum smtp_want do_data(struct smtp_session *s, struct span argument)
{
    (void)argument;
    return s->options->decide_at & SMTP_ABOUT_DATA ? smtp_ask(s, SMTP_ABOUT_DATA) : start_data(s);
}

enum smtp_want smtp_go_on(struct smtp_session *s)
{
    switch (s->about) {
    case SMTP_ABOUT_GREETING:
        return say_hello(s);
    case SMTP_ABOUT_SENDER:
        return begin_transaction(s);
    default:
        return start_data(s);
    }
}

static enum smtp_want do_rset(struct smtp_session *s, struct span argument)
{
    (void)argument;
    smtp_forget_transaction(s);
    return smtp_say(s, SMTP_REPLY_OK, SPAN(""));
}

static enum smtp_want do_noop(struct smtp_session *s, struct span argument)
{
    (void)argument;
    return smtp_say(s, SMTP_REPLY_OK, SPAN(""));
}

/* String (RFC 5321 4.1.1.6), taken as a mailbox, in angle brackets or not; a user name alone is one
 * of our own domain's. */
static struct smtp_recipient *read_user(struct smtp_session *s, struct span argument)
{
    const struct smtp_tolerance tolerance = {.kinds = SMTP_TOLERATE_UNQUALIFIED,
                                             .domain = s->options->tolerate.domain};
    struct arena *a = s->transaction.arena;
    struct smtp_recipient *r = arena_get(a, sizeof *r);

    if (r == NULL)
        return NULL;
    *r = (struct smtp_recipient){0};
    argument = span_trim(argument);
    if (smtp_forward_path(&argument, a, &r->mailbox, &tolerance) != SMTP_PATH_OK || argument.n > 0)
        return NULL;
    /* RFC 6531 3.7.4.2: a reply in UTF-8 needs a parameter, which VRFY does not take here. */
    return r->mailbox.utf8 ? NULL : r;
}

static enum smtp_want do_vrfy(struct smtp_session *s, struct span argument)
{
    s->mark = s->transaction.arena->used;
    if (s->options->vrfy)
        s->candidate = read_user(s, argument);
    /* RFC 5321 3.5.3, 7.3: 252 tells nobody who exists */
    if (s->candidate != NULL)
        return smtp_ask(s, SMTP_ABOUT_USER);
    s->transaction.arena->used = s->mark;
    return smtp_say(s, SMTP_REPLY_VRFY, SPAN(""));
}

static enum smtp_want do_expn(struct smtp_session *s, struct span argument)
{
    (void)argument;
    return smtp_say(s, SMTP_REPLY_NO_EXPN, SPAN(""));
}

static enum smtp_want do_quit(struct smtp_session *s, struct span argument)
{
    (void)argument;
    smtp_forget_transaction(s);
    return smtp_say(s, SMTP_REPLY_BYE, s->options->hostname);
}

static enum smtp_want do_help(struct smtp_session *s, struct span argument);

#define NAME(literal)                                                                              \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

static const struct verb verbs[] = {
    {.name = NAME("EHLO"),
     .syntax = NAME("EHLO hostname"),
     .argument = ARGUMENT_NEEDED,
     .phases = ANY_PHASE,
     .in = IN_SMTP,
     .recorded = true,
     .run = do_ehlo},
    {.name = NAME("LHLO"),
     .syntax = NAME("LHLO hostname"),
     .argument = ARGUMENT_NEEDED,
     .phases = ANY_PHASE,
     .in = IN_LMTP,
     .recorded = true,
     .run = do_ehlo},
    {.name = NAME("HELO"),
     .syntax = NAME("HELO hostname"),
     .argument = ARGUMENT_NEEDED,
     .phases = ANY_PHASE,
     .in = IN_SMTP,
     .recorded = true,
     .run = do_helo},
    {.name = NAME("MAIL"),
     .syntax = NAME("MAIL FROM:<address> [parameters]"),
     .argument = ARGUMENT_FROM,
     .phases = SMTP_CONNECTED | SMTP_GREETED,
     .misplaced = SMTP_REPLY_MAIL_TWICE,
     .may_need_helo = true,
     .recorded = true,
     .run = do_mail},
    {.name = NAME("RCPT"),
     .syntax = NAME("RCPT TO:<address> [parameters]"),
     .argument = ARGUMENT_TO,
     .phases = SMTP_MAIL | SMTP_RCPT,
     .misplaced = SMTP_REPLY_MAIL_FIRST,
     .may_need_helo = true,
     .recorded = true,
     .run = do_rcpt},
    {.name = NAME("DATA"),
     .syntax = NAME("DATA"),
     .phases = SMTP_RCPT,
     .misplaced = SMTP_REPLY_MAIL_FIRST,
     .may_need_helo = true,
     .recorded = true,
     .run = do_data},
    {.name = NAME("RSET"),
     .syntax = NAME("RSET"),
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_rset},
    {.name = NAME("NOOP"),
     .syntax = NAME("NOOP [text]"),
     .argument = ARGUMENT_ANY,
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_noop},
    {.name = NAME("VRFY"),
     .syntax = NAME("VRFY user"),
     .argument = ARGUMENT_NEEDED,
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_vrfy},
    {.name = NAME("EXPN"),
     .syntax = NAME("EXPN list"),
     .argument = ARGUMENT_ANY,
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_expn},
    {.name = NAME("HELP"),
     .syntax = NAME("HELP [command]"),
     .argument = ARGUMENT_ANY,
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_help},
    {.name = NAME("QUIT"),
     .syntax = NAME("QUIT"),
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_quit},
};

enum { VERBS = sizeof verbs / sizeof *verbs };

static bool is_spoken(const struct smtp_session *s, const struct verb *v)
{
    return v->in == IN_BOTH || (v->in == IN_LMTP) == s->options->lmtp;
}

enum { LETTERS = 4 }; /* no verb is shorter */

/* The first letters as one number, in upper case: a letter of either case is itself but for one
 * bit, and no other octet is. */
static uint32_t letters_of(const char *p)
{
    uint32_t letters;

    memcpy(&letters, p, LETTERS);
    return letters & ~(uint32_t)0x20202020;
}

static const struct verb *find_verb(const struct smtp_session *s, struct span name)
{
    const uint32_t letters = name.n < LETTERS ? 0 : letters_of(name.p);

    for (const struct verb *v = verbs; letters != 0 && v < verbs + VERBS; v++)
        if (letters_of(v->name.p) == letters && v->name.n == name.n && is_spoken(s, v) &&
            (name.n == LETTERS || span_eq_nocase(v->name, name)))
            return v;
    return NULL;
}

bool smtp_verb_may_be_recorded(struct span name)
{
    for (const struct verb *v = verbs; v < verbs + VERBS; v++)
        if (span_eq_nocase(v->name, name))
            return v->recorded;
    return false;
}

static enum smtp_want do_help(struct smtp_session *s, struct span argument)
{
    const struct verb *v = find_verb(s, argument);
    char room[SMTP_REPLY_LINE_MAX];
    struct text line = TEXT(room);

    if (v != NULL)
        return smtp_say(s, SMTP_REPLY_HELP, v->syntax);
    smtp_reply_line(s->out, smtp_reply(SMTP_REPLY_HELP), false, s->esmtp,
                    SPAN("smtpin takes these commands; HELP with one of them shows its syntax"));
    for (size_t i = 0; i < VERBS; i++) {
        if (!is_spoken(s, &verbs[i]))
            continue;
        if (line.n > 0)
            text_addc(&line, ' ');
        text_add(&line, verbs[i].name);
    }
    smtp_reply_line(s->out, smtp_reply(SMTP_REPLY_HELP), true, s->esmtp, text_span(&line));
    return SMTP_NEXT_LINE;
}

/* Talk of another protocol: an HTTP request that a web page or a forged link sends to our port, or
 * a TLS record. Whatever follows is not SMTP either, so the first such line ends the session. */
static bool is_foreign(struct span line)
{
    static const char *const methods[] = {"GET ",    "POST ",      "PUT ",     "HEAD ",
                                          "DELETE ", "OPTIONS ",   "CONNECT ", "PATCH ",
                                          "TRACE ",  "PRI * HTTP/"};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (span_starts_nocase(line, span_of(methods[i])))
            return true;
    return line.n >= 2 && line.p[0] == 0x16 && line.p[1] == 0x03;
}

/* Is the argument what the verb takes? On yes, *argument is what its function gets. */
static bool fits(const struct verb *v, struct span *argument, uint64_t kinds)
{
    const struct span label = v->argument == ARGUMENT_FROM ? SPAN("FROM:") : SPAN("TO:");

    switch (v->argument) {
    case ARGUMENT_NONE:
        return argument->n == 0;
    case ARGUMENT_ANY:
        return true;
    case ARGUMENT_NEEDED:
        return argument->n > 0;
    default:
        /* RFC 5321 3.3: no spaces on either side of the colon. */
        if (!span_starts_nocase(*argument, label))
            return false;
        *argument = span_from(*argument, label.n);
        while (kinds & SMTP_TOLERATE_BLANK && argument->n > 0 && argument->p[0] == ' ')
            *argument = span_from(*argument, 1);
        return true;
    }
}

static enum smtp_reply_id out_of_order(const struct smtp_session *s, const struct verb *v)
{
    /* Only DATA is misplaced after MAIL alone. RFC 5321 3.3: 503, or 554 when every RCPT was
     * refused;
     * LMTP knows 503 alone (RFC 2033 4.2). */
    if (s->phase == SMTP_MAIL && !(v->phases & SMTP_MAIL) && v->phases & SMTP_RCPT)
        return s->transaction.attempts > 0 && !s->options->lmtp ? SMTP_REPLY_NO_VALID_RECIPIENTS
                                                                : SMTP_REPLY_RCPT_FIRST;
    return v->misplaced;
}

enum smtp_want smtp_dispatch(struct smtp_session *s, struct span line)
{
    struct span command = line, name, argument;
    const struct verb *v;

    /* RFC 5321 4.1.1: white space before the CRLF is tolerated, nowhere else. */
    while (command.n > 0 && byte_is_blank(command.p[command.n - 1]))
        command.n--;
    name = span_first(command, span_find(command, ' '));
    argument = span_from(command, name.n + 1);
    v = find_verb(s, name);
    if (v == NULL && is_foreign(line))
        return smtp_say(s, SMTP_REPLY_FOREIGN, s->options->hostname);
    if (span_has_control_but_tab(line))
        return smtp_say(s, v == NULL ? SMTP_REPLY_BAD_BYTES : SMTP_REPLY_BAD_BYTES_ARGUMENT,
                        SPAN(""));
    if (v == NULL)
        return smtp_say(s, SMTP_REPLY_UNKNOWN_COMMAND, SPAN(""));
    if (!fits(v, &argument, s->options->tolerate.kinds))
        return smtp_say(
            s, v->argument == ARGUMENT_NONE ? SMTP_REPLY_NO_ARGUMENT : SMTP_REPLY_WANTS_ARGUMENT,
            v->argument == ARGUMENT_NONE ? v->name : v->syntax);
    if (v->may_need_helo && s->options->helo_required && s->phase == SMTP_CONNECTED)
        return smtp_say(s, SMTP_REPLY_HELLO_FIRST, SPAN(""));
    if (!(v->phases & s->phase))
        return smtp_say(s, out_of_order(s, v), SPAN(""));
    return v->run(s, argument);
}
