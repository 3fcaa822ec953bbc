/* What a walled process may say, and what it must not be believed. */
#include "attack.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Requests: an honest one, of which something is changed. */

struct request attack_honest(enum request_kind kind, uint64_t transaction)
{
    return (struct request){.kind = kind,
                            .transaction = transaction,
                            .esmtp = true,
                            .before = SMTP_RCPT,
                            .phase = SMTP_RCPT,
                            .helo = SPAN("client.example.com"),
                            .address = SPAN("a@example.com")};
}

bool attack_put(struct ask *a, const struct request *r)
{
    request_write(&a->room, r);
    return send(a->fd, a->room.p, a->room.n, MSG_NOSIGNAL) == (ssize_t)a->room.n;
}

long attack_hear(struct ask *a)
{
    struct packet answer;
    const ssize_t n = recv(a->fd, a->room.p, a->room.cap, 0);

    answer = (struct packet){.left = {.p = a->room.p, .n = n > 0 ? (size_t)n : 0}};
    for (int i = 0; i < 3; i++)
        packet_number(&answer);
    return n > 0 ? (long)packet_number(&answer) : -1;
}

/* A list of one. */
void attack_add(struct ask *a, uint64_t transaction, struct span address)
{
    struct request r = attack_honest(REQUEST_RECIPIENTS, transaction);
    char room[REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    packet_put(&added, address);
    r.added = text_span(&added);
    attack_put(a, &r);
}

struct request attack_message(uint64_t transaction, uint64_t recipients, const char *text)
{
    struct request r = attack_honest(REQUEST_DELIVER, transaction);

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
    struct request r = attack_message(transaction, 1, "Subject: x\n\nmail\n");

    attack_add(a, transaction, SPAN("b@example.org"));
    if (attack_put(a, &r) && attack_hear(a) == 250)
        attack_say("delivered\n");
}

/* What an attacker can do: send mail, as any client can. */
static void send_mail(struct ask *a)
{
    struct request r = attack_honest(REQUEST_CLOSE, 1);

    send_mail_of(a, 1);
    r.word = SPAN("quit");
    attack_put(a, &r);
    _exit(0);
}

/* Whoever is still there for an ordinary request: what came before was taken. */
static void look(struct ask *a)
{
    send_mail_of(a, 999);
}

static void add_refused(struct ask *a)
{
    attack_add(a, 1, SPAN("b@elsewhere.example"));
    look(a);
}

static void deliver_to_refused(struct ask *a)
{
    struct request r = attack_message(1, 1, "x\n");
    char room[REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    packet_put(&added, SPAN("b@elsewhere.example"));
    r.added = text_span(&added);
    if (attack_put(a, &r) && attack_hear(a) >= 0)
        attack_say("delivered\n");
}

static void damaged_list(struct ask *a)
{
    struct request r = attack_honest(REQUEST_RECIPIENTS, 1);

    r.added = SPAN("\377\0\0\0\0\0\0\0b@example.org");
    attack_put(a, &r);
    look(a);
}

static void long_list(struct ask *a)
{
    struct request r = attack_honest(REQUEST_RECIPIENTS, 1);
    char room[2 * REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    while (!added.cut)
        packet_put(&added, SPAN("b@example.org"));
    r.added = text_span(&added);
    attack_put(a, &r);
    look(a);
}

static void deliver_to_nobody(struct ask *a)
{
    struct request r = attack_message(1, 0, "x\n");

    if (attack_put(a, &r) && attack_hear(a) >= 0)
        attack_say("delivered\n");
}

static void deliver_to_more(struct ask *a)
{
    struct request r = attack_message(1, 2, "x\n");

    attack_add(a, 1, SPAN("b@example.org"));
    if (attack_put(a, &r) && attack_hear(a) >= 0)
        attack_say("delivered\n");
}

static void deliver_twice(struct ask *a)
{
    struct request r;

    send_mail_of(a, 1);
    r = attack_message(1, 1, "x\n");
    if (attack_put(a, &r) && attack_hear(a) >= 0)
        attack_say("delivered again\n");
}

static void recipient_after_end(struct ask *a)
{
    send_mail_of(a, 1);
    attack_add(a, 1, SPAN("b@example.org"));
    look(a);
}

static void go_back(struct ask *a)
{
    send_mail_of(a, 2);
    attack_add(a, 1, SPAN("b@example.org"));
    look(a);
}

static void too_many_transactions(struct ask *a)
{
    attack_add(a, 100000, SPAN("b@example.org"));
    look(a);
}

static void too_many_recipients(struct ask *a)
{
    for (uint64_t i = 0; i < 101; i++)
        attack_add(a, 1, SPAN("b@example.org"));
    look(a);
}

static void try_address(struct ask *a, struct span address)
{
    attack_add(a, 1, address);
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
    static char long_one[SMTP_ADDRESS_MAX];

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
    attack_add(a, r->transaction, SPAN("b@example.org"));
    if (attack_put(a, r) && attack_hear(a) >= 0)
        attack_say("delivered\n");
}

static void forge_sender(struct ask *a)
{
    struct request r = attack_message(1, 1, "x\n");

    r.address = SPAN("a@example.com>\nX-Forged: yes");
    try_message(a, &r);
}

static void forge_helo(struct ask *a)
{
    struct request r = attack_message(1, 1, "x\n");

    r.helo = SPAN("x\nX-Forged: yes");
    try_message(a, &r);
}

static void forge_size(struct ask *a)
{
    struct request r = attack_message(1, 1, "x\n");

    r.size++;
    try_message(a, &r);
}

static void more_octets(struct ask *a)
{
    struct request r = attack_message(1, 1, "x\n");

    r.octets = (struct span){.p = request_octets(&a->room), .n = REQUEST_OCTETS_MAX + 1};
    try_message(a, &r);
}

/* Octets where none belong, so that it may not count as a request. */
static void padded(struct ask *a)
{
    struct request r = attack_honest(REQUEST_TELL, 0);

    r.octets = (struct span){.p = request_octets(&a->room), .n = REQUEST_OCTETS_FEW};
    attack_put(a, &r);
    look(a);
}

/* A transaction has one message, whatever became of it. */
static void second_message(struct ask *a)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    attack_add(a, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    attack_put(a, &r);
    r = attack_honest(REQUEST_FINISH, 1);
    r.recipients = 1;
    attack_put(a, &r);
    r.begins = true;
    attack_put(a, &r);
    look(a);
}

static void utf8_without_leave(struct ask *a)
{
    struct request r = attack_message(1, 1, "x\n");

    r.address = SPAN("\xc3\xa4@example.com");
    try_message(a, &r);
}

static void octets_of_nothing(struct ask *a)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    r.octets = SPAN("x");
    attack_put(a, &r);
    look(a);
}

static void no_kind(struct ask *a)
{
    struct request r = attack_honest((enum request_kind)0, 1);

    attack_put(a, &r);
    attack_hear(a);
}

/* What others read in the log is not this one's to write. */
static void forge_log(struct ask *a)
{
    struct request r = attack_honest(REQUEST_AFTER, 0);

    r.phase = r.before = SMTP_GREETED;
    r.reply = (struct smtp_reply){
        .code = 550, .text = SPAN("x\nsmtpin[1]: session session=forged"), .rule = "relay"};
    r.judged = SPAN("x\" client_address=192.0.2.66 rule=\"relay");
    attack_put(a, &r);
    r.reply.rule = "a b";
    attack_put(a, &r);
    attack_hear(a);
}

static void two_for_single(struct ask *a)
{
    attack_add(a, 1, SPAN("b@example.org"));
    attack_add(a, 1, SPAN("c@example.org"));
    look(a);
}

static void one_transaction_too_many(struct ask *a)
{
    attack_add(a, 1001, SPAN("b@example.org"));
    look(a);
}

/* A message has begun, and is not at its end. */
static void begin_message(struct ask *a)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    attack_add(a, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = SPAN("Subject: x");
    attack_put(a, &r);
}

static void log_within_message(struct ask *a)
{
    struct request r = attack_honest(REQUEST_AFTER, 1);

    begin_message(a);
    attack_put(a, &r);
    attack_hear(a);
}

static void give_up_good_message(struct ask *a)
{
    struct request r = attack_honest(REQUEST_FINISH, 1);

    begin_message(a);
    r.recipients = 1;
    r.ended = true;
    attack_put(a, &r);
    attack_hear(a);
}

static void invent_transactions(struct ask *a)
{
    struct request r = attack_honest(REQUEST_AFTER, 1);

    r.before = SMTP_MAIL;
    r.phase = SMTP_GREETED;
    for (int i = 0; i < 100 && attack_put(a, &r); i++)
        ;
    attack_hear(a);
}

/* The recording's own descriptor is the one between the connection and the way to ask. */
static void write_far(struct ask *a)
{
    struct request r = attack_message(1, 1, "x\n");

    for (int fd = 2; fd < a->fd; fd++) {
        lseek(fd, (off_t)1 << 40, SEEK_SET);
        (void)!ftruncate(fd, (off_t)1 << 40);
        for (int i = 0; i < 100; i++)
            (void)!write(fd, a->room.p, 1000);
    }
    r.boundary = UINT64_MAX - 1;
    try_message(a, &r);
    r = attack_honest(REQUEST_CLOSE, 1);
    attack_put(a, &r);
    _exit(0);
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
    ATTACK(padded),
    ATTACK(second_message),
    ATTACK(utf8_without_leave),
    ATTACK(octets_of_nothing),
    ATTACK(no_kind),
    ATTACK(forge_log),
    ATTACK(two_for_single),
    ATTACK(one_transaction_too_many),
    ATTACK(log_within_message),
    ATTACK(give_up_good_message),
    ATTACK(invent_transactions),
    ATTACK(write_far),
    {NULL, NULL},
};
