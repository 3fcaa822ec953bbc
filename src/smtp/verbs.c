#include "smtp/verbs.h"

#include "smtp/chunk.h"
#include "smtp/envelope.h"
#include "smtp/hello.h"
#include "smtp/line.h"
#include "smtp/login.h"
#include "smtp/xclient.h"

#include <string.h>

enum argument {
    ARGUMENT_NONE,
    ARGUMENT_ANY,
    ARGUMENT_NEEDED,
    ARGUMENT_FROM, /* "FROM:" and a Reverse-path */
    ARGUMENT_TO,   /* "TO:" and a Forward-path */
};

/* Where a command may stand among those that a client sends without waiting for replies. */
enum place {
    PLACE_ANYWHERE, /* of those that EHLO has allowed (RFC 2920 3.1) */
    PLACE_LAST,     /* its reply may change what the client goes on with (RFC 2920 3.1) */
    /* What stands behind it is read as no command, or has a rule of its own. One chunk may stand
     * behind another (RFC 3030 4.2). */
    PLACE_FREE,
};

struct verb {
    struct tag name;
    struct span syntax; /* for HELP and for 501 */
    enum argument argument;
    unsigned phases;              /* where it is legal */
    enum smtp_reply_id misplaced; /* the reply elsewhere */
    enum place place;
    bool may_need_helo;
    bool before_tls;   /* legal where TLS is required and not there yet (RFC 3207 4) */
    bool before_login; /* legal where a login is required (RFC 4954 6) */
    bool recorded;     /* its command holds no secret: `trace` writes it down */
    bool has_octets;   /* behind its line, which must not be taken for commands (chunk.h) */
    enum { IN_BOTH, IN_SMTP, IN_LMTP, WITH_TLS, WITH_LOGINS, WITH_XCLIENT } in;
    enum smtp_want (*run)(struct smtp_session *s, struct span argument);
};

enum { ANY_PHASE = SMTP_CONNECTED | SMTP_GREETED | SMTP_MAIL | SMTP_RCPT | SMTP_CHUNKS };

static enum smtp_want start_data(struct smtp_session *s)
{
    smtp_say(s, SMTP_REPLY_START_DATA, SPAN(""));
    return SMTP_NEXT_DATA;
}

static enum smtp_want do_data(struct smtp_session *s, struct span argument)
{
    (void)argument;
    if (s->transaction.body == SMTP_BODY_BINARYMIME) /* RFC 3030 3 */
        return smtp_say(s, SMTP_REPLY_BDAT_FIRST, SPAN(""));
    return s->options->decide_at & SMTP_ABOUT_DATA ? smtp_ask(s, SMTP_ABOUT_DATA) : start_data(s);
}

enum smtp_want smtp_go_on(struct smtp_session *s)
{
    switch (s->about) {
    case SMTP_ABOUT_GREETING:
        return smtp_say_hello(s);
    case SMTP_ABOUT_SENDER:
        return smtp_begin_transaction(s);
    default:
        return s->chunk.comes ? smtp_begin_chunks(s) : start_data(s);
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
    return r->mailbox.utf8 && !s->options->smtputf8 ? NULL : r;
}

/* [ SP "SMTPUTF8" ] behind the string of VRFY and EXPN (RFC 6531 3.7.4.2); it has no value. Takes
 * it off the argument. */
static enum smtp_reply_id take_smtputf8(struct smtp_session *s, struct span *argument)
{
    const struct span name = SPAN("SMTPUTF8");
    size_t at = argument->n;
    struct span word;

    s->utf8_reply = false;
    while (at > 0 && argument->p[at - 1] != ' ')
        at--;
    word = span_from(*argument, at);
    if (at == 0 || !span_eq_nocase(span_first(word, span_find(word, '=')), name))
        return SMTP_REPLY_OK;
    if (!s->options->smtputf8)
        return SMTP_REPLY_NO_SUCH_PARAMETER;
    if (word.n > name.n)
        return SMTP_REPLY_BAD_PARAMETERS;
    s->utf8_reply = true;
    *argument = span_first(*argument, at - 1);
    return SMTP_REPLY_OK;
}

static enum smtp_want do_vrfy(struct smtp_session *s, struct span argument)
{
    const enum smtp_reply_id reply = take_smtputf8(s, &argument);

    if (reply != SMTP_REPLY_OK)
        return smtp_say(s, reply, SPAN(""));
    s->mark = s->transaction.arena->used;
    /* Nobody is asked while a message is half there. */
    if (s->options->vrfy && s->phase != SMTP_CHUNKS)
        s->candidate = read_user(s, argument);
    /* RFC 5321 3.5.3, 7.3: 252 tells nobody who exists */
    if (s->candidate != NULL)
        return smtp_ask(s, SMTP_ABOUT_USER);
    s->transaction.arena->used = s->mark;
    return smtp_say(s, SMTP_REPLY_VRFY, SPAN(""));
}

static enum smtp_want do_expn(struct smtp_session *s, struct span argument)
{
    const enum smtp_reply_id reply = take_smtputf8(s, &argument);

    return smtp_say(s, reply == SMTP_REPLY_OK ? SMTP_REPLY_NO_EXPN : reply, SPAN(""));
}

static enum smtp_want do_starttls(struct smtp_session *s, struct span argument)
{
    (void)argument;
    if (s->secure)
        return smtp_say(s, SMTP_REPLY_TLS_TWICE, SPAN(""));
    return s->tls_unavailable ? smtp_say(s, SMTP_REPLY_TLS_UNAVAILABLE, SPAN("")) : SMTP_NEXT_TLS;
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

/* A command is looked for from the top. */
static const struct verb verbs[] = {
    {.name = TAG("EHLO"),
     .syntax = NAME("EHLO hostname"),
     .argument = ARGUMENT_NEEDED,
     .place = PLACE_LAST,
     .phases = ANY_PHASE,
     .in = IN_SMTP,
     .before_tls = true,
     .before_login = true,
     .recorded = true,
     .run = smtp_ehlo},
    {.name = TAG("HELO"),
     .syntax = NAME("HELO hostname"),
     .argument = ARGUMENT_NEEDED,
     .place = PLACE_LAST,
     .phases = ANY_PHASE,
     .in = IN_SMTP,
     .before_login = true,
     .recorded = true,
     .run = smtp_helo},
    {.name = TAG("MAIL"),
     .syntax = NAME("MAIL FROM:<address> [parameters]"),
     .argument = ARGUMENT_FROM,
     .phases = SMTP_CONNECTED | SMTP_GREETED,
     .misplaced = SMTP_REPLY_MAIL_TWICE,
     .may_need_helo = true,
     .recorded = true,
     .run = smtp_mail},
    {.name = TAG("RCPT"),
     .syntax = NAME("RCPT TO:<address> [parameters]"),
     .argument = ARGUMENT_TO,
     .phases = SMTP_MAIL | SMTP_RCPT,
     .misplaced = SMTP_REPLY_MAIL_FIRST,
     .may_need_helo = true,
     .recorded = true,
     .run = smtp_rcpt},
    {.name = TAG("DATA"),
     .syntax = NAME("DATA"),
     .place = PLACE_LAST,
     .phases = SMTP_RCPT,
     .misplaced = SMTP_REPLY_MAIL_FIRST,
     .may_need_helo = true,
     .recorded = true,
     .run = do_data},
    {.name = TAG("RSET"),
     .syntax = NAME("RSET"),
     .phases = ANY_PHASE,
     .before_login = true,
     .recorded = true,
     .run = do_rset},
    {.name = TAG("NOOP"),
     .syntax = NAME("NOOP [text]"),
     .argument = ARGUMENT_ANY,
     .place = PLACE_LAST,
     .phases = ANY_PHASE,
     .before_tls = true,
     .before_login = true,
     .recorded = true,
     .run = do_noop},
    {.name = TAG("VRFY"),
     .syntax = NAME("VRFY user [SMTPUTF8]"),
     .argument = ARGUMENT_NEEDED,
     .place = PLACE_LAST,
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_vrfy},
    {.name = TAG("EXPN"),
     .syntax = NAME("EXPN list [SMTPUTF8]"),
     .argument = ARGUMENT_ANY,
     .place = PLACE_LAST,
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_expn},
    {.name = TAG("HELP"),
     .syntax = NAME("HELP [command]"),
     .argument = ARGUMENT_ANY,
     .phases = ANY_PHASE,
     .recorded = true,
     .run = do_help},
    {.name = TAG("QUIT"),
     .syntax = NAME("QUIT"),
     .place = PLACE_FREE,
     .phases = ANY_PHASE,
     .before_tls = true,
     .before_login = true,
     .recorded = true,
     .run = do_quit},
    {.name = TAG("STARTTLS"),
     .syntax = NAME("STARTTLS"),
     .place = PLACE_FREE,
     .phases = SMTP_CONNECTED | SMTP_GREETED,
     .misplaced = SMTP_REPLY_IN_TRANSACTION,
     .may_need_helo = true,
     .before_tls = true,
     .before_login = true,
     .in = WITH_TLS,
     .recorded = true,
     .run = do_starttls},
    {.name = TAG("AUTH"),
     .syntax = NAME("AUTH mechanism [initial-response]"),
     .argument = ARGUMENT_NEEDED,
     .place = PLACE_LAST,
     .phases = SMTP_CONNECTED | SMTP_GREETED,
     .misplaced = SMTP_REPLY_IN_TRANSACTION,
     .before_login = true,
     .in = WITH_LOGINS,
     .run = smtp_begin_login},
    {.name = TAG("LHLO"),
     .syntax = NAME("LHLO hostname"),
     .argument = ARGUMENT_NEEDED,
     .place = PLACE_LAST,
     .phases = ANY_PHASE,
     .in = IN_LMTP,
     .before_tls = true,
     .before_login = true,
     .recorded = true,
     .run = smtp_ehlo},
    {.name = TAG("BDAT"),
     .syntax = NAME("BDAT octets [LAST]"),
     .argument = ARGUMENT_NEEDED,
     .place = PLACE_FREE,
     .phases = SMTP_RCPT | SMTP_CHUNKS,
     .misplaced = SMTP_REPLY_MAIL_FIRST,
     .may_need_helo = true,
     .recorded = true,
     .has_octets = true,
     .run = smtp_bdat},
    {.name = TAG("XCLIENT"),
     .syntax = NAME("XCLIENT attribute=value [attribute=value...]"),
     .argument = ARGUMENT_NEEDED,
     .place = PLACE_FREE,
     .phases = SMTP_CONNECTED | SMTP_GREETED,
     .misplaced = SMTP_REPLY_IN_TRANSACTION,
     .in = WITH_XCLIENT,
     .before_tls = true,
     .before_login = true,
     .recorded = true,
     .run = smtp_xclient},
};

enum { VERBS = sizeof verbs / sizeof *verbs };

static bool is_spoken(const struct smtp_session *s, const struct verb *v)
{
    switch (v->in) {
    case IN_BOTH:
        return true;
    case WITH_TLS:
        return s->options->tls != SMTP_TLS_OFF;
    case WITH_LOGINS:
        return s->options->auth;
    case WITH_XCLIENT:
        return s->xclient != NULL;
    default:
        return (v->in == IN_LMTP) == s->options->lmtp;
    }
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
            (name.n == LETTERS || span_eq_nocase(tag_span(&v->name), name)))
            return v;
    return NULL;
}

bool smtp_verb_may_be_recorded(struct span name)
{
    for (const struct verb *v = verbs; v < verbs + VERBS; v++)
        if (span_eq_nocase(tag_span(&v->name), name))
            return v->recorded;
    return false;
}

/* All of them fit into one step: a unit test looks. */
static enum smtp_want do_help(struct smtp_session *s, struct span argument)
{
    const struct verb *v = find_verb(s, argument);

    if (v != NULL)
        return smtp_say(s, SMTP_REPLY_HELP, v->syntax);
    for (v = verbs; v < verbs + VERBS; v++)
        if (is_spoken(s, v))
            smtp_reply_line(s->out, smtp_reply(SMTP_REPLY_HELP), false, s->esmtp, v->syntax);
    return smtp_say(s, SMTP_REPLY_HELP, SPAN("HELP with a command shows this one alone"));
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
    if (s->phase == SMTP_CHUNKS && v->misplaced == SMTP_REPLY_MAIL_FIRST)
        return SMTP_REPLY_IN_CHUNKS;
    /* Only DATA and BDAT are misplaced after MAIL alone. RFC 5321 3.3: 503, or 554 when every RCPT
     * was refused; LMTP knows 503 alone (RFC 2033 4.2). */
    if (s->phase == SMTP_MAIL && !(v->phases & SMTP_MAIL) && v->phases & SMTP_RCPT)
        return s->transaction.attempts > 0 && !s->options->lmtp ? SMTP_REPLY_NO_VALID_RECIPIENTS
                                                                : SMTP_REPLY_RCPT_FIRST;
    return v->misplaced;
}

/* Commands of RFC 821, of other extensions, and of Postfix's, which smtpin does not have: RFC 5321
 * 4.2.4 has 502 for what is recognized, and 500 for the rest. EHLO announces none of them. */
static struct span not_implemented(struct span name)
{
    struct span left = SPAN("SEND SOML SAML TURN ETRN ATRN XCLIENT XFORWARD"), word;

    while (span_word(&left, " ", &word))
        if (span_eq_nocase(word, name))
            return word;
    return (struct span){0};
}

/* Apart from the usual way of a command. */
__attribute__((noinline)) static enum smtp_want not_a_verb(struct smtp_session *s, struct span name,
                                                           struct span line)
{
    const struct span known = not_implemented(name);

    if (smtp_line_is_foreign(line))
        return smtp_say(s, SMTP_REPLY_FOREIGN, s->options->hostname);
    /* "BDAT" and a tab: whoever takes that for the verb sends octets behind it. */
    if (span_starts_nocase(line, SPAN("BDAT")) && line.n > 4 && !byte_is_alpha(line.p[4]) &&
        !byte_is_digit(line.p[4]))
        return smtp_bad_chunk(s);
    if (s->turned_away)
        return smtp_say(s, SMTP_REPLY_TURNED_AWAY, SPAN(""));
    if (s->followed && !s->esmtp)
        return smtp_say(s, SMTP_REPLY_PIPELINED, SPAN(""));
    if (span_has_control_but_tab(line))
        return smtp_say(s, SMTP_REPLY_BAD_BYTES, SPAN(""));
    if (known.n > 0)
        return smtp_say(s, SMTP_REPLY_NOT_IMPLEMENTED, known);
    return smtp_say(s, SMTP_REPLY_UNKNOWN_COMMAND, SPAN(""));
}

/* May the client have sent more behind the command, without waiting for its reply? Not before EHLO
 * has said that it may at all, and not behind HELO. */
static bool may_be_followed(const struct smtp_session *s, const struct verb *v)
{
    return v->place == PLACE_FREE || (v->place == PLACE_ANYWHERE && s->esmtp);
}

/* The octets behind the line are read in any case. Apart from the usual way of a command. */
__attribute__((noinline)) static enum smtp_want refuse(struct smtp_session *s, const struct verb *v,
                                                       enum smtp_reply_id why, struct span about)
{
    return v->has_octets ? smtp_misplaced_chunk(s, why, about) : smtp_say(s, why, about);
}

enum smtp_want smtp_dispatch(struct smtp_session *s, struct span line)
{
    const struct span nothing = SPAN("");
    struct span command = line, name, argument;
    const struct verb *v;

    /* RFC 5321 4.1.1: white space before the CRLF is tolerated, nowhere else. */
    while (command.n > 0 && byte_is_blank(command.p[command.n - 1]))
        command.n--;
    name = span_first(command, span_find(command, ' '));
    argument = span_from(command, name.n + 1);
    v = find_verb(s, name);
    if (v == NULL)
        return not_a_verb(s, name, line);
    if (v->has_octets && !smtp_read_chunk(s, argument))
        return SMTP_NEXT_CLOSE;
    if (s->turned_away && v->run != do_quit)
        return refuse(s, v, SMTP_REPLY_TURNED_AWAY, nothing);
    if (s->followed && !may_be_followed(s, v))
        return refuse(s, v, SMTP_REPLY_PIPELINED, nothing);
    if (span_has_control_but_tab(line))
        return refuse(s, v, SMTP_REPLY_BAD_BYTES_ARGUMENT, nothing);
    if (!fits(v, &argument, s->options->tolerate.kinds))
        return refuse(
            s, v, v->argument == ARGUMENT_NONE ? SMTP_REPLY_NO_ARGUMENT : SMTP_REPLY_WANTS_ARGUMENT,
            v->argument == ARGUMENT_NONE ? tag_span(&v->name) : v->syntax);
    if (s->options->tls == SMTP_TLS_REQUIRED && !s->secure && !v->before_tls)
        return refuse(s, v, SMTP_REPLY_TLS_FIRST, nothing);
    if (s->options->auth_required && !s->authenticated && !v->before_login)
        return refuse(s, v, SMTP_REPLY_LOGIN_FIRST, nothing);
    if (v->may_need_helo && s->options->helo_required && s->phase == SMTP_CONNECTED)
        return refuse(s, v, SMTP_REPLY_HELLO_FIRST, nothing);
    if (!(v->phases & s->phase))
        return refuse(s, v, out_of_order(s, v), nothing);
    return v->run(s, argument);
}
