#include "adapters/policy.h"

#include "io/clock.h"
#include "io/connect.h"
#include "io/exchange.h"
#include "syntax/policy_server.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

void policy_open(struct policy_server *s, struct span name)
{
    *s = (struct policy_server){.name = name, .fd = -1};
}

void policy_close(struct policy_server *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* A control octet would end the line, or the request. */
static void add_value(struct text *out, struct span value)
{
    value = span_first(value, POLICY_VALUE_MAX);
    for (size_t i = 0; i < value.n; i++)
        text_addc(out, byte_is_control(value.p[i]) ? '?' : value.p[i]);
}

static void add(struct text *out, const char *name, struct span value)
{
    text_adds(out, name);
    text_addc(out, '=');
    add_value(out, value);
    text_addc(out, '\n');
}

static void add_number(struct text *out, const char *name, uint64_t number)
{
    text_adds(out, name);
    text_addc(out, '=');
    text_addn(out, number, 1);
    text_addc(out, '\n');
}

/* A client without an address, on a pipe or a Unix socket, is this machine's, as in Postfix: by a
 * client_address that is none, an empty one too, postgrey ends, and policyd-spf. */
static void add_client(struct text *out, const struct policy_facts *f)
{
    const bool local = f->peer->address.n == 0;
    const struct span name = f->peer->name.n > 0 ? f->peer->name
                             : local             ? SPAN("localhost")
                                                 : SPAN("unknown");

    add(out, "client_address", local ? SPAN("127.0.0.1") : f->peer->address);
    add(out, "client_name", name);
    add(out, "client_port", f->peer->port);
    add(out, "reverse_client_name", name);
    add(out, "server_address", f->peer->server_address);
    add(out, "server_port", f->peer->server_port);
}

/* Postfix names a recipient at DATA and behind only where it is the only one. */
static struct span recipient_of(const struct policy_facts *f)
{
    const struct smtp_transaction *t = &f->session->transaction;

    if (f->state == POLICY_RCPT)
        return f->recipient->address;
    return f->state > POLICY_RCPT && t->recipients == 1 ? t->first->mailbox.address : SPAN("");
}

/* A message's own: greylisting and SPF servers know by it which questions are about the same one.
 */
static void add_instance(struct text *out, const struct policy_facts *f)
{
    text_adds(out, "instance=");
    if (f->state >= POLICY_RCPT) {
        add_value(out, f->id);
        text_addc(out, '.');
        text_addn(out, f->session->transactions, 1);
    }
    text_addc(out, '\n');
}

/* As in Postfix: names that nobody has vouched for are left out, fingerprints are not. */
static void add_tls(struct text *out, const struct tls_facts *tls)
{
    static const struct tls_facts none = {.protocol = {0}};
    bool verified;

    tls = tls == NULL ? &none : tls;
    verified = tls_facts_verified(tls);
    add(out, "ccert_subject", verified ? tls->name : SPAN(""));
    add(out, "ccert_issuer", verified ? tls->issuer : SPAN(""));
    add(out, "ccert_fingerprint", tls->fingerprint);
    add(out, "ccert_pubkey_fingerprint", tls->key_fingerprint);
    add(out, "encryption_protocol", tls->protocol);
    add(out, "encryption_cipher", tls->cipher);
    add(out, "encryption_keysize", tls->bits.n > 0 ? tls->bits : SPAN("0"));
}

void policy_write(struct text *out, const struct policy_facts *f)
{
    static const char *const states[] = {
        [POLICY_CONNECT] = "CONNECT", [POLICY_EHLO] = "EHLO",
        [POLICY_MAIL] = "MAIL",       [POLICY_RCPT] = "RCPT",
        [POLICY_DATA] = "DATA",       [POLICY_END_OF_MESSAGE] = "END-OF-MESSAGE",
    };
    static const char *const unknown[] = {"etrn_domain", "stress"};
    const struct smtp_session *s = f->session;
    const struct smtp_transaction *t = &s->transaction;
    const bool mail = f->state >= POLICY_MAIL, after = f->state > POLICY_RCPT;

    add(out, "request", SPAN("smtpd_access_policy"));
    add(out, "protocol_state",
        !mail && f->state == POLICY_EHLO && !s->esmtp ? SPAN("HELO") : span_of(states[f->state]));
    add(out, "protocol_name",
        s->options->lmtp   ? SPAN("LMTP")
        : mail && s->esmtp ? SPAN("ESMTP")
                           : SPAN("SMTP"));
    add_client(out, f);
    add(out, "helo_name", s->helo);
    add(out, "sender", mail ? t->reverse_path.address : SPAN(""));
    add(out, "recipient", recipient_of(f));
    add_number(out, "recipient_count", after ? t->recipients : 0);
    add(out, "queue_id", after ? f->id : SPAN(""));
    add_instance(out, f);
    add_number(out, "size", mail ? f->size : 0);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        add(out, unknown[i], SPAN(""));
    add(out, "sasl_method", s->authenticated ? s->login->method : SPAN(""));
    add(out, "sasl_username", s->authenticated ? s->login->user : SPAN(""));
    add(out, "sasl_sender", t->auth);
    add_tls(out, f->peer->tls);
    add(out, "policy_context", SPAN(""));
    text_addc(out, '\n');
}

static bool give_up(struct policy_server *s, const char *why)
{
    s->wrong = why;
    policy_close(s);
    return false;
}

/* Nothing may come before it is asked for; and a server may have closed since the last answer. */
static bool has_come_early(struct policy_server *s)
{
    char octet;
    const ssize_t n = recv(s->fd, &octet, 1, MSG_DONTWAIT | MSG_PEEK);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        policy_close(s);
    return n > 0;
}

static bool connect_to(struct policy_server *s, uint64_t deadline)
{
    char room[POLICY_SERVER_MAX + 1];
    struct text name = TEXT(room);
    const char *wrong;

    text_add(&name, span_starts_nocase(s->name, SPAN("inet:")) ? span_from(s->name, 5) : s->name);
    s->fd = connect_server(text_string(&name), (uint64_t)clock_left(deadline), &wrong);
    return s->fd >= 0 || give_up(s, wrong);
}

/* One write, as a rule: servers lose requests that come in pieces. */
static const char *send_request(int fd, struct span request, uint64_t deadline)
{
    const int error = exchange_send(fd, request, deadline);

    if (error == ETIMEDOUT)
        return "does not take the question in time";
    return error == 0 ? NULL : strerror(error);
}

/* The answer, to its empty line. *answered: something has come. */
static const char *receive_answer(int fd, struct text *in, uint64_t deadline, bool *answered)
{
    for (;;) {
        const size_t end = policy_answer_length(text_span(in));
        ssize_t n;

        if (end > 0)
            return end < in->n ? "answers ahead of the question" : NULL;
        if (in->n == in->cap)
            return "answers too much";
        if (!exchange_wait(fd, POLLIN, deadline))
            return in->n > 0 ? "answers half, and no more in time" : "does not answer in time";
        n = recv(fd, in->p + in->n, in->cap - in->n, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0)
            return strerror(errno);
        if (n == 0)
            return in->n > 0 ? "closes within an answer" : "closes without an answer";
        *answered = true;
        in->n += (size_t)n;
    }
}

bool policy_ask(struct policy_server *s, const struct policy_facts *f, uint64_t timeout,
                struct arena *a, struct policy_answer *out)
{
    const uint64_t deadline = clock_now() + timeout;
    char question[POLICY_REQUEST_MAX], room[POLICY_ANSWER_MAX];
    struct text request = TEXT(question), answer = TEXT(room);
    bool answered = false, fresh;
    struct span action;
    const char *wrong;

    policy_write(&request, f);
    if (s->fd >= 0 && has_come_early(s))
        return give_up(s, "answers ahead of the question");
    do {
        fresh = s->fd < 0;
        if (fresh && !connect_to(s, deadline))
            return false;
        wrong = send_request(s->fd, text_span(&request), deadline);
        if (wrong == NULL)
            wrong = receive_answer(s->fd, &answer, deadline, &answered);
        if (wrong != NULL)
            policy_close(s);
        /* A connection that was kept may have ended meanwhile: once more, with another one. */
    } while (wrong != NULL && !fresh && !answered && clock_left(deadline) > 0);
    if (wrong == NULL)
        wrong = policy_find_action(text_span(&answer), &action);
    if (wrong != NULL)
        return give_up(s, wrong);
    policy_read_action(action, a, out);
    return true;
}
