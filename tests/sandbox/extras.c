/* Parameters that the command honours (smtp/extra.h), as a compromised worker may name them. */
#include "attack.h"

/* One recipient with its own, and the message with the sender's. */
static void mail_with(struct worker *w, struct span extras, const char *recipient, size_t n)
{
    struct request r = attack_message(1, 1, "Subject: x\n\nmail\n");

    attack_add(w, 1, (struct span){.p = recipient, .n = n});
    r.extras = extras;
    attack_deliver(w, r);
}

#define TO(extras) "b@example.org\0" extras, sizeof "b@example.org\0" extras - 1
#define TO_NOBODY_SPECIAL "b@example.org", sizeof "b@example.org" - 1

static void sender_unoffered(struct worker *w)
{
    mail_with(w, SPAN("RET=FULL"), TO_NOBODY_SPECIAL);
}

static void recipient_unoffered(struct worker *w)
{
    mail_with(w, SPAN(""), TO("NOTIFY=NEVER"));
}

static void extras(struct worker *w)
{
    mail_with(w, SPAN("RET=HDRS ENVID=a+2Bb"), TO("NOTIFY=NEVER ORCPT=utf-8;a\\x{2B}b"));
    attack_quit(w, 1);
}

static void other_unoffered(struct worker *w)
{
    mail_with(w, SPAN("RET=HDRS MT-PRIORITY=3"), TO_NOBODY_SPECIAL);
}

static void line_end_in_envid(struct worker *w)
{
    mail_with(w, SPAN("ENVID=a+0Ab"), TO_NOBODY_SPECIAL);
}

static void line_end_in_list(struct worker *w)
{
    mail_with(w, SPAN("RET=FULL\nENVID=a"), TO_NOBODY_SPECIAL);
}

static void nul_in_list(struct worker *w)
{
    mail_with(w, SPAN(""), TO("NOTIFY=NEVER\0x"));
}

static void usual_in_list(struct worker *w)
{
    mail_with(w, SPAN("SIZE=5"), TO_NOBODY_SPECIAL);
}

static void senders_of_recipient(struct worker *w)
{
    mail_with(w, SPAN(""), TO("RET=FULL"));
}

static void twice_in_list(struct worker *w)
{
    mail_with(w, SPAN("RET=FULL RET=FULL"), TO_NOBODY_SPECIAL);
}

static void utf8_without_parameter(struct worker *w)
{
    mail_with(w, SPAN(""), TO("ORCPT=utf-8;\xc3\xa4@x"));
}

const struct attack attack_extras[] = {
    ATTACK(DELIVER, sender_unoffered, "", "has parameters that it was not offered", "usual"),
    ATTACK(RECIPIENTS, recipient_unoffered, "", "has parameters that it was not offered", "usual"),
    ATTACK(DELIVER, extras, "delivered\n", NULL, "dsn"),
    ATTACK(DELIVER, other_unoffered, "", "has parameters that it was not offered", "dsn"),
    ATTACK(DELIVER, line_end_in_envid, "", "has parameters that it was not offered", "dsn"),
    ATTACK(DELIVER, line_end_in_list, "", "has parameters that it was not offered", "dsn"),
    ATTACK(RECIPIENTS, nul_in_list, "", "has parameters that it was not offered", "dsn"),
    ATTACK(DELIVER, usual_in_list, "", "has parameters that it was not offered", "dsn"),
    ATTACK(RECIPIENTS, senders_of_recipient, "", "has parameters that it was not offered", "dsn"),
    ATTACK(DELIVER, twice_in_list, "", "has parameters that it was not offered", "dsn"),
    ATTACK(DELIVER, utf8_without_parameter, "", "has addresses that need SMTPUTF8", "dsn"),
    {.name = NULL},
};
