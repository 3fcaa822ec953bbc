/* The session against a model that is written here and not there: every kind of line in every phase
 * under every combination of flags. */
#include "smtp/session.h"
#include "unit.h"

enum phase { CONNECTED, GREETED, MAIL, MAIL_REFUSED, RCPT, CHUNKS, PHASES };

enum flag {
    LMTP = 1,
    SINGLE = 2,
    HELO_REQUIRED = 4,
    PRDR = 8,
    GREETED_BY_HELO = 16,
    TLS = 32,             /* it is offered, and without the next two, not there yet: */
    TLS_REQUIRED = 64,    /* there is no mail without it */
    SECURE = 128,         /* it is there */
    AUTH = 256,           /* clients can log in, and without the next two, have not: */
    AUTH_PLAINTEXT = 512, /* outside TLS too */
    AUTH_REQUIRED = 1024, /* there is no mail without it */
    LOGGED_IN = 2048,
    FLAGS = 4096
};

/* Where a line leads to. */
struct outcome {
    unsigned code;
    enum phase phase;
    bool closes, data, tls, login, chunk;
};

struct kind {
    const char *line;
    struct outcome (*model)(enum phase phase, unsigned flags);
    unsigned always;  /* where the model has none: the reply, and the phase stays as it is */
    bool only_secure; /* RFC 3207 4: where TLS is required and not there, 530 */
    bool only_login;  /* RFC 4954 6: where a login is required and nobody has logged in, 530 */
};

static struct outcome stay(unsigned code, enum phase phase)
{
    return (struct outcome){.code = code, .phase = phase};
}

/* RFC 5321 4.1.4: a greeting may come at any time, and resets. RFC 2033 4.1: LHLO alone. */
static struct outcome greeting(bool known, enum phase phase)
{
    return known ? stay(250, GREETED) : stay(500, phase);
}

static struct outcome ehlo(enum phase phase, unsigned flags)
{
    return greeting(!(flags & LMTP), phase);
}

static struct outcome lhlo(enum phase phase, unsigned flags)
{
    return greeting(flags & LMTP, phase);
}

static struct outcome bad_greeting(enum phase phase, unsigned flags)
{
    return stay(flags & LMTP ? 500 : 501, phase);
}

static bool must_greet(enum phase phase, unsigned flags)
{
    return phase == CONNECTED && flags & HELO_REQUIRED;
}

/* RFC 5321 3.3, 4.1.4: MAIL once, then RCPT, then DATA. */
static struct outcome mail(enum phase phase, unsigned flags)
{
    if (must_greet(phase, flags) || phase >= MAIL)
        return stay(503, phase);
    return stay(250, MAIL);
}

/* A MAIL that is refused leaves all as it was; where it does not belong, that comes first. */
static struct outcome mail_wrong(enum phase phase, unsigned flags, unsigned code)
{
    const struct outcome o = mail(phase, flags);

    return o.code == 250 ? stay(code, phase) : o;
}

static struct outcome mail_refused(enum phase phase, unsigned flags)
{
    return mail_wrong(phase, flags, 501);
}

static struct outcome mail_unknown(enum phase phase, unsigned flags)
{
    return mail_wrong(phase, flags, 555);
}

static struct outcome rcpt(enum phase phase, unsigned flags)
{
    if (phase < MAIL || phase == CHUNKS)
        return stay(503, phase);
    /* smtpin.conf(5), partial = single: one recipient a transaction, but in LMTP. */
    if (phase == RCPT && flags & SINGLE && !(flags & LMTP))
        return stay(452, RCPT);
    return stay(250, RCPT);
}

static struct outcome rcpt_bad(enum phase phase, unsigned flags)
{
    if (phase < MAIL || phase == CHUNKS)
        return stay(503, phase);
    if (phase == RCPT && flags & SINGLE && !(flags & LMTP))
        return stay(452, RCPT);
    return stay(501, phase == MAIL ? MAIL_REFUSED : phase);
}

/* RFC 5321 3.3: 503, or 554 where no recipient was taken; RFC 2033 4.2: 503. */
static struct outcome data(enum phase phase, unsigned flags)
{
    if (phase == RCPT)
        return (struct outcome){.code = 354, .phase = RCPT, .data = true};
    return stay(phase == MAIL_REFUSED && !(flags & LMTP) ? 554 : 503, phase);
}

/* RFC 3030 2: as DATA, or behind other chunks. Its octets come first, whatever the reply is. */
static struct outcome bdat(enum phase phase, unsigned flags)
{
    struct outcome o = phase == CHUNKS ? stay(250, CHUNKS) : data(phase, flags);

    o.code = o.data ? 250 : o.code;
    o.phase = o.code == 250 ? CHUNKS : phase;
    o.data = false;
    o.chunk = true;
    return o;
}

/* Where its octets end can't be known. */
static struct outcome bdat_wrong(enum phase phase, unsigned flags)
{
    (void)flags;
    return (struct outcome){.code = 501, .phase = phase, .closes = true};
}

static struct outcome rset(enum phase phase, unsigned flags)
{
    (void)flags;
    return stay(250, phase == CONNECTED ? CONNECTED : GREETED);
}

static struct outcome quit(enum phase phase, unsigned flags)
{
    (void)flags;
    return (struct outcome){.code = 221, .phase = phase, .closes = true};
}

/* RFC 3207 4: between transactions, and once. */
static struct outcome starttls(enum phase phase, unsigned flags)
{
    if (!(flags & TLS))
        return stay(500, phase);
    if (must_greet(phase, flags) || phase >= MAIL || flags & SECURE)
        return stay(503, phase);
    return (struct outcome){.phase = phase, .tls = true};
}

static struct outcome starttls_now(enum phase phase, unsigned flags)
{
    return stay(flags & TLS ? 501 : 500, phase);
}

/* RFC 8689 2: inside TLS alone. */
static struct outcome mail_requiretls(enum phase phase, unsigned flags)
{
    return flags & TLS && flags & SECURE ? mail(phase, flags) : mail_wrong(phase, flags, 555);
}

static bool can_log_in(unsigned flags)
{
    return !(flags & LOGGED_IN) && (flags & AUTH_PLAINTEXT || (flags & TLS && flags & SECURE));
}

/* RFC 4954 4: after EHLO (or LHLO), between transactions, once, and not in plain text. */
static struct outcome auth(enum phase phase, unsigned flags)
{
    if (!(flags & AUTH))
        return stay(500, phase);
    if (phase >= MAIL || flags & LOGGED_IN)
        return stay(503, phase);
    if (!can_log_in(flags))
        return stay(538, phase);
    if (phase == CONNECTED || (flags & GREETED_BY_HELO && !(flags & LMTP)))
        return stay(503, phase);
    return (struct outcome){.phase = phase, .login = true};
}

/* What is wrong with it is said where it could be. */
static struct outcome auth_wrong(enum phase phase, unsigned flags)
{
    const struct outcome o = auth(phase, flags);

    return o.login ? stay(0, phase) : o;
}

static struct outcome auth_bare(enum phase phase, unsigned flags)
{
    return stay(flags & AUTH ? 501 : 500, phase);
}

static struct outcome foreign(enum phase phase, unsigned flags)
{
    (void)flags;
    return (struct outcome){.code = 421, .phase = phase, .closes = true};
}

static const struct kind kinds[] = {
    {"EHLO client.example", ehlo},
    {"ehlo [192.0.2.1]", ehlo},
    {"HELO client.example", ehlo, .only_secure = true},
    {"LHLO client.example", lhlo},
    {"EHLO a b", bad_greeting},
    {"HELO", bad_greeting},
    {"MAIL FROM:<a@example.com>", mail, .only_secure = true, .only_login = true},
    {"mail from:<> BODY=8BITMIME", mail, .only_secure = true, .only_login = true},
    {"MAIL FROM:<> REQUIRETLS", mail_requiretls, .only_secure = true, .only_login = true},
    {"MAIL FROM:<a@example.com", mail_refused, .only_secure = true, .only_login = true},
    {"MAIL FROM:<a@example.com> X=y", mail_unknown, .only_secure = true, .only_login = true},
    {"MAIL", NULL, 501},
    {"MAIL TO:<a@example.com>", NULL, 501},
    {"RCPT TO:<b@example.org>", rcpt, .only_secure = true, .only_login = true},
    {"RCPT TO:<b@>", rcpt_bad, .only_secure = true, .only_login = true},
    {"RCPT FROM:<b@example.org>", NULL, 501},
    {"DATA", data, .only_secure = true, .only_login = true},
    {"DATA now", NULL, 501},
    {"RSET", rset, .only_secure = true},
    {"RSET now", NULL, 501},
    {"NOOP", NULL, 250},
    {"NOOP anything", NULL, 250},
    {"VRFY joe", NULL, 252, .only_secure = true, .only_login = true},
    {"VRFY", NULL, 501},
    {"EXPN list", NULL, 502, .only_secure = true, .only_login = true},
    {"HELP", NULL, 214, .only_secure = true, .only_login = true},
    {"HELP MAIL", NULL, 214, .only_secure = true, .only_login = true},
    {"QUIT", quit},
    {"QUIT now", NULL, 501},
    {"", NULL, 500},
    {"XYZZY", NULL, 500},
    {"ETRN example.org", NULL, 502},
    {"XCLIENT NAME=x", NULL, 502},
    {"STARTTLS", starttls},
    {"STARTTLS now", starttls_now},
    {"AUTH PLAIN", auth, .only_secure = true},
    {"auth plain AGEAYg==", auth, .only_secure = true},
    {"AUTH LOGIN =", auth, .only_secure = true},
    {"AUTH CRAM-MD5", auth_wrong, 504, .only_secure = true},
    {"AUTH PLAIN AGEAYg", auth_wrong, 501, .only_secure = true},
    {"AUTH", auth_bare},
    {"BDAT 5", bdat, .only_secure = true, .only_login = true},
    {"BDAT 0", bdat, .only_secure = true, .only_login = true},
    {"BDAT", bdat_wrong},
    {"BDAT 5 FIRST", bdat_wrong},
    {"GET / HTTP/1.1", foreign},
    {"NOOP \x01", NULL, 501},
};

static unsigned code_of(const struct text *out)
{
    size_t last = 0;

    for (size_t i = 0; i + 1 < out->n; i++)
        if (out->p[i] == '\n')
            last = i + 1;
    return out->n < 6
               ? 0
               : (unsigned)(out->p[last] - '0') * 100 + (unsigned)(out->p[last + 1] - '0') * 10 +
                     (unsigned)(out->p[last + 2] - '0');
}

struct fixture {
    struct smtp_options options;
    struct smtp_session s;
    struct text out;
    struct arena arena;
    struct smtp_login login;
    char room[SMTP_REPLY_MAX], memory[1 << 14];
    enum smtp_want want;
    bool chunked;
};

/* Octets that are fine. */
static enum smtp_want take_chunk(struct fixture *f)
{
    struct smtp_data data;

    cr_expect_eq(f->out.n, 0);
    f->chunked = true;
    smtp_session_decoder(&f->s, &data);
    return smtp_session_chunk(&f->s, &data);
}

static unsigned say(struct fixture *f, const char *line)
{
    const struct smtp_verdict accept = {.opinion = SMTP_ACCEPT};

    f->out.n = 0;
    f->chunked = false;
    f->want = smtp_session_line(&f->s, span_of(line));
    if (f->want == SMTP_NEXT_DECISION)
        f->want = smtp_session_decided(&f->s, &accept);
    if (f->want == SMTP_NEXT_MECHANISMS)
        f->want = smtp_session_mechanisms(&f->s, SPAN("PLAIN LOGIN"));
    if (f->want == SMTP_NEXT_CHUNK)
        f->want = take_chunk(f);
    return code_of(&f->out);
}

static bool lacks_tls(unsigned flags)
{
    return flags & TLS && flags & TLS_REQUIRED && !(flags & SECURE);
}

static bool lacks_login(unsigned flags)
{
    return flags & AUTH && flags & AUTH_REQUIRED && !(flags & LOGGED_IN);
}

/* Flags that mean something together. */
static bool is_login(unsigned flags)
{
    if (!(flags & AUTH))
        return !(flags & (AUTH_PLAINTEXT | AUTH_REQUIRED | LOGGED_IN));
    return !(flags & LOGGED_IN) || can_log_in(flags & ~(unsigned)LOGGED_IN);
}

static bool can_lead_to(enum phase phase, unsigned flags)
{
    if (!is_login(flags) || (lacks_login(flags) && phase > GREETED) ||
        (flags & LOGGED_IN && (phase < GREETED || lacks_tls(flags))))
        return false;
    return !lacks_tls(flags) || (phase <= GREETED && !(flags & GREETED_BY_HELO));
}

static void go_inside_tls(struct fixture *f)
{
    cr_assert_eq(say(f, "EHLO before.example"), 250);
    cr_assert_eq(smtp_session_line(&f->s, SPAN("STARTTLS")), SMTP_NEXT_TLS);
    f->out.n = 0;
    cr_assert_eq(smtp_session_tls(&f->s, SMTP_TLS_READY), SMTP_NEXT_HANDSHAKE);
    cr_assert_eq(code_of(&f->out), 220);
    f->out.n = 0;
    cr_assert_eq(smtp_session_secured(&f->s, true), SMTP_NEXT_LINE);
    cr_assert(f->out.n == 0 && f->s.helo.n == 0 && !f->s.esmtp && f->s.phase == SMTP_CONNECTED);
}

static void log_in(struct fixture *f)
{
    say(f, "AUTH PLAIN AGEAYg==");
    cr_assert_eq(f->want, SMTP_NEXT_LOGIN);
    f->out.n = 0;
    f->want = smtp_session_login(&f->s, SMTP_LOGIN_DONE, SPAN("jane"));
    cr_assert_eq(code_of(&f->out), 235);
}

static void lead_to(struct fixture *f, enum phase phase, unsigned flags)
{
    f->options = (struct smtp_options){.hostname = SPAN("mx.example.org"),
                                       .lmtp = flags & LMTP,
                                       .single = flags & SINGLE,
                                       .helo_required = flags & HELO_REQUIRED,
                                       .prdr = flags & PRDR,
                                       .tls = !(flags & TLS)         ? SMTP_TLS_OFF
                                              : flags & TLS_REQUIRED ? SMTP_TLS_REQUIRED
                                                                     : SMTP_TLS_MAY,
                                       .requiretls = flags & TLS,
                                       .auth = flags & AUTH,
                                       .auth_plaintext = flags & AUTH_PLAINTEXT,
                                       .auth_required = flags & AUTH_REQUIRED,
                                       .max_auth_errors = 3,
                                       .max_message_size = 1 << 20,
                                       .max_recipients = 100,
                                       .max_errors = 100,
                                       .smtputf8 = true,
                                       .chunking = true,
                                       .max_discarded_size = 1000,
                                       .max_refused_recipients = 1000,
                                       .max_commands = 100,
                                       .max_transactions = 100,
                                       .max_received = 100,
                                       .max_text_line = 1000};
    f->out = TEXT(f->room);
    f->arena = (struct arena){.base = f->memory, .cap = sizeof f->memory};
    f->want = smtp_session_open(&f->s, &f->options, &f->out, &f->arena, true);
    f->login = (struct smtp_login){.going_on = false};
    if (flags & AUTH)
        f->s.login = &f->login;
    if (flags & TLS && flags & SECURE && !(flags & LMTP))
        go_inside_tls(f);
    f->s.secure = flags & TLS && flags & SECURE;
    if (flags & LOGGED_IN) {
        say(f, flags & LMTP ? "LHLO c.example" : "EHLO c.example");
        log_in(f);
    }
    if (phase >= GREETED)
        say(f, flags & LMTP              ? "LHLO c.example"
               : flags & GREETED_BY_HELO ? "HELO c.example"
                                         : "EHLO c.example");
    if (phase >= MAIL)
        cr_assert_eq(say(f, "MAIL FROM:<a@example.com>"), 250);
    if (phase == MAIL_REFUSED)
        cr_assert_eq(say(f, "RCPT TO:<x"), 501);
    if (phase >= RCPT)
        cr_assert_eq(say(f, "RCPT TO:<b@example.org>"), 250);
    if (phase == CHUNKS)
        cr_assert_eq(say(f, "BDAT 5"), 250);
}

static struct outcome outcome_of(const struct kind *k, enum phase phase, unsigned flags)
{
    struct outcome o = k->model == NULL ? stay(0, phase) : k->model(phase, flags);

    if (o.code == 0 && !o.tls && !o.login)
        o.code = k->always;
    return o.code != 500 &&
                   ((lacks_tls(flags) && k->only_secure) || (lacks_login(flags) && k->only_login))
               ? (struct outcome){.code = 530, .phase = phase, .chunk = o.chunk}
               : o;
}

static enum smtp_phase as_session(enum phase phase)
{
    static const enum smtp_phase phases[] = {SMTP_CONNECTED, SMTP_GREETED, SMTP_MAIL,
                                             SMTP_MAIL,      SMTP_RCPT,    SMTP_CHUNKS};

    return phases[phase];
}

Test(model, every_line_in_every_phase_under_every_flag)
{
    static struct fixture f;

    for (unsigned flags = 0; flags < FLAGS; flags++)
        for (enum phase phase = CONNECTED; phase < PHASES; phase++)
            for (size_t i = 0; i < COUNT(kinds); i++) {
                const struct outcome o = outcome_of(&kinds[i], phase, flags);
                unsigned code;

                if (!can_lead_to(phase, flags))
                    continue;
                lead_to(&f, phase, flags);
                code = say(&f, kinds[i].line);
                cr_expect(
                    code == o.code && (f.want == SMTP_NEXT_CLOSE) == o.closes &&
                        (f.want == SMTP_NEXT_DATA) == o.data &&
                        (f.want == SMTP_NEXT_TLS) == o.tls &&
                        (f.want == SMTP_NEXT_LOGIN) == o.login && f.chunked == o.chunk &&
                        (o.closes || f.s.phase == as_session(o.phase)),
                    "'%s' in phase %d, flags %u: %u, want %d, phase %d; the model: %u, phase %d",
                    kinds[i].line, phase, flags, code, f.want, f.s.phase, o.code, o.phase);
            }
}
