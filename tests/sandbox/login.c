/* What a compromised worker may do about AUTH. Who checks the logins is a command that says the
 * same to each: tests/programs/sandbox.py has it in the configuration of that name. */
#include "attack.h"

#include "smtp/state.h"

#include <string.h>
#include <sys/socket.h>

struct request attack_login_step(uint64_t transaction, uint64_t step, struct span mechanism,
                                 struct span response)
{
    struct request r = attack_honest(REQUEST_LOGIN, transaction);

    r.step = step;
    r.mechanism = mechanism;
    r.has_response = response.p != NULL;
    r.octets = response;
    return r;
}

/* Says what came of it. */
void attack_log_in(struct worker *w, struct request r)
{
    static const char *const said[] = {
        [SMTP_LOGIN_DONE] = "done ",       [SMTP_LOGIN_CHALLENGE] = "challenge ",
        [SMTP_LOGIN_WRONG] = "wrong ",     [SMTP_LOGIN_MALFORMED] = "malformed ",
        [SMTP_LOGIN_UNKNOWN] = "unknown ", [SMTP_LOGIN_LATER] = "later ",
    };
    struct packet answer;

    if (attack_ask(w, &r, &answer))
        attack_say(said[packet_number_up_to(&answer, SMTP_LOGIN_LATER)]);
}

static void begin(struct worker *w, struct span mechanism, struct span response)
{
    attack_log_in(w, attack_login_step(0, SMTP_LOGIN_BEGINS, mechanism, response));
}

void attack_plain(struct worker *w)
{
    begin(w, SPAN("PLAIN"), ATTACK_JANE);
}

static void go_on(struct worker *w, struct span response)
{
    attack_log_in(w, attack_login_step(0, SMTP_LOGIN_GOES_ON, SPAN(""), response));
}

static void cancel(struct worker *w)
{
    const struct request r = attack_login_step(0, SMTP_LOGIN_CANCELLED, SPAN(""), (struct span){0});

    attack_send(w, &r);
}

void attack_ask_mechanisms(struct worker *w, uint64_t transaction)
{
    const struct request r = attack_honest(REQUEST_MECHANISMS, transaction);
    struct packet answer;

    if (attack_ask(w, &r, &answer))
        attack_say(span_eq(packet_text(&answer, SMTP_MECHANISMS_MAX), SPAN("PLAIN LOGIN"))
                       ? "offered "
                       : "others ");
}

void attack_go_inside_tls(struct worker *w)
{
    const struct request prepare = attack_honest(REQUEST_PREPARE_TLS, 0),
                         start = attack_honest(REQUEST_START_TLS, 0);
    struct packet answer;

    if (attack_ask(w, &prepare, &answer) && attack_ask(w, &start, &answer))
        attack_say("secure ");
}

/* MECHANISMS. */

static void ask_for_mechanisms(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
}

static void ask_for_mechanisms_outside(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
}

static void mechanisms_within_message(struct worker *w)
{
    attack_begin_message(w);
    attack_ask_mechanisms(w, 1);
}

static void mechanisms_after_login(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    attack_ask_mechanisms(w, 0);
}

/* Each may be a connection to Dovecot. */
static void mechanisms_often(struct worker *w)
{
    const struct request r = attack_honest(REQUEST_MECHANISMS, 0);
    struct packet answer;

    for (int i = 0; i < 10000 && attack_ask(w, &r, &answer); i++)
        ;
}

/* LOGIN: as any client can. */

static void log_in_and_relay(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    attack_mail_to(w, 1, SPAN("b@elsewhere.example"));
    attack_quit(w, 1);
}

static void log_in_by_steps(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("LOGIN"), (struct span){0});
    go_on(w, SPAN("amFuZQ=="));
    go_on(w, SPAN("c2VjcmV0"));
    attack_quit(w, 0);
}

/* Where there is none. */

static void log_in_without_auth(struct worker *w)
{
    attack_plain(w);
}

static void log_in_outside(struct worker *w)
{
    attack_plain(w);
}

static void log_in_inside(struct worker *w)
{
    attack_go_inside_tls(w);
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    attack_quit(w, 0);
}

static void log_in_twice(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    attack_plain(w);
}

static void log_in_within_message(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_begin_message(w);
    attack_log_in(w, attack_login_step(1, SMTP_LOGIN_BEGINS, SPAN("PLAIN"), ATTACK_JANE));
}

/* In a way that there is not. */

static void log_in_unoffered(struct worker *w)
{
    attack_plain(w);
}

static void log_in_otherwise(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("CRAM-MD5"), (struct span){0});
}

static void log_in_by_part(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("PLAIN LOGIN"), ATTACK_JANE);
}

static void log_in_by_nothing(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN(""), ATTACK_JANE);
}

/* What was offered before TLS is offered no more. */
static void log_in_offered_before(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_go_inside_tls(w);
    attack_plain(w);
}

/* Out of order. */

static void go_on_unbegun(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    go_on(w, ATTACK_JANE);
}

static void go_on_after_done(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    go_on(w, ATTACK_JANE);
}

static void go_on_after_wrong(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    go_on(w, ATTACK_JANE);
}

static void go_on_after_cancel(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("PLAIN"), (struct span){0});
    cancel(w);
    go_on(w, ATTACK_JANE);
}

static void begin_within_login(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("LOGIN"), (struct span){0});
    attack_plain(w);
}

static void cancel_nothing(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    cancel(w);
    attack_ask_mechanisms(w, 0);
}

/* Responses that are none. */

static void long_response(struct worker *w)
{
    static char response[SMTP_AUTH_LINE_MAX + 4];

    memset(response, 'A', sizeof response);
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("PLAIN"), (struct span){.p = response, .n = sizeof response});
}

static void longest_response(struct worker *w)
{
    static char response[SMTP_AUTH_LINE_MAX];

    memset(response, 'A', sizeof response);
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("PLAIN"), (struct span){.p = response, .n = sizeof response});
    attack_quit(w, 0);
}

static void two_lines_response(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("PLAIN"), SPAN("AAAA\tresp=AAAA\nAUTH\t2\tPLAIN"));
}

static void response_of_no_base64(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("LOGIN"), (struct span){0});
    go_on(w, SPAN("AAA"));
}

static void response_without_one(struct worker *w)
{
    struct request r = attack_login_step(0, SMTP_LOGIN_BEGINS, SPAN("PLAIN"), ATTACK_JANE);

    r.has_response = false;
    attack_ask_mechanisms(w, 0);
    attack_log_in(w, r);
}

/* Too often. */

static void guess_on(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    for (int i = 0; i < 10; i++)
        attack_plain(w);
}

/* The fourth guess is not heard, not even where it is right. */
static void guess_right_at_last(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    for (int i = 0; i < 3; i++)
        begin(w, SPAN("PLAIN"), SPAN("AGphbmUAd3Jvbmc=")); /* jane, wrong */
    attack_plain(w);
}

static void begin_often(struct worker *w)
{
    const struct request r =
        attack_login_step(0, SMTP_LOGIN_BEGINS, SPAN("LOGIN"), (struct span){0});
    struct packet answer;

    attack_ask_mechanisms(w, 0);
    for (int i = 0; i < 10000 && attack_ask(w, &r, &answer); i++)
        cancel(w);
}

static void cancel_and_begin_within_message(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    begin(w, SPAN("LOGIN"), (struct span){0});
    attack_begin_message(w);
    attack_log_in(w, attack_login_step(1, SMTP_LOGIN_GOES_ON, SPAN(""), SPAN("amFuZQ==")));
}

const struct attack attack_login[] = {
    ATTACK(MECHANISMS, ask_for_mechanisms, "", "wants a login that it can't have", "usual"),
    ATTACK(MECHANISMS, ask_for_mechanisms_outside, "", "wants a login that it can't have",
           "auth_tls"),
    ATTACK(MECHANISMS, mechanisms_within_message, "", "wants a login within a message", "auth"),
    ATTACK(MECHANISMS, mechanisms_after_login, "offered done ", "wants a login that it can't have",
           "auth"),
    ATTACK(MECHANISMS, mechanisms_often, "", "has too many requests", "auth_few"),
    ATTACK(LOGIN, log_in_and_relay, "offered done delivered\n", NULL, "auth"),
    ATTACK(LOGIN, log_in_by_steps, "offered challenge challenge done ", NULL, "auth"),
    ATTACK(LOGIN, log_in_without_auth, "", "wants a login that it can't have", "usual"),
    ATTACK(LOGIN, log_in_outside, "", "wants a login that it can't have", "auth_tls"),
    ATTACK(LOGIN, log_in_inside, "secure offered done ", NULL, "auth_tls"),
    ATTACK(LOGIN, log_in_twice, "offered done ", "wants a login that it can't have", "auth"),
    ATTACK(LOGIN, log_in_within_message, "offered ", "wants a login within a message", "auth"),
    ATTACK(LOGIN, log_in_unoffered, "", "logs in in a way that was not offered", "auth"),
    ATTACK(LOGIN, log_in_otherwise, "offered ", "logs in in a way that was not offered", "auth"),
    ATTACK(LOGIN, log_in_by_part, "offered ", "logs in in a way that was not offered", "auth"),
    ATTACK(LOGIN, log_in_by_nothing, "offered ", "logs in in a way that was not offered", "auth"),
    ATTACK(LOGIN, log_in_offered_before, "offered secure ", "logs in in a way that was not offered",
           "auth_both"),
    ATTACK(LOGIN, go_on_unbegun, "offered ", "goes on with another login", "auth"),
    ATTACK(LOGIN, go_on_after_done, "offered done ", "wants a login that it can't have", "auth"),
    ATTACK(LOGIN, go_on_after_wrong, "offered wrong ", "goes on with another login", "auth_wrong"),
    ATTACK(LOGIN, go_on_after_cancel, "offered challenge ", "goes on with another login", "auth"),
    ATTACK(LOGIN, begin_within_login, "offered challenge ", "goes on with another login", "auth"),
    ATTACK(LOGIN, cancel_nothing, "offered ", "goes on with another login", "auth"),
    ATTACK(LOGIN, long_response, "offered ", "has a response that is none", "auth"),
    ATTACK(LOGIN, longest_response, "offered malformed ", NULL, "auth"),
    ATTACK(LOGIN, two_lines_response, "offered ", "has a response that is none", "auth"),
    ATTACK(LOGIN, response_of_no_base64, "offered challenge ", "has a response that is none",
           "auth"),
    ATTACK(LOGIN, response_without_one, "offered ", "has a response that is none", "auth"),
    ATTACK(LOGIN, guess_on, "offered wrong wrong wrong ", "logs in after too many failures",
           "auth_wrong"),
    ATTACK(LOGIN, guess_right_at_last, "offered wrong wrong wrong ",
           "logs in after too many failures", "auth_secret"),
    ATTACK(LOGIN, begin_often, "offered ", "has too many requests", "auth_few"),
    ATTACK(LOGIN, cancel_and_begin_within_message, "offered challenge ",
           "wants a login within a message", "auth"),
    {.name = NULL},
};
