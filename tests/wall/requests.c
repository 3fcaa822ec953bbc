/* What a walled process may say, and what it must not be believed. */
#include "attack.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Requests: an honest one, of which something is changed. */

static struct request honest(enum request_kind kind, uint64_t transaction)
{
    return (struct request){.kind = kind,
                            .transaction = transaction,
                            .esmtp = true,
                            .before = SMTP_RCPT,
                            .phase = SMTP_RCPT,
                            .helo = SPAN("client.example.com"),
                            .address = SPAN("a@example.com")};
}

static bool put(struct ask *a, const struct request *r)
{
    a->room.n = 0;
    request_write(&a->room, r);
    return send(a->fd, a->room.p, a->room.n, MSG_NOSIGNAL) == (ssize_t)a->room.n;
}

/* The first number of the answer; -1: there is none. */
static long hear(struct ask *a)
{
    struct packet answer;
    const ssize_t n = recv(a->fd, a->room.p, a->room.cap, 0);

    answer = (struct packet){.left = {.p = a->room.p, .n = n > 0 ? (size_t)n : 0}};
    return n > 0 ? (long)packet_number(&answer) : -1;
}

static long recipient(struct ask *a, uint64_t transaction, uint64_t before, struct span address)
{
    struct request r = honest(REQUEST_DECIDE, transaction);

    r.recipients = before;
    r.address = address;
    return put(a, &r) ? hear(a) : -1;
}

static struct request message(struct ask *a, uint64_t transaction, uint64_t recipients,
                              const char *text)
{
    struct request r = honest(REQUEST_DELIVER, transaction);

    r.begins = true;
    r.recipients = recipients;
    r.octets = strlen(text);
    r.size = r.octets;
    for (const char *c = text; *c != '\0'; c++)
        r.size += *c == '\n';
    memcpy(a->shared, text, r.octets);
    return r;
}

static void send_mail_of(struct ask *a, uint64_t transaction)
{
    struct request r = message(a, transaction, 1, "Subject: x\n\nmail\n");

    if (recipient(a, transaction, 0, SPAN("b@example.org")) == SMTP_ACCEPT && put(a, &r) &&
        hear(a) == 1)
        attack_say("delivered\n");
}

/* What an attacker can do: send mail, as any client can. */
static void send_mail(struct ask *a)
{
    struct request r = honest(REQUEST_CLOSE, 1);

    send_mail_of(a, 1);
    r.word = SPAN("quit");
    put(a, &r);
    _exit(0);
}

static void ask_for_relay(struct ask *a)
{
    attack_say(recipient(a, 1, 0, SPAN("b@elsewhere.example")) == SMTP_REFUSE ? "refused\n"
                                                                              : "not refused\n");
    attack_say(recipient(a, 1, 0, SPAN("b@elsewhere.example")) == SMTP_REFUSE ? "refused\n"
                                                                              : "not refused\n");
}

static void deliver_to_refused(struct ask *a)
{
    struct request r = message(a, 1, 1, "x\n");

    recipient(a, 1, 0, SPAN("b@elsewhere.example"));
    if (put(a, &r) && hear(a) >= 0)
        attack_say("delivered\n");
}

static void deliver_to_nobody(struct ask *a)
{
    struct request r = message(a, 1, 0, "x\n");

    if (put(a, &r) && hear(a) >= 0)
        attack_say("delivered\n");
}

static void deliver_to_more(struct ask *a)
{
    struct request r = message(a, 1, 2, "x\n");

    recipient(a, 1, 0, SPAN("b@example.org"));
    if (put(a, &r) && hear(a) >= 0)
        attack_say("delivered\n");
}

static void deliver_twice(struct ask *a)
{
    struct request r;

    send_mail_of(a, 1);
    r = message(a, 1, 1, "x\n");
    if (put(a, &r) && hear(a) >= 0)
        attack_say("delivered again\n");
}

static void recipient_after_end(struct ask *a)
{
    send_mail_of(a, 1);
    if (recipient(a, 1, 0, SPAN("b@example.org")) >= 0)
        attack_say("taken\n");
}

static void go_back(struct ask *a)
{
    send_mail_of(a, 2);
    if (recipient(a, 1, 0, SPAN("b@example.org")) >= 0)
        attack_say("taken\n");
}

static void too_many_transactions(struct ask *a)
{
    if (recipient(a, 100000, 0, SPAN("b@example.org")) >= 0)
        attack_say("taken\n");
}

static void too_many_recipients(struct ask *a)
{
    for (uint64_t i = 0; i < 101; i++)
        if (recipient(a, 1, i, SPAN("b@example.org")) < 0)
            return;
    attack_say("taken\n");
}

static void try_address(struct ask *a, struct span address)
{
    if (recipient(a, 1, 0, address) >= 0)
        attack_say("taken\n");
}

static void two_lines_address(struct ask *a)
{
    try_address(a, SPAN("b@example.org>\r\nRCPT TO:<c@example.org"));
}

static void nul_address(struct ask *a)
{
    try_address(a, SPAN("b\0c@example.org"));
}

static void long_address(struct ask *a)
{
    static char long_one[1000];

    memset(long_one, 'a', sizeof long_one);
    memcpy(long_one + sizeof long_one - 12, "@example.org", 12);
    try_address(a, (struct span){.p = long_one, .n = sizeof long_one});
}

static void no_address(struct ask *a)
{
    try_address(a, SPAN(""));
}

static void try_message(struct ask *a, struct request *r)
{
    recipient(a, r->transaction, 0, SPAN("b@example.org"));
    if (put(a, r) && hear(a) >= 0)
        attack_say("delivered\n");
}

static void forge_sender(struct ask *a)
{
    struct request r = message(a, 1, 1, "x\n");

    r.address = SPAN("a@example.com>\nX-Forged: yes");
    try_message(a, &r);
}

static void forge_helo(struct ask *a)
{
    struct request r = message(a, 1, 1, "x\n");

    r.helo = SPAN("x\nX-Forged: yes");
    try_message(a, &r);
}

static void forge_size(struct ask *a)
{
    struct request r = message(a, 1, 1, "x\n");

    r.size++;
    try_message(a, &r);
}

static void more_octets(struct ask *a)
{
    struct request r = message(a, 1, 1, "x\n");

    r.octets = 1 << 20;
    try_message(a, &r);
}

static void utf8_without_leave(struct ask *a)
{
    struct request r = message(a, 1, 1, "x\n");

    r.address = SPAN("\xc3\xa4@example.com");
    try_message(a, &r);
}

static void endless_message(struct ask *a)
{
    struct request r = honest(REQUEST_BYTES, 1);

    recipient(a, 1, 0, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = a->cap;
    for (int i = 0; i < 100 && put(a, &r) && hear(a) >= 0; i++)
        r.begins = false;
}

static void octets_of_nothing(struct ask *a)
{
    struct request r = honest(REQUEST_BYTES, 1);

    r.octets = 1;
    if (put(a, &r) && hear(a) >= 0)
        attack_say("taken\n");
}

static void garbage(struct ask *a)
{
    send(a->fd, "garbage", 7, MSG_NOSIGNAL);
    hear(a);
}

static void too_long(struct ask *a)
{
    send(a->fd, a->shared, 40000, MSG_NOSIGNAL);
    hear(a);
}

static void no_kind(struct ask *a)
{
    struct request r = honest((enum request_kind)0, 1);

    put(a, &r);
    hear(a);
}

/* What others read in the log is not this one's to write. */
static void forge_log(struct ask *a)
{
    struct request r = honest(REQUEST_AFTER, 0);

    r.phase = r.before = SMTP_GREETED;
    r.reply = (struct smtp_reply){
        .code = 550, .text = SPAN("x\nsmtpin[1]: session session=forged"), .rule = "relay"};
    r.judged = SPAN("x\" client_address=192.0.2.66 rule=\"relay");
    put(a, &r);
    r.reply.rule = "a b";
    put(a, &r);
    hear(a);
}

static void flood(struct ask *a)
{
    struct request r = honest(REQUEST_TELL, 0);

    for (long i = 0; i < 10000000 && put(a, &r); i++)
        ;
}

static void close_twice(struct ask *a)
{
    struct request r = honest(REQUEST_CLOSE, 0);

    r.word = SPAN("quit");
    put(a, &r);
    put(a, &r);
    _exit(0);
}

static void crash(struct ask *a)
{
    (void)a;
    static volatile size_t nowhere = 8;

    *(volatile int *)nowhere = 1;
}

static void leave(struct ask *a)
{
    (void)a;
    _exit(0);
}

static void take_no_answers(struct ask *a)
{
    struct request r = honest(REQUEST_DECIDE, 1);

    r.address = SPAN("b@elsewhere.example");
    while (put(a, &r))
        ;
}

static void stay(void)
{
    poll(NULL, 0, -1);
}

static void close_and_stay(struct ask *a)
{
    struct request r = honest(REQUEST_CLOSE, 0);

    r.word = SPAN("quit");
    put(a, &r);
    stay();
}

static void hang_up_and_stay(struct ask *a)
{
    close(a->fd);
    stay();
}

static void shut_and_stay(struct ask *a)
{
    shutdown(a->fd, SHUT_WR);
    stay();
}

static void empty_and_stay(struct ask *a)
{
    send(a->fd, "", 0, MSG_NOSIGNAL);
    stay();
}

static void endless_nothing(struct ask *a)
{
    struct request r = honest(REQUEST_BYTES, 1);

    recipient(a, 1, 0, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    while (put(a, &r) && hear(a) >= 0)
        r.begins = false;
}

static void busy(struct ask *a)
{
    struct request r = honest(REQUEST_BYTES, 1);

    recipient(a, 1, 0, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = a->cap;
    for (int i = 0; i < 10 && put(a, &r) && hear(a) >= 0; i++) {
        r.begins = false;
        poll(NULL, 0, 2000);
    }
}

static void two_for_single(struct ask *a)
{
    if (recipient(a, 1, 0, SPAN("b@example.org")) >= 0 &&
        recipient(a, 1, 1, SPAN("c@example.org")) >= 0)
        attack_say("taken\n");
}

static void one_transaction_too_many(struct ask *a)
{
    if (recipient(a, 1001, 0, SPAN("b@example.org")) >= 0)
        attack_say("taken\n");
}

/* A message has begun, and is not at its end. */
static void begin_message(struct ask *a)
{
    struct request r = honest(REQUEST_BYTES, 1);

    recipient(a, 1, 0, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = 10;
    put(a, &r);
    hear(a);
}

static void log_within_message(struct ask *a)
{
    struct request r = honest(REQUEST_AFTER, 1);

    begin_message(a);
    put(a, &r);
    hear(a);
}

static void give_up_good_message(struct ask *a)
{
    struct request r = honest(REQUEST_FINISH, 1);

    begin_message(a);
    r.recipients = 1;
    r.ended = true;
    put(a, &r);
    hear(a);
}

static void invent_transactions(struct ask *a)
{
    struct request r = honest(REQUEST_AFTER, 1);

    r.before = SMTP_MAIL;
    r.phase = SMTP_GREETED;
    for (int i = 0; i < 100 && put(a, &r); i++)
        ;
    hear(a);
}

static void many_errors(struct ask *a)
{
    struct request r = honest(REQUEST_AFTER, 0);

    r.before = r.phase = SMTP_GREETED;
    r.reply = (struct smtp_reply){.code = 550, .text = SPAN("no"), .rule = "relay"};
    for (int i = 0; i < 1000 && put(a, &r); i++)
        ;
    hear(a);
}

/* The recording's own descriptor is the one between the connection and the way to ask. */
static void write_far(struct ask *a)
{
    struct request r = message(a, 1, 1, "x\n");

    for (int fd = 2; fd < a->fd; fd++) {
        lseek(fd, (off_t)1 << 40, SEEK_SET);
        (void)!ftruncate(fd, (off_t)1 << 40);
        for (int i = 0; i < 100; i++)
            (void)!write(fd, a->shared, 1000);
    }
    r.boundary = UINT64_MAX - 1;
    try_message(a, &r);
    r = honest(REQUEST_CLOSE, 1);
    put(a, &r);
    _exit(0);
}

#define ATTACK(name)                                                                               \
    {                                                                                              \
#name, name                                                                                \
    }

const struct attack attack_requests[] = {
    ATTACK(send_mail),
    ATTACK(ask_for_relay),
    ATTACK(deliver_to_refused),
    ATTACK(deliver_to_nobody),
    ATTACK(deliver_to_more),
    ATTACK(deliver_twice),
    ATTACK(recipient_after_end),
    ATTACK(go_back),
    ATTACK(too_many_transactions),
    ATTACK(too_many_recipients),
    ATTACK(two_lines_address),
    ATTACK(nul_address),
    ATTACK(long_address),
    ATTACK(no_address),
    ATTACK(forge_sender),
    ATTACK(forge_helo),
    ATTACK(forge_size),
    ATTACK(more_octets),
    ATTACK(utf8_without_leave),
    ATTACK(endless_message),
    ATTACK(octets_of_nothing),
    ATTACK(garbage),
    ATTACK(too_long),
    ATTACK(no_kind),
    ATTACK(forge_log),
    ATTACK(flood),
    ATTACK(close_twice),
    ATTACK(crash),
    ATTACK(leave),
    ATTACK(take_no_answers),
    ATTACK(close_and_stay),
    ATTACK(hang_up_and_stay),
    ATTACK(shut_and_stay),
    ATTACK(empty_and_stay),
    ATTACK(endless_nothing),
    ATTACK(busy),
    ATTACK(two_for_single),
    ATTACK(one_transaction_too_many),
    ATTACK(log_within_message),
    ATTACK(give_up_good_message),
    ATTACK(invent_transactions),
    ATTACK(many_errors),
    ATTACK(write_far),
    {NULL, NULL},
};
