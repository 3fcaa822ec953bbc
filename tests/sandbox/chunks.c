/* Messages that stay open over several commands (BDAT), and octets that are kept as they are. */
#include "attack.h"

/* The log hears of the step between two phases. */
static void log_step(struct worker *w, enum smtp_phase before, enum smtp_phase phase)
{
    struct request r = attack_honest(REQUEST_LOG, 1);

    r.before = before;
    r.phase = phase;
    r.reply = *smtp_reply(SMTP_REPLY_IN_CHUNKS);
    attack_send(w, &r);
}

/* The rest of the message of attack_begin_message. */
static struct request rest(const char *text, uint64_t size)
{
    struct request r = attack_message(1, 1, text);

    r.begins = false;
    r.size = size;
    return r;
}

static void refuse_between_chunks(struct worker *w)
{
    attack_begin_message(w);
    log_step(w, SMTP_CHUNKS, SMTP_CHUNKS);
    attack_deliver(w, rest("\n\nx\n", 17));
    attack_quit(w, 1);
}

static void end_between_chunks(struct worker *w)
{
    attack_begin_message(w);
    log_step(w, SMTP_CHUNKS, SMTP_GREETED);
}

static void close_between_chunks(struct worker *w)
{
    struct request r = attack_honest(REQUEST_LOG, 1);

    attack_begin_message(w);
    r.before = r.phase = SMTP_CHUNKS;
    r.close = true;
    attack_send(w, &r);
}

static void add_between_chunks(struct worker *w)
{
    attack_begin_message(w);
    log_step(w, SMTP_CHUNKS, SMTP_CHUNKS);
    attack_add(w, 1, SPAN("c@example.org"));
}

/* Its transaction has gone on in the worker: no recipients are left. */
static void give_up(struct worker *w)
{
    struct request r = attack_honest(REQUEST_FINISH, 1);

    attack_send(w, &r);
}

static void give_up_and_go_on(struct worker *w)
{
    struct request r = rest("\n\nx\n", 17);

    attack_begin_message(w);
    give_up(w);
    attack_send(w, &r);
    attack_receive(w);
}

static void give_up_and_begin(struct worker *w)
{
    attack_begin_message(w);
    give_up(w);
    log_step(w, SMTP_CHUNKS, SMTP_GREETED);
    attack_mail_to(w, 2, SPAN("b@example.org"));
    attack_quit(w, 2);
}

static void give_up_twice(struct worker *w)
{
    attack_begin_message(w);
    give_up(w);
    give_up(w);
}

static void send_binary(struct worker *w, uint64_t size)
{
    struct request r = attack_message(1, 1, "A: b\r\n\r\n\n\r\n\r");

    r.body = SMTP_BODY_BINARYMIME;
    r.size = size;
    attack_add(w, 1, SPAN("b@example.org"));
    attack_deliver(w, r);
}

static void binary_unoffered(struct worker *w)
{
    send_binary(w, 12);
}

static void binary(struct worker *w)
{
    send_binary(w, 12);
    attack_quit(w, 1);
}

static void binary_of_another_size(struct worker *w)
{
    send_binary(w, 16);
}

const struct attack attack_chunks[] = {
    ATTACK(LOG, refuse_between_chunks, "delivered\n", NULL, "usual"),
    ATTACK(LOG, end_between_chunks, "", "ends within a message", "usual"),
    ATTACK(LOG, close_between_chunks, "", "ends within a message", "usual"),
    ATTACK(RECIPIENTS, add_between_chunks, "", "has a recipient of no transaction", "usual"),
    ATTACK(DELIVER, give_up_and_go_on, "", "has octets of no message", "usual"),
    ATTACK(FINISH, give_up_and_begin, "delivered\n", NULL, "usual"),
    ATTACK(FINISH, give_up_twice, "", "has octets of no message", "usual"),
    ATTACK(DELIVER, binary_unoffered, "", "has a body that it was not offered", "usual"),
    ATTACK(DELIVER, binary, "delivered\n", NULL, "binary"),
    ATTACK(DELIVER, binary_of_another_size, "", "has a message of another size", "binary"),
    {.name = NULL},
};
