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

/* A list of one. */
static void recipient(struct ask *a, uint64_t transaction, struct span address)
{
    struct request r = honest(REQUEST_RECIPIENTS, transaction);
    char room[REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    packet_put(&added, address);
    r.added = text_span(&added);
    put(a, &r);
}

static struct request message(uint64_t transaction, uint64_t recipients, const char *text)
{
    struct request r = honest(REQUEST_DELIVER, transaction);

    r.begins = true;
    r.recipients = recipients;
    r.octets = span_of(text);
    r.size = r.octets.n;
    for (const char *c = text; *c != '\0'; c++)
        r.size += *c == '\n';
    return r;
}

static void send_mail_of(struct ask *a, uint64_t transaction)
{
    struct request r = message(transaction, 1, "Subject: x\n\nmail\n");

    recipient(a, transaction, SPAN("b@example.org"));
    if (put(a, &r) && hear(a) == 1)
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

/* Whoever is still there for an ordinary request: what came before was taken. */
static void look(struct ask *a)
{
    send_mail_of(a, 999);
}

static void add_refused(struct ask *a)
{
    recipient(a, 1, SPAN("b@elsewhere.example"));
    look(a);
}

static void deliver_to_refused(struct ask *a)
{
    struct request r = message(1, 1, "x\n");
    char room[REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    packet_put(&added, SPAN("b@elsewhere.example"));
    r.added = text_span(&added);
    if (put(a, &r) && hear(a) >= 0)
        attack_say("delivered\n");
}

static void damaged_list(struct ask *a)
{
    struct request r = honest(REQUEST_RECIPIENTS, 1);

    r.added = SPAN("\377\0\0\0\0\0\0\0b@example.org");
    put(a, &r);
    look(a);
}

static void long_list(struct ask *a)
{
    struct request r = honest(REQUEST_RECIPIENTS, 1);
    char room[2 * REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    while (!added.cut)
        packet_put(&added, SPAN("b@example.org"));
    r.added = text_span(&added);
    put(a, &r);
    look(a);
}

static void deliver_to_nobody(struct ask *a)
{
    struct request r = message(1, 0, "x\n");

    if (put(a, &r) && hear(a) >= 0)
        attack_say("delivered\n");
}

static void deliver_to_more(struct ask *a)
{
    struct request r = message(1, 2, "x\n");

    recipient(a, 1, SPAN("b@example.org"));
    if (put(a, &r) && hear(a) >= 0)
        attack_say("delivered\n");
}

static void deliver_twice(struct ask *a)
{
    struct request r;

    send_mail_of(a, 1);
    r = message(1, 1, "x\n");
    if (put(a, &r) && hear(a) >= 0)
        attack_say("delivered again\n");
}

static void recipient_after_end(struct ask *a)
{
    send_mail_of(a, 1);
    recipient(a, 1, SPAN("b@example.org"));
    look(a);
}

static void go_back(struct ask *a)
{
    send_mail_of(a, 2);
    recipient(a, 1, SPAN("b@example.org"));
    look(a);
}

static void too_many_transactions(struct ask *a)
{
    recipient(a, 100000, SPAN("b@example.org"));
    look(a);
}

static void too_many_recipients(struct ask *a)
{
    for (uint64_t i = 0; i < 101; i++)
        recipient(a, 1, SPAN("b@example.org"));
    look(a);
}

static void try_address(struct ask *a, struct span address)
{
    recipient(a, 1, address);
    look(a);
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
    static char long_one[REQUEST_ADDRESS_MAX];

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
    recipient(a, r->transaction, SPAN("b@example.org"));
    if (put(a, r) && hear(a) >= 0)
        attack_say("delivered\n");
}

static void forge_sender(struct ask *a)
{
    struct request r = message(1, 1, "x\n");

    r.address = SPAN("a@example.com>\nX-Forged: yes");
    try_message(a, &r);
}

static void forge_helo(struct ask *a)
{
    struct request r = message(1, 1, "x\n");

    r.helo = SPAN("x\nX-Forged: yes");
    try_message(a, &r);
}

static void forge_size(struct ask *a)
{
    struct request r = message(1, 1, "x\n");

    r.size++;
    try_message(a, &r);
}

static void more_octets(struct ask *a)
{
    struct request r = message(1, 1, "x\n");

    r.octets = (struct span){.p = request_octets(&a->room), .n = REQUEST_OCTETS_MAX + 1};
    try_message(a, &r);
}

static void utf8_without_leave(struct ask *a)
{
    struct request r = message(1, 1, "x\n");

    r.address = SPAN("\xc3\xa4@example.com");
    try_message(a, &r);
}

static void endless_message(struct ask *a)
{
    struct request r = honest(REQUEST_OCTETS, 1);

    recipient(a, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = (struct span){.p = request_octets(&a->room), .n = REQUEST_OCTETS_MAX};
    for (int i = 0; i < 100 && put(a, &r); i++)
        r.begins = false;
    hear(a);
}

static void octets_of_nothing(struct ask *a)
{
    struct request r = honest(REQUEST_OCTETS, 1);

    r.octets = SPAN("x");
    put(a, &r);
    look(a);
}

static void garbage(struct ask *a)
{
    send(a->fd, "garbage", 7, MSG_NOSIGNAL);
    hear(a);
}

static void too_long(struct ask *a)
{
    send(a->fd, a->room.p, PACKET_MAX + 1, MSG_NOSIGNAL);
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
    for (uint64_t i = 1;; i++) {
        struct request r = message(i, 1, "x\n");

        recipient(a, i, SPAN("b@example.org"));
        if (!put(a, &r))
            break;
    }
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
    struct request r = honest(REQUEST_OCTETS, 1);

    recipient(a, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    while (put(a, &r))
        r.begins = false;
}

static void busy(struct ask *a)
{
    struct request r = honest(REQUEST_OCTETS, 1);

    recipient(a, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = (struct span){.p = request_octets(&a->room), .n = REQUEST_OCTETS_MAX};
    for (int i = 0; i < 10 && put(a, &r); i++) {
        r.begins = false;
        poll(NULL, 0, 2000);
    }
}

static void two_for_single(struct ask *a)
{
    recipient(a, 1, SPAN("b@example.org"));
    recipient(a, 1, SPAN("c@example.org"));
    look(a);
}

static void one_transaction_too_many(struct ask *a)
{
    recipient(a, 1001, SPAN("b@example.org"));
    look(a);
}

/* A message has begun, and is not at its end. */
static void begin_message(struct ask *a)
{
    struct request r = honest(REQUEST_OCTETS, 1);

    recipient(a, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = SPAN("Subject: x");
    put(a, &r);
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
    struct request r = message(1, 1, "x\n");

    for (int fd = 2; fd < a->fd; fd++) {
        lseek(fd, (off_t)1 << 40, SEEK_SET);
        (void)!ftruncate(fd, (off_t)1 << 40);
        for (int i = 0; i < 100; i++)
            (void)!write(fd, a->room.p, 1000);
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
    ATTACK(add_refused),
    ATTACK(deliver_to_refused),
    ATTACK(damaged_list),
    ATTACK(long_list),
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
