/* What a compromised worker may ask, and that no question, and no silence, gets it round an answer.
 */
#include "attack.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A question, of which something may be changed. */
static struct request question(enum smtp_subject about, uint64_t transaction, const char *address)
{
    struct request r = attack_honest(REQUEST_DECIDE, transaction);

    r.about = about;
    r.address = span_of(address);
    r.sender = SPAN("a@example.com");
    return r;
}

/* What the verdict is: an enum smtp_opinion; -1: there is none. */
static long ask(struct worker *w, const struct request *r)
{
    struct packet answer;

    if (!attack_ask(w, r, &answer))
        return -1;
    packet_number(&answer); /* whether a recording goes on */
    return (long)packet_number(&answer);
}

static long ask_about(struct worker *w, enum smtp_subject about, uint64_t transaction,
                      const char *address)
{
    const struct request r = question(about, transaction, address);

    return ask(w, &r);
}

static long ask_recipient(struct worker *w, uint64_t transaction, const char *address)
{
    return ask_about(w, SMTP_ABOUT_RECIPIENT, transaction, address);
}

/* An address that the worker must ask about whatever the configuration is. */
static long ask_utf8(struct worker *w, uint64_t transaction, const char *address)
{
    struct request r = question(SMTP_ABOUT_RECIPIENT, transaction, address);

    r.smtputf8 = true;
    return ask(w, &r);
}

/* Delivers to those that have been asked about. */
static void deliver(struct worker *w, uint64_t transaction, uint64_t recipients)
{
    attack_deliver(w, attack_message(transaction, recipients, "Subject: x\n\nmail\n"));
}

/* A dot for each answer. */
static void ask_on(struct worker *w, const struct request *r)
{
    for (int i = 0; i < 100000 && ask(w, r) >= 0; i++)
        attack_say(".");
}

static void ask_of_nothing(struct worker *w)
{
    ask_recipient(w, 0, "b@example.org");
}

static void ask_of_no_mailbox(struct worker *w)
{
    ask_recipient(w, 1, "b@example.org>\r\nRCPT TO:<c@example.org");
}

static void ask_of_no_user(struct worker *w)
{
    ask_about(w, SMTP_ABOUT_USER, 0, "b@example.org> x");
}

/* A recipient is added by its question, and by nothing else: no second one comes of a list. */
static void ask_and_add(struct worker *w)
{
    if (ask_recipient(w, 1, "b@example.org") == SMTP_ACCEPT)
        attack_say("accepted\n");
    attack_add(w, 1, SPAN("b@example.org"));
    attack_receive(w);
}

/* Without libidn2 it is deferred. */
static bool is_against(long opinion)
{
    return opinion == SMTP_REFUSE || opinion == SMTP_DEFER;
}

static void ask_and_add_refused(struct worker *w)
{
    if (is_against(ask_utf8(w, 1, "b@m\xc3\xb6ller.example")))
        attack_say("refused\n");
    attack_add(w, 1, SPAN("b@m\xc3\xb6ller.example"));
    attack_receive(w);
}

/* The recording's own place is not the worker's to choose. */
static void ask_far(struct worker *w)
{
    struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@m\xc3\xb6ller.example");

    r.smtputf8 = true;
    for (uint64_t i = 1; i <= 3; i++) {
        r.boundary = UINT64_MAX / i;
        if (is_against(ask(w, &r)))
            attack_say("refused ");
    }
    attack_quit(w, 1);
}

static void add_without_question(struct worker *w)
{
    attack_add(w, 1, SPAN("b@example.org"));
    attack_receive(w);
}

static void deliver_to_refused_one(struct worker *w)
{
    if (ask_recipient(w, 1, "nobody@example.org") == SMTP_REFUSE)
        attack_say("refused\n");
    deliver(w, 1, 1);
}

/* A question that is put twice has its answer twice, as two RCPT would: the recipient is there
 * twice, and each counts. */
static void ask_again(struct worker *w)
{
    for (int i = 0; i < 2; i++)
        ask_recipient(w, 1, "b@example.org");
    deliver(w, 1, 2);
    attack_quit(w, 1);
}

static void ask_for_too_many(struct worker *w)
{
    const struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@example.org");

    ask_on(w, &r);
}

/* The client's recipients are counted, not those of its aliases. */
static void claim_targets(struct worker *w)
{
    if (ask_recipient(w, 1, "both@example.org") == SMTP_ACCEPT)
        attack_say("accepted\n");
    deliver(w, 1, 2);
}

/* Nobody is added because an alias names him. */
static void claim_target(struct worker *w)
{
    ask_recipient(w, 1, "both@example.org");
    attack_add(w, 1, SPAN("away@elsewhere.example"));
    attack_receive(w);
}

static void ask_for_another_sender(struct worker *w)
{
    struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@example.org");

    ask(w, &r);
    r.sender = SPAN("other@example.com");
    ask(w, &r);
}

static void send_from_another(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    ask_recipient(w, 1, "b@example.org");
    r.address = SPAN("other@example.com");
    if (attack_send(w, &r) && attack_receive(w) >= 0)
        attack_say("delivered\n");
}

static void ask_for_no_sender(struct worker *w)
{
    struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@example.org");

    r.sender = SPAN("a@example.com>\nX-Forged: yes");
    ask(w, &r);
}

static void ask_for_long_sender(struct worker *w)
{
    static char sender[SMTP_ADDRESS_MAX + 1];
    struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@example.org");

    memset(sender, 'a', sizeof sender);
    r.sender = (struct span){.p = sender, .n = sizeof sender};
    ask(w, &r);
}

static void ask_with_no_name(struct worker *w)
{
    struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@example.org");

    r.helo = SPAN("x\nX-Forged: yes");
    ask(w, &r);
}

static void ask_with_long_name(struct worker *w)
{
    static char helo[SMTP_DOMAIN_MAX + 1];
    struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@example.org");

    memset(helo, 'a', sizeof helo);
    r.helo = (struct span){.p = helo, .n = sizeof helo};
    ask(w, &r);
}

static void ask_with_size(struct worker *w)
{
    struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@example.org");

    r.declared_size = UINT64_MAX;
    ask(w, &r);
}

static void ask_without_smtputf8(struct worker *w)
{
    ask_recipient(w, 1, "b@m\xc3\xbcller.example");
}

static void ask_two_at_once(struct worker *w)
{
    const struct request r =
        question((enum smtp_subject)(SMTP_ABOUT_RECIPIENT | SMTP_ABOUT_USER), 1, "b@example.org");

    ask(w, &r);
}

static void ask_nothing(struct worker *w)
{
    const struct request r = question((enum smtp_subject)0, 1, "b@example.org");

    ask(w, &r);
}

/* What this configuration does not decide on. */
static void ask_as_client(struct worker *w)
{
    ask_about(w, SMTP_ABOUT_CLIENT, 0, "");
}

static void ask_as_greeting(struct worker *w)
{
    ask_about(w, SMTP_ABOUT_GREETING, 0, "");
}

static void ask_as_sender(struct worker *w)
{
    ask_about(w, SMTP_ABOUT_SENDER, 1, "");
}

static void ask_as_data(struct worker *w)
{
    ask_about(w, SMTP_ABOUT_DATA, 1, "");
}

static void ask_as_vrfy(struct worker *w)
{
    ask_about(w, SMTP_ABOUT_USER, 0, "b@example.org");
}

/* From here on: all steps are decided on. */
static void pass(struct worker *w, enum smtp_subject about, uint64_t transaction)
{
    if (ask_about(w, about, transaction, "") == SMTP_NO_OPINION)
        attack_say("passed ");
}

static void greet_twice(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_CLIENT, 0);
}

static void mail_twice(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    pass(w, SMTP_ABOUT_SENDER, 1);
    pass(w, SMTP_ABOUT_SENDER, 1);
}

static void data_for_nobody(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    pass(w, SMTP_ABOUT_SENDER, 1);
    pass(w, SMTP_ABOUT_DATA, 1);
}

static void greet_without_client(struct worker *w)
{
    pass(w, SMTP_ABOUT_GREETING, 0);
}

static void mail_without_greeting(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_SENDER, 1);
}

/* The name that was decided on is the one that the command hears. */
static void mail_by_another_name(struct worker *w)
{
    struct request r = question(SMTP_ABOUT_SENDER, 1, "");

    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    r.helo = SPAN("other.example.com");
    ask(w, &r);
}

static void deliver_without_sender(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    attack_add(w, 1, SPAN("b@example.org"));
    deliver(w, 1, 1);
}

static void deliver_without_data(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    pass(w, SMTP_ABOUT_SENDER, 1);
    attack_add(w, 1, SPAN("b@example.org"));
    deliver(w, 1, 1);
}

/* One transaction's leave is not the next one's. */
static void deliver_next(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    for (uint64_t i = 1; i <= 2; i++) {
        if (i == 1)
            pass(w, SMTP_ABOUT_SENDER, i);
        attack_add(w, i, SPAN("b@example.org"));
        if (i == 1)
            pass(w, SMTP_ABOUT_DATA, i);
        deliver(w, i, 1);
    }
}

static void recipient_after_data(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    pass(w, SMTP_ABOUT_SENDER, 1);
    attack_add(w, 1, SPAN("b@example.org"));
    pass(w, SMTP_ABOUT_DATA, 1);
    attack_add(w, 1, SPAN("c@example.org"));
    attack_receive(w);
}

/* As a client may. */
static void pass_all(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    pass(w, SMTP_ABOUT_SENDER, 1);
    attack_add(w, 1, SPAN("b@example.org"));
    pass(w, SMTP_ABOUT_DATA, 1);
    deliver(w, 1, 1);
    attack_quit(w, 1);
}

/* A no is a no. */
static void refused(struct worker *w, enum smtp_subject about, uint64_t transaction)
{
    if (ask_about(w, about, transaction, "") == SMTP_REFUSE)
        attack_say("refused ");
}

static void go_on_as_client(struct worker *w)
{
    refused(w, SMTP_ABOUT_CLIENT, 0);
    attack_add(w, 1, SPAN("b@example.org"));
    deliver(w, 1, 1);
}

static void go_on_as_greeting(struct worker *w)
{
    refused(w, SMTP_ABOUT_GREETING, 0);
    attack_add(w, 1, SPAN("b@example.org"));
    deliver(w, 1, 1);
}

static void go_on_as_sender(struct worker *w)
{
    refused(w, SMTP_ABOUT_SENDER, 1);
    attack_add(w, 1, SPAN("b@example.org"));
    deliver(w, 1, 1);
}

static void go_on_as_data(struct worker *w)
{
    attack_add(w, 1, SPAN("b@example.org"));
    refused(w, SMTP_ABOUT_DATA, 1);
    deliver(w, 1, 1);
}

/* A client need not say a name, unless it must. */
static void go_on_without_name(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    refused(w, SMTP_ABOUT_GREETING, 0);
    attack_add(w, 1, SPAN("b@example.org"));
    r.helo = SPAN("");
    attack_send(w, &r);
    attack_receive(w);
}

static void ask_within_message(struct worker *w)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    ask_recipient(w, 1, "b@example.org");
    r.begins = true;
    r.recipients = 1;
    r.octets = SPAN("Subject: x");
    attack_send(w, &r);
    ask_about(w, SMTP_ABOUT_USER, 1, "b@example.org");
}

/* Guesses are counted: as many as a client has, and two. */
static void guess(struct worker *w)
{
    const struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "nobody@example.org");

    ask_on(w, &r);
}

/* Each in a transaction of its own. */
static void guess_in_turn(struct worker *w)
{
    for (uint64_t i = 1; i < 1000 && ask_recipient(w, i, "nobody@example.org") >= 0; i++)
        attack_say(".");
}

static void guess_users(struct worker *w)
{
    const struct request r = question(SMTP_ABOUT_USER, 0, "nobody@example.org");

    ask_on(w, &r);
}

/* Whoever is told to come again may ask as often as it may say anything. */
static void ask_deferred(struct worker *w)
{
    const struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "later@example.org");

    ask_on(w, &r);
}

static void ask_and_not_listen(struct worker *w)
{
    const struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "later@example.org");

    for (long i = 0; i < 1000000 && attack_send(w, &r); i++)
        ;
}

/* Each answer takes two seconds. */
static void ask_slowly(struct worker *w)
{
    const struct request r = question(SMTP_ABOUT_RECIPIENT, 1, "b@example.org");

    for (int i = 0; i < 1000 && ask(w, &r) >= 0; i++)
        ;
}

#define DOTS_10 ".........."
#define DOTS_100 DOTS_10 DOTS_10 DOTS_10 DOTS_10 DOTS_10 DOTS_10 DOTS_10 DOTS_10 DOTS_10 DOTS_10

const struct attack attack_questions[] = {
    ATTACK(DECIDE, ask_of_nothing, "", "asks about no transaction", "tables"),
    ATTACK(DECIDE, ask_of_no_mailbox, "", "has a recipient that is no mailbox", "tables"),
    ATTACK(DECIDE, ask_of_no_user, "", "asks of a user that is no mailbox", "tables"),
    ATTACK(RECIPIENTS, ask_and_add, "accepted\n", "adds a recipient without a question", "tables"),
    ATTACK(RECIPIENTS, ask_and_add_refused, "refused\n", "adds a recipient without a question",
           "usual"),
    ATTACK(DECIDE, ask_far, "refused refused refused ", NULL, "traced"),
    ATTACK(RECIPIENTS, add_without_question, "", "adds a recipient without a question", "tables"),
    ATTACK(DELIVER, deliver_to_refused_one, "refused\n", "begins a message for nobody", "tables"),
    ATTACK(DECIDE, ask_again, "delivered\n", NULL, "tables"),
    ATTACK(DECIDE, ask_for_too_many, DOTS_100, "has too many recipients", "tables"),
    ATTACK(DELIVER, claim_targets, "accepted\n", "has other recipients", "tables"),
    ATTACK(RECIPIENTS, claim_target, "", "adds a recipient without a question", "tables"),
    ATTACK(DECIDE, ask_for_another_sender, "", "has another reverse-path", "tables"),
    ATTACK(DELIVER, send_from_another, "", "has another reverse-path", "tables"),
    ATTACK(DECIDE, ask_for_no_sender, "", "has a reverse-path that is none", "tables"),
    ATTACK(DECIDE, ask_for_long_sender, "", "sends what is no request", "tables"),
    ATTACK(DECIDE, ask_with_no_name, "", "has a name that is none", "tables"),
    ATTACK(DECIDE, ask_with_long_name, "", "sends what is no request", "tables"),
    ATTACK(DECIDE, ask_with_size, "", "declares a message that is too large", "tables"),
    ATTACK(DECIDE, ask_without_smtputf8, "", "has addresses that need SMTPUTF8", "tables"),
    ATTACK(DECIDE, ask_two_at_once, "", "sends what is no request", "tables"),
    ATTACK(DECIDE, ask_nothing, "", "sends what is no request", "tables"),
    ATTACK(DECIDE, ask_as_client, "", "asks what is not asked", "usual"),
    ATTACK(DECIDE, ask_as_greeting, "", "asks what is not asked", "usual"),
    ATTACK(DECIDE, ask_as_sender, "", "asks what is not asked", "usual"),
    ATTACK(DECIDE, ask_as_data, "", "asks what is not asked", "usual"),
    ATTACK(DECIDE, ask_as_vrfy, "", "asks what is not asked", "usual"),
    ATTACK(DECIDE, greet_twice, "passed ", "asks twice", "steps"),
    ATTACK(DECIDE, mail_twice, "passed passed passed ", "asks twice", "steps"),
    ATTACK(DECIDE, data_for_nobody, "passed passed passed ", "asks about a message for nobody",
           "steps"),
    ATTACK(DECIDE, greet_without_client, "", "goes on without leave", "steps"),
    ATTACK(DECIDE, mail_without_greeting, "passed ", "goes on without leave", "steps"),
    ATTACK(DECIDE, mail_by_another_name, "passed passed ", "goes on without leave", "steps"),
    ATTACK(DELIVER, deliver_without_sender, "passed passed ", "goes on without leave", "steps"),
    ATTACK(DELIVER, deliver_without_data, "passed passed passed ", "goes on without leave",
           "steps"),
    ATTACK(DELIVER, deliver_next, "passed passed passed passed delivered\n",
           "goes on without leave", "steps"),
    ATTACK(RECIPIENTS, recipient_after_data, "passed passed passed passed ",
           "has a recipient after DATA", "steps"),
    ATTACK(DECIDE, pass_all, "passed passed passed passed delivered\n", NULL, "steps"),
    ATTACK(DELIVER, go_on_as_client, "refused ", "goes on without leave", "no_client"),
    ATTACK(DELIVER, go_on_as_greeting, "refused ", "goes on without leave", "no_greeting"),
    ATTACK(DELIVER, go_on_as_sender, "refused ", "goes on without leave", "no_sender"),
    ATTACK(DELIVER, go_on_as_data, "refused ", "goes on without leave", "no_data"),
    ATTACK(DELIVER, go_on_without_name, "refused ", "has not greeted", "no_greeting"),
    ATTACK(DECIDE, ask_within_message, "", "asks within a message", "tables"),
    ATTACK(DECIDE, guess, ".......", "asks on after too many refusals", "tables"),
    ATTACK(DECIDE, guess_in_turn, ".......", "asks on after too many refusals", "tables"),
    ATTACK(DECIDE, guess_users, "......", "asks on after too many refusals", "tables"),
    ATTACK(DECIDE, ask_deferred, DOTS_100 DOTS_10, "has too many requests", "few"),
    ATTACK(DECIDE, ask_and_not_listen, "", "", "tables"),
    ATTACK(DECIDE, ask_slowly, "", "outlives its time", "slow"),
    {.name = NULL},
};
