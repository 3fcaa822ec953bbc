/* The table of verbs and phases, and the table of replies. */
#include "smtp/session.h"
#include "unit.h"

static const struct smtp_options options = {
    .hostname = {.p = "mx.example.org", .n = 14},
    .max_message_size = 1000000,
    .max_recipients = 100,
    .max_errors = 1000,
    .smtputf8 = true,
    .max_refused_recipients = 1000,
    .max_commands = 1000,
    .max_transactions = 1000,
    .max_received = 100,
    .max_text_line = 65536,
    .chunking = true,
    .max_discarded_size = 1000,
};

struct fixture {
    struct smtp_session s;
    struct text out;
    struct arena arena;
    char out_room[1 << 16], arena_room[1 << 16];
    enum smtp_want want;
};

static void open_session(struct fixture *f, const struct smtp_options *o)
{
    f->out = TEXT(f->out_room);
    f->arena = (struct arena){.base = f->arena_room, .cap = sizeof f->arena_room};
    f->want = smtp_session_open(&f->s, o, &f->out, &f->arena, true);
}

/* Says one line; recipients are accepted. Returns the reply's code. */
static unsigned say(struct fixture *f, const char *line)
{
    const struct smtp_verdict accept = {.opinion = SMTP_ACCEPT};
    struct smtp_data data;

    f->out.n = 0;
    f->want = smtp_session_line(&f->s, guarded(line, strlen(line)));
    if (f->want == SMTP_NEXT_DECISION)
        f->want = smtp_session_decided(&f->s, &accept);
    if (f->want == SMTP_NEXT_CHUNK) {
        smtp_session_decoder(&f->s, &data);
        f->want = smtp_session_chunk(&f->s, &data);
    }
    cr_assert_geq(f->out.n, 5);
    return (unsigned)(f->out.p[0] - '0') * 100 + (unsigned)(f->out.p[1] - '0') * 10 +
           (unsigned)(f->out.p[2] - '0');
}

static void go_to(struct fixture *f, enum smtp_phase phase)
{
    if (phase >= SMTP_GREETED)
        say(f, "EHLO client.example");
    if (phase >= SMTP_MAIL)
        say(f, "MAIL FROM:<a@example.com>");
    if (phase >= SMTP_RCPT)
        say(f, "RCPT TO:<b@example.org>");
    if (phase == SMTP_CHUNKS)
        say(f, "BDAT 1");
    cr_assert_eq(f->s.phase, phase);
}

/* What each verb says in each phase, and which phase follows: written down, not computed. */
static const struct {
    const char *line;
    unsigned code[5];
    enum smtp_phase after[5];
} table[] = {
#define ALL(x)                                                                                     \
    {                                                                                              \
        x, x, x, x, x                                                                              \
    }
#define STAYS                                                                                      \
    {                                                                                              \
        SMTP_CONNECTED, SMTP_GREETED, SMTP_MAIL, SMTP_RCPT, SMTP_CHUNKS                            \
    }
#define FORGETS                                                                                    \
    {                                                                                              \
        SMTP_CONNECTED, SMTP_GREETED, SMTP_GREETED, SMTP_GREETED, SMTP_GREETED                     \
    }
    {"EHLO x.example", ALL(250), ALL(SMTP_GREETED)},
    {"HELO x.example", ALL(250), ALL(SMTP_GREETED)},
    {"EHLO", ALL(501), STAYS},
    {"HELO bad name", ALL(501), STAYS},
    {"MAIL FROM:<>",
     {250, 250, 503, 503, 503},
     {SMTP_MAIL, SMTP_MAIL, SMTP_MAIL, SMTP_RCPT, SMTP_CHUNKS}},
    {"MAIL FROM:x", {501, 501, 503, 503, 503}, STAYS},
    {"RCPT TO:<b@example.org>",
     {503, 503, 250, 250, 503},
     {SMTP_CONNECTED, SMTP_GREETED, SMTP_RCPT, SMTP_RCPT, SMTP_CHUNKS}},
    {"RCPT TO:<b>", {503, 503, 501, 501, 503}, STAYS},
    {"DATA", {503, 503, 503, 354, 503}, STAYS},
    {"RSET", ALL(250), FORGETS},
    {"NOOP", ALL(250), STAYS},
    {"VRFY x", ALL(252), STAYS},
    {"EXPN x", ALL(502), STAYS},
    {"ETRN x", ALL(502), STAYS},
    {"HELP", ALL(214), STAYS},
    {"QUIT", ALL(221), FORGETS},
    {"LHLO x.example", ALL(500), STAYS},
    {"STARTTLS", ALL(500), STAYS},
    {"AUTH PLAIN", ALL(500), STAYS},
    {"BDAT 1",
     {503, 503, 503, 250, 250},
     {SMTP_CONNECTED, SMTP_GREETED, SMTP_MAIL, SMTP_CHUNKS, SMTP_CHUNKS}},
    {"", ALL(500), STAYS},
};

Test(session, every_verb_in_every_phase)
{
    static struct fixture f;

    for (size_t i = 0; i < COUNT(table); i++)
        for (unsigned phase = 0; phase < 5; phase++) {
            open_session(&f, &options);
            go_to(&f, (enum smtp_phase)(1U << phase));
            cr_expect_eq(say(&f, table[i].line), table[i].code[phase], "%s in phase %u",
                         table[i].line, phase);
            cr_expect_eq(f.s.phase, table[i].after[phase], "%s in phase %u", table[i].line, phase);
            cr_expect_eq(f.want,
                         strcmp(table[i].line, "QUIT") == 0 ? SMTP_NEXT_CLOSE
                         : f.out.p[0] == '3'                ? SMTP_NEXT_DATA
                                                            : SMTP_NEXT_LINE,
                         "%s in phase %u", table[i].line, phase);
        }
}

/* RFC 5321 4.2.4. */
Test(session, commands_of_other_servers)
{
    static const char *const known[] = {"ETRN example.org",  "TURN",           "ATRN x",
                                        "SEND FROM:<a@b.c>", "SOML FROM:<>",   "saml from:<x@y>",
                                        "XCLIENT NAME=x",    "xforward NAME=x"};
    static const char *const unknown[] = {"ETRNX", "TUR", "TURN\x01", "XCLIENTS", "XEXCH50"};
    static struct fixture f;

    open_session(&f, &options);
    for (size_t i = 0; i < COUNT(known); i++) {
        cr_expect_eq(say(&f, known[i]), 502, "%s", known[i]);
        cr_expect_eq(f.s.errors, i + 1, "it counts for max_errors");
        cr_expect_str_eq(f.s.said.reply.rule, "unknown_command");
    }
    for (size_t i = 0; i < COUNT(unknown); i++)
        cr_expect_eq(say(&f, unknown[i]), 500, "%s", unknown[i]);
}

Test(session, helo_required)
{
    static struct fixture f;
    struct smtp_options o = options;

    o.helo_required = true;
    open_session(&f, &o);
    cr_expect_eq(say(&f, "MAIL FROM:<>"), 503);
    cr_expect_eq(say(&f, "RCPT TO:<b@example.org>"), 503);
    cr_expect_eq(say(&f, "DATA"), 503);
    cr_expect_eq(say(&f, "NOOP"), 250);
    cr_expect_eq(say(&f, "HELO x"), 250);
    cr_expect_eq(say(&f, "MAIL FROM:<>"), 250);
}

/* RFC 5321 4.2, 4.3.2, and the codes of the extensions. */
Test(session, every_reply_is_well_formed)
{
    static const unsigned codes[] = {214, 220, 221, 235, 250, 252, 353, 354, 421,
                                     450, 451, 452, 454, 500, 501, 502, 503, 504,
                                     530, 535, 538, 550, 552, 553, 554, 555};

    for (unsigned id = 0; id < SMTP_REPLY_COUNT; id++) {
        const struct smtp_reply *r = smtp_reply((enum smtp_reply_id)id);
        char room[1024];
        struct text out = TEXT(room);
        bool known = false;

        for (size_t i = 0; i < COUNT(codes); i++)
            known = known || codes[i] == r->code;
        cr_expect(known, "reply %u has code %u", id, r->code);
        cr_expect(r->text.n > 0, "reply %u has a text", id);
        if (r->enhanced.n > 0)
            cr_expect_eq(r->enhanced.p[0], (char)('0' + r->code / 100), "reply %u", id);
        cr_expect_eq(r->code >= 400, r->rule != NULL || r->code == 502,
                     "reply %u: refusals have a rule", id);
        cr_expect(r->code != 421 || r->close, "421 closes");
        cr_expect(r->code != 354 || r->enhanced.n == 0, "no enhanced code with 3yz");
        smtp_reply_line(&out, r, true, true, SPAN("arg\r\n250 forged"));
        cr_expect_eq(span_find(text_span(&out), '\n'), out.n - 1, "reply %u is one line", id);
        cr_expect_eq(span_find(text_span(&out), '\r'), out.n - 2, "reply %u is one line", id);
    }
}

Test(session, a_reply_line_is_never_too_long)
{
    static char longest[4000];
    char room[8192];
    struct text out = TEXT(room);

    memset(longest, 'x', sizeof longest);
    for (unsigned id = 0; id < SMTP_REPLY_COUNT; id++) {
        out.n = 0;
        smtp_reply_line(&out, smtp_reply((enum smtp_reply_id)id), false, true,
                        (struct span){.p = longest, .n = sizeof longest});
        cr_expect_leq(out.n, SMTP_REPLY_LINE_MAX);
        cr_expect_eq(memcmp(out.p + out.n - 2, "\r\n", 2), 0);
    }
}

Test(session, the_longest_replies_fit_in_one_step)
{
    static struct fixture f;
    static char line[SMTP_LINE_MAX], host[256];
    struct smtp_options o = options;
    int n;

    memset(host, 'h', 255);
    for (size_t i = 63; i < 255; i += 64)
        host[i] = '.';
    o.hostname = span_of(host);
    open_session(&f, &o);
    n = snprintf(line, sizeof line, "EHLO %s", host);
    cr_assert_gt(n, 0);
    cr_expect_eq(say(&f, line), 250);
    cr_expect_leq(f.out.n, SMTP_REPLY_MAX);
    /* HELP of all verbs that there can be at once. */
    o.tls = SMTP_TLS_MAY;
    o.auth = true;
    open_session(&f, &o);
    f.out.cap = SMTP_REPLY_MAX;
    cr_expect_eq(say(&f, "HELP"), 214);
    cr_expect(!f.out.cut && f.out.n > 8);
    f.out.p[f.out.n] = '\0';
    cr_expect_not_null(strstr(f.out.p, "\r\n214-BDAT octets [LAST]\r\n214 HELP with"));
}

Test(session, a_full_arena_refuses_the_recipient_and_keeps_the_others)
{
    static struct fixture f;
    unsigned code = 250;
    size_t accepted = 0;

    open_session(&f, &options);
    f.arena.cap = 4096;
    f.s.transaction.arena = &f.arena;
    go_to(&f, SMTP_MAIL);
    for (int i = 0; i < 90 && code == 250; i++) {
        code = say(&f, "RCPT TO:<somebody@example.org>");
        accepted += code == 250;
    }
    cr_expect_eq(code, 452);
    cr_expect_gt(accepted, 3);
    cr_expect_eq(f.s.transaction.recipients, accepted);
    cr_expect_eq(say(&f, "DATA"), 354);
}

Test(session, nothing_of_a_transaction_survives_a_reset)
{
    static const char *const resets[] = {"RSET", "EHLO again.example", "HELO again.example"};
    static struct fixture f;

    for (size_t i = 0; i < COUNT(resets); i++) {
        open_session(&f, &options);
        go_to(&f, SMTP_GREETED);
        say(&f, "MAIL FROM:<a@example.com> SIZE=100 BODY=8BITMIME SMTPUTF8");
        say(&f, "RCPT TO:<b@example.org>");
        cr_expect_eq(say(&f, resets[i]), 250);
        cr_expect_eq(f.s.transaction.recipients, 0);
        cr_expect_null(f.s.transaction.first);
        cr_expect_eq(f.s.transaction.declared_size, 0);
        cr_expect_eq(f.s.transaction.body, SMTP_BODY_7BIT);
        cr_expect_not(f.s.transaction.smtputf8);
        cr_expect_eq(f.s.transaction.reverse_path.address.n, 0);
        cr_expect_eq(f.arena.used, 0);
    }
}

static unsigned result_code(struct fixture *f, unsigned a, unsigned b)
{
    struct smtp_data data;

    open_session(f, &options);
    go_to(f, SMTP_RCPT);
    say(f, "RCPT TO:<c@example.org>");
    say(f, "DATA");
    smtp_session_decoder(&f->s, &data);
    data.ended = true;
    cr_assert_eq(smtp_session_collected(&f->s, &data), SMTP_NEXT_DELIVERY);
    f->s.transaction.first->result = (struct smtp_reply){.code = a, .text = SPAN("a")};
    f->s.transaction.last->result = (struct smtp_reply){.code = b, .text = SPAN("b")};
    f->out.n = 0;
    smtp_session_delivered(&f->s);
    return (unsigned)(f->out.p[0] - '0') * 100 + (unsigned)(f->out.p[1] - '0') * 10 +
           (unsigned)(f->out.p[2] - '0');
}

Test(session, one_reply_for_all_recipients)
{
    static struct fixture f;

    cr_expect_eq(result_code(&f, 250, 250), 250);
    cr_expect_eq(result_code(&f, 550, 554), 554);
    cr_expect_eq(result_code(&f, 451, 452), 452);
    cr_expect_eq(result_code(&f, 250, 550), 451, "some have it: the client must try again");
    cr_expect_eq(result_code(&f, 550, 250), 451);
    cr_expect_eq(result_code(&f, 250, 451), 451);
    cr_expect_eq(result_code(&f, 550, 451), 451, "never a bounce while one may still succeed");
}
