/* What a compromised worker may send, and what it must not be believed. */
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

bool attack_send(struct worker *w, const struct request *r)
{
    request_write(&w->room, r);
    return send(w->fd, w->room.p, w->room.n, MSG_NOSIGNAL) == (ssize_t)w->room.n;
}

static bool receive_answer(struct worker *w, struct packet *answer)
{
    const ssize_t n = recv(w->fd, w->room.p, w->room.cap, 0);

    *answer = (struct packet){.left = {.p = w->room.p, .n = n > 0 ? (size_t)n : 0}};
    return n > 0;
}

bool attack_ask(struct worker *w, const struct request *r, struct packet *answer)
{
    return attack_send(w, r) && receive_answer(w, answer);
}

long attack_receive(struct worker *w)
{
    struct packet answer;

    if (!receive_answer(w, &answer))
        return -1;
    for (int i = 0; i < 3; i++)
        packet_number(&answer);
    return (long)packet_number(&answer);
}

/* A list of one. */
void attack_add(struct worker *w, uint64_t transaction, struct span address)
{
    struct request r = attack_honest(REQUEST_RECIPIENTS, transaction);
    char room[REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    packet_put(&added, address);
    r.added = text_span(&added);
    attack_send(w, &r);
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

static void send_mail_of(struct worker *w, uint64_t transaction)
{
    struct request r = attack_message(transaction, 1, "Subject: x\n\nmail\n");

    attack_add(w, transaction, SPAN("b@example.org"));
    if (attack_send(w, &r) && attack_receive(w) == 250)
        attack_say("delivered\n");
}

/* What an attacker can do: send mail, as any client can. */
static void send_mail(struct worker *w)
{
    struct request r = attack_honest(REQUEST_END, 1);

    send_mail_of(w, 1);
    r.word = SPAN("quit");
    attack_send(w, &r);
    _exit(0);
}

void attack_begin_message(struct worker *w)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    attack_add(w, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    r.octets = SPAN("Subject: x");
    attack_send(w, &r);
}

void attack_deliver(struct worker *w, struct request r)
{
    if (attack_send(w, &r) && attack_receive(w) == 250)
        attack_say("delivered\n");
}

void attack_mail_to(struct worker *w, uint64_t transaction, struct span recipient)
{
    attack_add(w, transaction, recipient);
    attack_deliver(w, attack_message(transaction, 1, "Subject: x\n\nmail\n"));
}

void attack_quit(struct worker *w, uint64_t transaction)
{
    struct request r = attack_honest(REQUEST_END, transaction);

    r.word = SPAN("quit");
    attack_send(w, &r);
    _exit(0);
}

/* Whoever is still there for an ordinary request: what came before was taken. */
static void look(struct worker *w)
{
    send_mail_of(w, 999);
}

static void add_refused(struct worker *w)
{
    attack_add(w, 1, SPAN("b@elsewhere.example"));
    look(w);
}

static void deliver_to_refused(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");
    char room[REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    packet_put(&added, SPAN("b@elsewhere.example"));
    r.added = text_span(&added);
    if (attack_send(w, &r) && attack_receive(w) >= 0)
        attack_say("delivered\n");
}

static void damaged_list(struct worker *w)
{
    struct request r = attack_honest(REQUEST_RECIPIENTS, 1);

    r.added = SPAN("\377\0\0\0\0\0\0\0b@example.org");
    attack_send(w, &r);
    look(w);
}

static void long_list(struct worker *w)
{
    struct request r = attack_honest(REQUEST_RECIPIENTS, 1);
    char room[2 * REQUEST_ADDED_MAX];
    struct text added = TEXT(room);

    while (!added.cut)
        packet_put(&added, SPAN("b@example.org"));
    r.added = text_span(&added);
    attack_send(w, &r);
    look(w);
}

static void deliver_to_nobody(struct worker *w)
{
    struct request r = attack_message(1, 0, "x\n");

    if (attack_send(w, &r) && attack_receive(w) >= 0)
        attack_say("delivered\n");
}

static void deliver_to_more(struct worker *w)
{
    struct request r = attack_message(1, 2, "x\n");

    attack_add(w, 1, SPAN("b@example.org"));
    if (attack_send(w, &r) && attack_receive(w) >= 0)
        attack_say("delivered\n");
}

static void deliver_twice(struct worker *w)
{
    struct request r;

    send_mail_of(w, 1);
    r = attack_message(1, 1, "x\n");
    if (attack_send(w, &r) && attack_receive(w) >= 0)
        attack_say("delivered again\n");
}

static void recipient_after_end(struct worker *w)
{
    send_mail_of(w, 1);
    attack_add(w, 1, SPAN("b@example.org"));
    look(w);
}

static void go_back(struct worker *w)
{
    send_mail_of(w, 2);
    attack_add(w, 1, SPAN("b@example.org"));
    look(w);
}

static void too_many_transactions(struct worker *w)
{
    attack_add(w, 100000, SPAN("b@example.org"));
    look(w);
}

static void too_many_recipients(struct worker *w)
{
    for (uint64_t i = 0; i < 101; i++)
        attack_add(w, 1, SPAN("b@example.org"));
    look(w);
}

static void try_address(struct worker *w, struct span address)
{
    attack_add(w, 1, address);
    look(w);
}

static void two_lines_address(struct worker *w)
{
    try_address(w, SPAN("b@example.org>\r\nRCPT TO:<c@example.org"));
}

static void nul_address(struct worker *w)
{
    try_address(w, SPAN("b\0c@example.org"));
}

static void long_address(struct worker *w)
{
    static char long_one[SMTP_ADDRESS_MAX];

    memset(long_one, 'a', sizeof long_one);
    memcpy(long_one + sizeof long_one - 12, "@example.org", 12);
    try_address(w, (struct span){.p = long_one, .n = sizeof long_one});
}

static void no_address(struct worker *w)
{
    try_address(w, SPAN(""));
}

static void try_message(struct worker *w, struct request *r)
{
    attack_add(w, r->transaction, SPAN("b@example.org"));
    if (attack_send(w, r) && attack_receive(w) >= 0)
        attack_say("delivered\n");
}

static void forge_sender(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    r.address = SPAN("a@example.com>\nX-Forged: yes");
    try_message(w, &r);
}

static void forge_helo(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    r.helo = SPAN("x\nX-Forged: yes");
    try_message(w, &r);
}

static void forge_size(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    r.size++;
    try_message(w, &r);
}

static void more_octets(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    r.octets = (struct span){.p = request_octets(&w->room), .n = REQUEST_OCTETS_MAX + 1};
    try_message(w, &r);
}

/* Octets where none belong, so that it may not count as a request. */
static void padded(struct worker *w)
{
    struct request r = attack_honest(REQUEST_STATUS, 0);

    r.octets = (struct span){.p = request_octets(&w->room), .n = REQUEST_OCTETS_FEW};
    attack_send(w, &r);
    look(w);
}

/* A transaction has one message, whatever became of it. */
static void second_message(struct worker *w)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    attack_add(w, 1, SPAN("b@example.org"));
    r.begins = true;
    r.recipients = 1;
    attack_send(w, &r);
    r = attack_honest(REQUEST_FINISH, 1);
    r.recipients = 1;
    attack_send(w, &r);
    r.begins = true;
    attack_send(w, &r);
    look(w);
}

static void utf8_without_leave(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    r.address = SPAN("\xc3\xa4@example.com");
    try_message(w, &r);
}

static void octets_of_nothing(struct worker *w)
{
    struct request r = attack_honest(REQUEST_OCTETS, 1);

    r.octets = SPAN("x");
    attack_send(w, &r);
    look(w);
}

static void no_kind(struct worker *w)
{
    const uint64_t fields[] = {0, REQUEST_KIND_COUNT, 1, 0};

    send(w->fd, fields, sizeof fields, MSG_NOSIGNAL);
    attack_receive(w);
}

/* What others read in the log is not this one's to write. */
static void forge_log(struct worker *w)
{
    struct request r = attack_honest(REQUEST_LOG, 0);

    r.phase = r.before = SMTP_GREETED;
    r.reply = (struct smtp_reply){
        .code = 550, .text = SPAN("x\nsmtpin[1]: session session=forged"), .rule = "relay"};
    r.judged = SPAN("x\" client_address=192.0.2.66 rule=\"relay");
    attack_send(w, &r);
    r.reply.rule = "a b";
    attack_send(w, &r);
    attack_receive(w);
}

static void two_for_single(struct worker *w)
{
    attack_add(w, 1, SPAN("b@example.org"));
    attack_add(w, 1, SPAN("c@example.org"));
    look(w);
}

static void one_transaction_too_many(struct worker *w)
{
    attack_add(w, 1001, SPAN("b@example.org"));
    look(w);
}

static void log_within_message(struct worker *w)
{
    struct request r = attack_honest(REQUEST_LOG, 1);

    attack_begin_message(w);
    attack_send(w, &r);
    attack_receive(w);
}

static void give_up_good_message(struct worker *w)
{
    struct request r = attack_honest(REQUEST_FINISH, 1);

    attack_begin_message(w);
    r.recipients = 1;
    r.ended = true;
    attack_send(w, &r);
    attack_receive(w);
}

static void invent_transactions(struct worker *w)
{
    struct request r = attack_honest(REQUEST_LOG, 1);

    r.before = SMTP_MAIL;
    r.phase = SMTP_GREETED;
    for (int i = 0; i < 100 && attack_send(w, &r); i++)
        ;
    attack_receive(w);
}

/* The recording's own descriptor is the one between the connection and the way to ask. */
static void write_far(struct worker *w)
{
    struct request r = attack_message(1, 1, "x\n");

    for (int fd = 2; fd < w->fd; fd++) {
        lseek(fd, (off_t)1 << 40, SEEK_SET);
        (void)!ftruncate(fd, (off_t)1 << 40);
        for (int i = 0; i < 100; i++)
            (void)!write(fd, w->room.p, 1000);
    }
    r.boundary = UINT64_MAX - 1;
    try_message(w, &r);
    r = attack_honest(REQUEST_END, 1);
    attack_send(w, &r);
    _exit(0);
}

/* To be heard to have none, once there was one. */
static void lose_filter(struct worker *w)
{
    struct request r = attack_honest(REQUEST_STATUS, 0);

    attack_send(w, &r);
    r = attack_honest(REQUEST_NO_FILTER, 0);
    attack_send(w, &r);
    attack_receive(w);
}

const struct attack attack_requests[] = {
    ATTACK(DELIVER, send_mail, "delivered\n", NULL, "usual"),
    ATTACK(RECIPIENTS, add_refused, "", "has a recipient that is refused", "usual"),
    ATTACK(DELIVER, deliver_to_refused, "", "has a recipient that is refused", "usual"),
    ATTACK(RECIPIENTS, damaged_list, "", "sends what is no request", "usual"),
    ATTACK(RECIPIENTS, long_list, "", "sends what is no request", "usual"),
    ATTACK(DELIVER, deliver_to_nobody, "", "begins a message for nobody", "usual"),
    ATTACK(DELIVER, deliver_to_more, "", "has other recipients", "usual"),
    ATTACK(DELIVER, deliver_twice, "delivered\n", "begins a message of no transaction", "usual"),
    ATTACK(RECIPIENTS, recipient_after_end, "delivered\n", "has a recipient of no transaction",
           "usual"),
    ATTACK(RECIPIENTS, go_back, "delivered\n", "goes back to another transaction", "usual"),
    ATTACK(RECIPIENTS, too_many_transactions, "", "has too many transactions", "usual"),
    ATTACK(RECIPIENTS, too_many_recipients, "", "has too many recipients", "usual"),
    ATTACK(RECIPIENTS, two_lines_address, "", "has a recipient that is no mailbox", "usual"),
    ATTACK(RECIPIENTS, nul_address, "", "has a recipient that is no mailbox", "usual"),
    ATTACK(RECIPIENTS, long_address, "", "has a recipient that is no mailbox", "usual"),
    ATTACK(RECIPIENTS, no_address, "", "has a recipient that is no mailbox", "usual"),
    ATTACK(DELIVER, forge_sender, "", "has a reverse-path that is none", "usual"),
    ATTACK(DELIVER, forge_helo, "", "has a name that is none", "usual"),
    ATTACK(DELIVER, forge_size, "", "has a message of another size", "usual"),
    ATTACK(DELIVER, more_octets, "", "sends what is no request", "usual"),
    ATTACK(STATUS, padded, "", "sends what is no request", "usual"),
    ATTACK(FINISH, second_message, "", "begins a message of no transaction", "usual"),
    ATTACK(DELIVER, utf8_without_leave, "", "has addresses that need SMTPUTF8", "usual"),
    ATTACK(OCTETS, octets_of_nothing, "", "has octets of no message", "usual"),
    ATTACK(NONE, no_kind, "", "sends what is no request", "usual"),
    ATTACK(NO_FILTER, lose_filter, "", "has lost its filter", "usual"),
    ATTACK(LOG, forge_log, "", "sends what is no request", "usual"),
    ATTACK(RECIPIENTS, two_for_single, "", "has too many recipients", "single"),
    ATTACK(RECIPIENTS, one_transaction_too_many, "", "has a recipient of no transaction", "usual"),
    ATTACK(LOG, log_within_message, "", "ends within a message", "usual"),
    ATTACK(FINISH, give_up_good_message, "", "gives a good message up", "usual"),
    ATTACK(LOG, invent_transactions, "", "ends no transaction", "usual"),
    ATTACK(DELIVER, write_far, "delivered\n", NULL, "traced"),
    {.name = NULL},
};
