/* What a compromised worker may do that somebody who has logged in may; in the configurations of
 * login.c. */
#include "attack.h"

#include <sys/socket.h>

/* A step of a transaction is asked about: what is said. */
static void ask_about(struct worker *w, struct span sender, struct span recipient)
{
    static const char *const opinions[] = {[SMTP_NO_OPINION] = "none ",
                                           [SMTP_ACCEPT] = "accepted ",
                                           [SMTP_REFUSE] = "refused ",
                                           [SMTP_DEFER] = "deferred "};
    struct request r = attack_honest(REQUEST_DECIDE, 1);
    struct packet answer;

    r.about = SMTP_ABOUT_RECIPIENT;
    r.address = recipient;
    r.sender = sender;
    if (!attack_ask(w, &r, &answer))
        return;
    packet_number(&answer); /* whether a recording goes on */
    attack_say(opinions[packet_number_up_to(&answer, SMTP_DEFER)]);
}

/* Who says that it has logged in. */

static void relay_without_login(struct worker *w)
{
    attack_mail_to(w, 1, SPAN("b@elsewhere.example"));
}

static void relay_after_wrong(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    attack_mail_to(w, 1, SPAN("b@elsewhere.example"));
}

static void relay_within_login(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_log_in(w, attack_login_step(0, SMTP_LOGIN_BEGINS, SPAN("PLAIN"), (struct span){0}));
    attack_mail_to(w, 1, SPAN("b@elsewhere.example"));
}

static void mail_without_login(struct worker *w)
{
    attack_mail_to(w, 1, SPAN("b@example.org"));
}

static void mail_after_wrong(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    attack_mail_to(w, 1, SPAN("b@example.org"));
}

static void mail_without_login_asked(struct worker *w)
{
    ask_about(w, SPAN("a@example.com"), SPAN("b@example.org"));
}

static void vrfy_without_login(struct worker *w)
{
    struct request r = attack_honest(REQUEST_DECIDE, 0);

    r.about = SMTP_ABOUT_USER;
    r.address = SPAN("b@example.org");
    attack_send(w, &r);
    attack_receive(w);
}

/* A name is what the login says: a request has no place for another one. */
static void claim_user(struct worker *w)
{
    const struct request r = attack_login_step(0, SMTP_LOGIN_BEGINS, SPAN("PLAIN"), ATTACK_JANE);

    attack_ask_mechanisms(w, 0);
    request_write(&w->room, &r);
    text_add(&w->room, SPAN("boss"));
    send(w->fd, w->room.p, w->room.n, MSG_NOSIGNAL);
    attack_receive(w);
}

static void claim_submitter(struct worker *w, struct span auth)
{
    struct request r = attack_message(1, 1, "Subject: x\n\nmail\n");

    r.auth = auth;
    attack_add(w, 1, SPAN("b@example.org"));
    attack_deliver(w, r);
}

static void submitter_without_login(struct worker *w)
{
    claim_submitter(w, SPAN("boss@example.org"));
}

static void submitter_of_two_lines(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    claim_submitter(w, SPAN("boss@example.org\nX-Forged: yes"));
}

/* The sender is one whose mail only others may send. */

static void sender_of_others(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    ask_about(w, SPAN("boss@example.org"), SPAN("b@elsewhere.example"));
    attack_deliver(w, attack_message(1, 1, "x\n"));
}

static void sender_of_nobody(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    ask_about(w, SPAN("a@example.com"), SPAN("b@elsewhere.example"));
    attack_deliver(w, attack_message(1, 1, "x\n"));
}

static void own_sender(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    ask_about(w, SPAN("jane@example.org"), SPAN("b@elsewhere.example"));
    r.address = SPAN("jane@example.org");
    attack_deliver(w, r);
    attack_quit(w, 1);
}

static void another_sender_at_last(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    ask_about(w, SPAN("jane@example.org"), SPAN("b@elsewhere.example"));
    r.address = SPAN("boss@example.org");
    attack_deliver(w, r);
}

/* There is no login within a transaction: what was asked about before it was no user's. */

static void message_from_before(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    ask_about(w, SPAN("a@example.com"), SPAN("b@example.org"));
    attack_log_in(w, attack_login_step(1, SMTP_LOGIN_BEGINS, SPAN("PLAIN"), ATTACK_JANE));
    attack_deliver(w, attack_message(1, 1, "x\n"));
}

static void recipients_from_before(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_add(w, 1, SPAN("b@example.org"));
    attack_log_in(w, attack_login_step(1, SMTP_LOGIN_BEGINS, SPAN("PLAIN"), ATTACK_JANE));
    attack_add(w, 1, SPAN("b@elsewhere.example"));
    attack_receive(w);
}

/* RFC 3207 4.2: a login from before TLS counts no longer. */
static void login_carried_over(struct worker *w)
{
    attack_ask_mechanisms(w, 0);
    attack_plain(w);
    attack_go_inside_tls(w);
    attack_mail_to(w, 1, SPAN("b@example.org"));
}

const struct attack attack_submitter[] = {
    ATTACK(RECIPIENTS, relay_without_login, "", "has a recipient that is refused", "auth"),
    ATTACK(RECIPIENTS, relay_after_wrong, "offered wrong ", "has a recipient that is refused",
           "auth_wrong"),
    ATTACK(RECIPIENTS, relay_within_login, "offered challenge ", "has a recipient that is refused",
           "auth"),
    ATTACK(RECIPIENTS, mail_without_login, "", "has mail without a login", "auth_required"),
    ATTACK(RECIPIENTS, mail_after_wrong, "offered wrong ", "has mail without a login",
           "auth_required_wrong"),
    ATTACK(DECIDE, mail_without_login_asked, "", "has mail without a login", "auth_required"),
    ATTACK(DECIDE, vrfy_without_login, "", "asks of a user without a login", "auth_required"),
    ATTACK(LOGIN, claim_user, "offered ", "sends what is no request", "auth"),
    ATTACK(DELIVER, submitter_without_login, "", "names a submitter without a login", "auth"),
    ATTACK(DELIVER, submitter_of_two_lines, "offered done ", "names a submitter that is none",
           "auth"),
    ATTACK(DELIVER, sender_of_others, "offered done refused ", "begins a message for nobody",
           "auth_senders"),
    ATTACK(DELIVER, sender_of_nobody, "offered done refused ", "begins a message for nobody",
           "auth_senders"),
    ATTACK(DELIVER, own_sender, "offered done accepted delivered\n", NULL, "auth_senders"),
    ATTACK(DELIVER, another_sender_at_last, "offered done accepted ", "has another reverse-path",
           "auth_senders"),
    ATTACK(DELIVER, message_from_before, "offered accepted done ",
           "begins a message of no transaction", "auth_senders"),
    ATTACK(RECIPIENTS, recipients_from_before, "offered done ", "has a recipient of no transaction",
           "auth"),
    ATTACK(RECIPIENTS, login_carried_over, "offered done secure ", "has mail without a login",
           "auth_both_required"),
    {.name = NULL},
};
