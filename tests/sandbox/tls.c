/* What a compromised worker may do about TLS. Its helper is a stand-in that says what the
 * configuration's name is about, or smtpin-tls itself: tests/programs/sandbox.py has both. */
#include "attack.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* The last number of the answer, which is 0 or 1; -1: there is none. */
static long ask(struct worker *w, enum request_kind kind, uint64_t transaction)
{
    const struct request r = attack_honest(kind, transaction);
    struct packet answer;
    long last = -1;

    if (!attack_ask(w, &r, &answer))
        return -1;
    while (answer.left.n > 0 && !answer.wrong)
        last = (long)packet_number(&answer);
    return last;
}

static void prepare_in(struct worker *w, uint64_t transaction)
{
    static const char *const said[] = {"", "unready ", "ready "};

    attack_say(said[ask(w, REQUEST_PREPARE_TLS, transaction) + 1]);
}

static void start_in(struct worker *w, uint64_t transaction)
{
    static const char *const said[] = {"", "insecure ", "secure "};

    attack_say(said[ask(w, REQUEST_START_TLS, transaction) + 1]);
}

static void secure(struct worker *w)
{
    prepare_in(w, 0);
    start_in(w, 0);
}

/* PREPARE_TLS. */

static void prepare(struct worker *w)
{
    prepare_in(w, 0);
}

static void prepare_twice(struct worker *w)
{
    prepare_in(w, 0);
    prepare_in(w, 0);
}

/* Each would be a process. */
static void prepare_often(struct worker *w)
{
    const struct request r = attack_honest(REQUEST_PREPARE_TLS, 0);

    for (int i = 0; i < 1000 && attack_send(w, &r); i++)
        ;
    poll(NULL, 0, -1);
}

static void prepare_within_message(struct worker *w)
{
    attack_begin_message(w);
    prepare_in(w, 1);
}

static void prepare_after_start(struct worker *w)
{
    secure(w);
    prepare_in(w, 0);
}

/* Where there is none it may be asked for again, but not by the same session. */
static void prepare_after_none(struct worker *w)
{
    prepare_in(w, 0);
    prepare_in(w, 0);
}

/* START_TLS. */

static void start_without_tls(struct worker *w)
{
    start_in(w, 0);
}

static void start_unprepared(struct worker *w)
{
    start_in(w, 0);
}

static void start_unready(struct worker *w)
{
    secure(w);
}

static void start_twice(struct worker *w)
{
    secure(w);
    start_in(w, 0);
}

static void start_within_message(struct worker *w)
{
    prepare_in(w, 0);
    attack_begin_message(w);
    start_in(w, 1);
}

/* Whatever the client has been told so far: it gets a handshake, or ends. */
static void start_without_220(struct worker *w)
{
    secure(w);
    attack_mail_to(w, 1, SPAN("b@example.org"));
    attack_quit(w, 1);
}

/* Facts are smtpin-tls's to say: a request has no place for them. */
static void claim_facts(struct worker *w)
{
    const struct request r = attack_honest(REQUEST_START_TLS, 0);

    prepare_in(w, 0);
    request_write(&w->room, &r);
    text_add(&w->room, SPAN("SSL_PROTOCOL=TLSv1.3\0SSL_CLIENT_VERIFY=SUCCESS\0"));
    send(w->fd, w->room.p, w->room.n, MSG_NOSIGNAL);
    attack_receive(w);
}

static void stay_insecure(struct worker *w)
{
    secure(w);
    attack_mail_to(w, 1, SPAN("b@example.org"));
}

/* What was before. */

static void recipients_before(struct worker *w)
{
    prepare_in(w, 0);
    attack_add(w, 1, SPAN("b@example.org"));
    start_in(w, 1);
    attack_deliver(w, attack_message(1, 1, "x\n"));
}

static void recipients_in_old_transaction(struct worker *w)
{
    prepare_in(w, 0);
    attack_add(w, 1, SPAN("b@example.org"));
    start_in(w, 1);
    attack_add(w, 1, SPAN("c@example.org"));
    attack_receive(w);
}

static void recipients_carried_over(struct worker *w)
{
    prepare_in(w, 0);
    attack_add(w, 1, SPAN("c@example.org"));
    start_in(w, 1);
    attack_add(w, 2, SPAN("b@example.org"));
    attack_deliver(w, attack_message(2, 2, "x\n"));
}

static void mail_after(struct worker *w)
{
    prepare_in(w, 0);
    attack_add(w, 1, SPAN("c@example.org"));
    start_in(w, 1);
    attack_mail_to(w, 2, SPAN("b@example.org"));
    attack_quit(w, 2);
}

/* A step: 1: it is passed. */
static bool pass(struct worker *w, enum smtp_subject about, uint64_t transaction)
{
    struct request r = attack_honest(REQUEST_DECIDE, transaction);
    struct packet answer;
    bool passed;

    r.about = about;
    r.sender = SPAN("a@example.com");
    if (!attack_ask(w, &r, &answer))
        return false;
    packet_number(&answer);
    passed = packet_number(&answer) == SMTP_NO_OPINION;
    attack_say(passed ? "passed " : "");
    return passed;
}

/* RFC 3207 4.2: a name from before TLS counts no longer. */
static void greeting_carried_over(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    secure(w);
    pass(w, SMTP_ABOUT_SENDER, 1);
}

static void greet_again(struct worker *w)
{
    pass(w, SMTP_ABOUT_CLIENT, 0);
    pass(w, SMTP_ABOUT_GREETING, 0);
    secure(w);
    pass(w, SMTP_ABOUT_GREETING, 0);
    pass(w, SMTP_ABOUT_SENDER, 1);
    attack_quit(w, 1);
}

/* Mail outside TLS, where there is none without. */

static void mail_outside(struct worker *w)
{
    attack_mail_to(w, 1, SPAN("b@example.org"));
}

static void mail_prepared(struct worker *w)
{
    prepare_in(w, 0);
    attack_mail_to(w, 1, SPAN("b@example.org"));
}

static void ask_outside(struct worker *w)
{
    struct request r = attack_honest(REQUEST_DECIDE, 1);

    r.about = SMTP_ABOUT_RECIPIENT;
    r.address = SPAN("b@example.org");
    r.sender = SPAN("a@example.com");
    attack_send(w, &r);
    attack_receive(w);
}

static void vrfy_outside(struct worker *w)
{
    struct request r = attack_honest(REQUEST_DECIDE, 0);

    r.about = SMTP_ABOUT_USER;
    r.address = SPAN("b@example.org");
    attack_send(w, &r);
    attack_receive(w);
}

static void mail_outside_implicit(struct worker *w)
{
    attack_mail_to(w, 1, SPAN("b@example.org"));
}

static void require_tls(struct worker *w, uint64_t transaction)
{
    struct request r = attack_message(transaction, 1, "Subject: x\n\nmail\n");

    r.requiretls = true;
    attack_add(w, transaction, SPAN("b@example.org"));
    attack_deliver(w, r);
}

static void require_outside(struct worker *w)
{
    require_tls(w, 1);
}

static void require_unoffered(struct worker *w)
{
    secure(w);
    require_tls(w, 1);
}

static void require_inside(struct worker *w)
{
    secure(w);
    require_tls(w, 1);
    attack_quit(w, 1);
}

/* The connection itself, which this one holds still: what it writes goes to its own client. */
static void write_in_plain(struct worker *w)
{
    secure(w);
    attack_say("plain ");
    attack_mail_to(w, 1, SPAN("b@example.org"));
    attack_quit(w, 1);
}

static void keep_connection(struct worker *w)
{
    struct request r = attack_honest(REQUEST_END, 0);

    secure(w);
    r.word = SPAN("quit");
    attack_send(w, &r);
    poll(NULL, 0, -1);
}

const struct attack attack_tls[] = {
    ATTACK(PREPARE_TLS, prepare, "", "wants TLS that it can't have", "usual"),
    ATTACK(PREPARE_TLS, prepare_twice, "ready ", "has too many requests", "tls"),
    ATTACK(PREPARE_TLS, prepare_after_none, "unready ", "has too many requests", "tls_none"),
    ATTACK(PREPARE_TLS, prepare_often, "", "has too many requests", "tls"),
    ATTACK(PREPARE_TLS, prepare_within_message, "", "wants TLS within a message", "tls"),
    ATTACK(PREPARE_TLS, prepare_after_start, "ready secure ", "has too many requests", "tls"),
    ATTACK(START_TLS, start_without_tls, "", "wants TLS that it can't have", "usual"),
    ATTACK(START_TLS, start_unprepared, "", "starts TLS that is not ready", "tls"),
    ATTACK(START_TLS, start_unready, "unready ", "starts TLS that is not ready", "tls_none"),
    ATTACK(START_TLS, start_twice, "ready secure ", "has too many requests", "tls"),
    ATTACK(START_TLS, start_within_message, "ready ", "wants TLS within a message", "tls"),
    ATTACK(START_TLS, start_without_220, "ready secure delivered\n", NULL, "tls"),
    ATTACK(START_TLS, claim_facts, "ready ", "sends what is no request", "tls"),
    ATTACK(RECIPIENTS, stay_insecure, "ready insecure ", "has mail outside TLS", "tls_failed"),
    ATTACK(DELIVER, recipients_before, "ready secure ", "begins a message of no transaction",
           "tls"),
    ATTACK(RECIPIENTS, recipients_in_old_transaction, "ready secure ",
           "has a recipient of no transaction", "tls"),
    ATTACK(DELIVER, recipients_carried_over, "ready secure ", "has other recipients", "tls"),
    ATTACK(DELIVER, mail_after, "ready secure delivered\n", NULL, "tls"),
    ATTACK(DECIDE, greeting_carried_over, "passed passed ready secure ", "goes on without leave",
           "tls_steps"),
    ATTACK(DECIDE, greet_again, "passed passed ready secure passed passed ", NULL, "tls_steps"),
    ATTACK(RECIPIENTS, mail_outside, "", "has mail outside TLS", "tls_required"),
    ATTACK(RECIPIENTS, mail_prepared, "ready ", "has mail outside TLS", "tls_required"),
    ATTACK(RECIPIENTS, mail_outside_implicit, "", "has mail outside TLS", "tls_implicit"),
    ATTACK(DECIDE, ask_outside, "", "has mail outside TLS", "tls_required"),
    ATTACK(DECIDE, vrfy_outside, "", "asks of a user outside TLS", "tls_required"),
    ATTACK(DELIVER, require_outside, "", "requires TLS that it was not offered", "requiretls"),
    ATTACK(DELIVER, require_unoffered, "ready secure ", "requires TLS that it was not offered",
           "tls"),
    ATTACK(DELIVER, require_inside, "ready secure delivered\n", NULL, "requiretls"),
    ATTACK(START_TLS, write_in_plain, "ready secure plain delivered\n", NULL, "tls"),
    ATTACK(END, keep_connection, "ready secure ", "does not end", "tls"),
    {.name = NULL},
};

/* System calls that would reach smtpin-tls, its memory and its key: none of them may come back.
 */

static void read_key(struct worker *w)
{
    prepare_in(w, 0);
    open(attack_key, O_RDONLY);
}

static void connect_to_service(struct worker *w)
{
    const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/run/smtpin/tls.sock"};

    prepare_in(w, 0);
    connect(w->fd, (const struct sockaddr *)&to, sizeof to);
}

static void open_memory(struct worker *w)
{
    char path[64];

    prepare_in(w, 0);
    snprintf(path, sizeof path, "/proc/%ld/mem", attack_helper);
    open(path, O_RDONLY);
}

static void trace_helper(struct worker *w)
{
    prepare_in(w, 0);
    ptrace(PTRACE_ATTACH, (pid_t)attack_helper, NULL, NULL);
}

static void read_memory(struct worker *w)
{
    prepare_in(w, 0);
    syscall(SYS_process_vm_readv, attack_helper, NULL, 0, NULL, 0, 0);
}

/* Its control socket is the monitor's, which passes none on. */
static void take_descriptor(struct worker *w)
{
    char control[64], octet;
    struct iovec room = {.iov_base = &octet, .iov_len = 1};
    struct msghdr m = {.msg_iov = &room,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};

    prepare_in(w, 0);
    recvmsg(w->fd, &m, 0);
}

static void copy_descriptor(struct worker *w)
{
    prepare_in(w, 0);
    syscall(438 /* pidfd_getfd */, 3, 0, 0);
}

#define CALL(name)                                                                                 \
    {                                                                                              \
#name, name, .said = "ready ", .conf = "real"                                              \
    }

const struct attack attack_tls_calls[] = {
    CALL(read_key),    CALL(connect_to_service), CALL(open_memory),     CALL(trace_helper),
    CALL(read_memory), CALL(take_descriptor),    CALL(copy_descriptor), {.name = NULL},
};
