/* How a compromised worker may behave: send without end, not listen, crash, stay. */
#include "attack.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void flood(struct worker *w)
{
    struct request r = attack_honest(REQUEST_STATUS, 0);

    for (long i = 0; i < 10000000 && attack_send(w, &r); i++)
        ;
}

static void close_twice(struct worker *w)
{
    struct request r = attack_honest(REQUEST_END, 0);

    r.word = SPAN("quit");
    attack_send(w, &r);
    attack_send(w, &r);
    _exit(0);
}

static void crash(struct worker *w)
{
    (void)w;
    static volatile size_t nowhere = 8;

    *(volatile int *)nowhere = 1;
}

static void leave(struct worker *w)
{
    (void)w;
    _exit(0);
}

/* So many recipients, as many in a request as there is room for. */
static void add_many(struct worker *w, uint64_t transaction, uint64_t n)
{
    while (n > 0) {
        struct request r = attack_honest(REQUEST_RECIPIENTS, transaction);
        char room[REQUEST_ADDED_MAX];
        struct text added = TEXT(room);

        for (; n > 0 && added.cap - added.n > 32; n--)
            packet_put(&added, SPAN("b@example.org"));
        r.added = text_span(&added);
        attack_send(w, &r);
    }
}

/* Large answers: there is no room for more of them after a few. */
static void take_no_answers(struct worker *w)
{
    for (uint64_t i = 1;; i++) {
        struct request r = attack_message(i, 100, "x\n");

        add_many(w, i, 100);
        if (!attack_send(w, &r))
            break;
    }
}

/* One answer, a packet at a time: for ever, where each has a time of its own. */
static void take_answer_slowly(struct worker *w)
{
    struct request r = attack_message(1, 5000, "x\n");

    add_many(w, 1, 5000);
    attack_send(w, &r);
    for (int i = 0; i < 100 && attack_receive(w) >= 0; i++)
        poll(NULL, 0, 3000);
}

static void stay(void)
{
    poll(NULL, 0, -1);
}

static void close_and_stay(struct worker *w)
{
    struct request r = attack_honest(REQUEST_END, 0);

    r.word = SPAN("quit");
    attack_send(w, &r);
    stay();
}

static void hang_up_and_stay(struct worker *w)
{
    close(w->fd);
    stay();
}

static void shut_and_stay(struct worker *w)
{
    shutdown(w->fd, SHUT_WR);
    stay();
}

static void empty_and_stay(struct worker *w)
{
    send(w->fd, "", 0, MSG_NOSIGNAL);
    stay();
}

static void endless_nothing(struct worker *w)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    attack_add(w, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    while (attack_send(w, &r))
        r.begins = false;
}

static void busy(struct worker *w)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    attack_add(w, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = (struct span){.p = request_octets(&w->room), .n = REQUEST_OCTETS_MAX};
    for (int i = 0; i < 10 && attack_send(w, &r); i++) {
        r.begins = false;
        poll(NULL, 0, 2000);
    }
}

static void many_errors(struct worker *w)
{
    struct request r = attack_honest(REQUEST_LOG, 0);

    r.before = r.phase = SMTP_GREETED;
    r.reply = (struct smtp_reply){.code = 550, .text = SPAN("no"), .rule = "relay"};
    for (int i = 0; i < 1000 && attack_send(w, &r); i++)
        ;
    attack_receive(w);
}

static void endless_message(struct worker *w)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    attack_add(w, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = (struct span){.p = request_octets(&w->room), .n = REQUEST_OCTETS_MAX};
    for (int i = 0; i < 100 && attack_send(w, &r); i++)
        r.begins = false;
    attack_receive(w);
}

static void garbage(struct worker *w)
{
    send(w->fd, "garbage", 7, MSG_NOSIGNAL);
    attack_receive(w);
}

static void too_long(struct worker *w)
{
    send(w->fd, w->room.p, PACKET_MAX + 1, MSG_NOSIGNAL);
    attack_receive(w);
}

const struct attack attack_conduct[] = {
    ATTACK(STATUS, flood, "", "has too many requests", "small"),
    ATTACK(END, close_twice, "", NULL, "usual"),
    ATTACK(NONE, crash, "", "", "usual"),
    ATTACK(NONE, leave, "", "", "usual"),
    ATTACK(DELIVER, take_no_answers, "", "takes no answer", "usual"),
    ATTACK(DELIVER, take_answer_slowly, "", "takes no answer", "many"),
    ATTACK(END, close_and_stay, "", "does not end", "usual"),
    ATTACK(NONE, hang_up_and_stay, "", "", "usual"),
    ATTACK(NONE, shut_and_stay, "", "", "usual"),
    ATTACK(NONE, empty_and_stay, "", "", "usual"),
    ATTACK(OCTETS, endless_nothing, "", "has too many requests", "usual"),
    ATTACK(OCTETS, busy, "", "outlives its time", "hung"),
    ATTACK(LOG, many_errors, "", "has too many errors", "usual"),
    ATTACK(OCTETS, endless_message, "", "has a message that is too large", "small"),
    ATTACK(NONE, garbage, "", "sends what is no request", "usual"),
    ATTACK(NONE, too_long, "", "sends what is no request", "usual"),
    {.name = NULL},
};
