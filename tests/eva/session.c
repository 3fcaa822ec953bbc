/* Eva's entries for a session: it is led to one of its phases, then gets any line, and whatever may
 * follow. Its parameters and replies are here too. */
#include "smtp/session.h"
#include "any.h"
#include "smtp/login.h"
#include "smtp/param.h"
#include "smtp/result.h"

#ifndef LINE
#define LINE 13
#endif

static const struct smtp_options options = {
    .hostname = {.p = "mx.example.net", .n = 14},
    .max_message_size = UINT64_MAX,
    .max_recipients = 2,
    .max_errors = UINT64_MAX,
    .max_refused_recipients = UINT64_MAX,
    .smtputf8 = true,
    .max_commands = UINT64_MAX,
    .max_transactions = UINT64_MAX,
    .max_received = 100,
    .max_text_line = 1000,
};

static char replies[SMTP_REPLY_MAX], block[2048];
static struct text out;
static struct arena arena;
static struct smtp_session session;
static struct smtp_options opt;
static struct smtp_login login;

static void open_session(void)
{
    opt = options;
    opt.lmtp = any_bool();
    opt.prdr = any_bool();
    opt.single = any_bool();
    opt.helo_required = any_bool();
    out = TEXT(replies);
    arena = (struct arena){.base = block, .cap = sizeof block};
    smtp_session_open(&session, &opt, &out, &arena, any_bool());
}

/* Each doubles the states of all that follows: where the line is short. */
static void open_with_manners(void)
{
    open_session();
    opt.greet_delay = opt.error_delay = any_bool();
    out.n = 0;
    if (smtp_session_open(&session, &opt, &out, &arena, any_bool()) == SMTP_NEXT_GREETING)
        smtp_session_greet(&session, any_bool());
    session.followed = any_bool();
}

void eva_param(void)
{
    struct span extras = {0};

    open_session();
    (void)smtp_parameters(&session, any_bool(), any_bytes(0, BYTES), &extras);
}

static void after(enum smtp_want want)
{
    out.n = 0;
    if (want == SMTP_NEXT_DECISION) {
        struct smtp_verdict v = {.opinion =
                                     (enum smtp_opinion)Frama_C_interval_split(0, SMTP_DEFER)};

        if (Frama_C_interval_split(0, 1))
            v.reply = (struct smtp_reply){
                .code = 550, .enhanced = SPAN("5.7.1"), .text = SPAN("no %"), .rule = "rule"};
        (void)smtp_session_decided(&session, &v);
    } else if (want == SMTP_NEXT_DATA) {
        struct smtp_data d;

        smtp_session_decoder(&session, &d);
        d.fault = (enum smtp_data_fault)Frama_C_interval_split(0, SMTP_DATA_BARE_CR);
        d.ended = any_bool();
        want = smtp_session_collected(&session, &d);
        out.n = 0;
        if (want == SMTP_NEXT_DELIVERY) {
            for (struct smtp_recipient *r = session.transaction.first; r != NULL; r = r->next)
                if (Frama_C_interval_split(0, 1))
                    r->result = smtp_result_of_failure();
                else
                    r->result = smtp_result_of_exit(NULL, 0);
            want = smtp_session_delivered(&session);
        }
        while (want == SMTP_NEXT_MORE) {
            out.n = 0;
            want = smtp_session_more(&session);
        }
    }
    (void)smtp_session_protocol(&session, any_bool());
}

static void counters(void)
{
    session.commands = any_number();
    session.errors = any_number();
    session.refused_recipients = any_number();
    session.transactions = any_number();
}

/* A session led to one of its phases, then one line of any bytes, behind `start`. */
static void any_line(unsigned phase, struct span line)
{
    static const struct smtp_verdict yes = {.opinion = SMTP_ACCEPT};

    if (phase == 0)
        open_with_manners();
    else
        open_session();
    out.n = 0;
    if (phase > 0)
        smtp_session_line(&session, opt.lmtp ? SPAN("LHLO a.b") : SPAN("EHLO a.b"));
    out.n = 0;
    if (phase > 1)
        smtp_session_line(&session, SPAN("MAIL FROM:<a@b>"));
    out.n = 0;
    if (phase > 2)
        if (smtp_session_line(&session, SPAN("RCPT TO:<c@d>")) == SMTP_NEXT_DECISION)
            smtp_session_decided(&session, &yes);
    out.n = 0;
    counters();
    after(smtp_session_line(&session, line));
}

void eva_session0(void)
{
    any_line(0, any_bytes(0, BYTES));
}

void eva_session1(void)
{
    any_line(1, any_bytes(LINE - 1, LINE - 1));
}

void eva_session2(void)
{
    any_line(2, any_bytes(LINE, LINE));
}

void eva_session3(void)
{
    any_line(3, any_bytes(0, 4));
}

void eva_bad_line(void)
{
    open_with_manners();
    out.n = 0;
    counters();
    after(smtp_session_bad_line(&session, (enum smtp_line_result)Frama_C_interval_split(2, 4)));
}

/* Where a client may log in: what is behind AUTH, or any response; and any answer to it. */
void eva_login(void)
{
    enum smtp_want want;

    open_session();
    opt.auth = true;
    opt.max_auth_errors = any_number();
    session.phase = SMTP_GREETED;
    session.esmtp = true;
    session.secure = any_bool();
    session.login = &login;
    login.mechanisms = SPAN("A X-1");
    login.mechanism = (struct span){.p = login.mechanism_room, .n = 1}; /* of one that goes on */
    login.going_on = any_bool();
    login.errors = any_number();
    out.n = 0;
    counters();
    want = login.going_on ? smtp_session_line(&session, any_bytes(0, BYTES))
                          : smtp_begin_login(&session, any_bytes(0, BYTES));
    if (want == SMTP_NEXT_LOGIN) {
        out.n = 0;
        (void)smtp_session_login(
            &session, (enum smtp_login_result)Frama_C_interval_split(0, SMTP_LOGIN_LATER),
            any_bytes(0, 4));
    }
}

void eva_reply(void)
{
    struct smtp_reply r;
    struct span argument = any_bytes(0, 2);

    out = TEXT(replies);
    if (Frama_C_interval_split(0, 1)) {
        r = *smtp_reply((enum smtp_reply_id)Frama_C_interval_split(0, SMTP_REPLY_COUNT - 1));
        smtp_reply_line(&out, &r, any_bool(), any_bool(), argument);
    } else { /* longer than a line may be */
        smtp_reply_line(&out, smtp_reply(SMTP_REPLY_BYE), true, true, any_bytes(501, 501));
    }
}
