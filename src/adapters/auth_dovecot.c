#include "adapters/auth_dovecot.h"

#include "adapters/auth_connection.h"
#include "adapters/auth_line.h"
#include "base/base64.h"
#include "io/clock.h"

#include <sys/socket.h>

enum {
    OTHERS_MAX = 100,        /* answers to earlier requests, ahead of ours */
    BINDING_MAX = 64,        /* octets */
    REQUEST_MAX = 16 * 1024, /* octets: Dovecot hangs up on a longer line */
};

/* Mechanisms ---------------------------------------------------------------------------------- */

/* Can it be had on this connection of the client's? */
static bool may_have(const struct auth *a, const struct auth_mechanism *m)
{
    const struct tls_facts *tls = a->peer->tls;

    if (m->plaintext && tls == NULL && !a->config->smtp.auth_plaintext)
        return false;
    if (m->channel_binding && !auth_can_bind(a))
        return false;
    return !span_eq(span_of(m->name), SPAN("EXTERNAL")) || (tls != NULL && tls_facts_verified(tls));
}

const char *auth_dovecot_mechanisms(struct auth *a)
{
    bool kept;
    const char *wrong;

    a->mechanisms.n = 0;
    wrong = auth_connect(a, clock_now() + a->config->auth_timeout, &kept);
    if (wrong != NULL) {
        auth_disconnect(a);
        return wrong;
    }
    for (size_t i = 0; i < a->knows; i++)
        if (may_have(a, &a->known[i]))
            auth_add_mechanism(a, span_of(a->known[i].name));
    return NULL;
}

/* Requests ------------------------------------------------------------------------------------ */

/* An octet that would end the word or the line is escaped as Dovecot does it. */
static void add_escaped(struct text *out, struct span value)
{
    static const char octets[] = "\0\1\t\r\n", letters[] = "01trn";

    for (size_t i = 0; i < value.n; i++) {
        const char *found = memchr(octets, value.p[i], sizeof octets - 1);

        if (found != NULL) {
            text_addc(out, '\1');
            text_addc(out, letters[found - octets]);
        } else {
            text_addc(out, value.p[i]);
        }
    }
}

static void add(struct text *out, const char *name, struct span value)
{
    if (value.n == 0)
        return;
    text_addc(out, '\t');
    text_adds(out, name);
    add_escaped(out, value);
}

/* All failures without an address would share one penalty: a client without one is this machine's.
 */
static void add_client(struct text *out, const struct auth *a)
{
    const struct peer *p = a->peer;
    const struct tls_facts *tls = p->tls;

    add(out, "lip=", p->server_address);
    add(out, "lport=", p->server_port);
    add(out, "rip=", p->address.n > 0 ? p->address : SPAN("127.0.0.1"));
    add(out, "rport=", p->port);
    if (tls != NULL) {
        text_adds(out, "\tsecured=tls");
        add(out, "local_name=", tls->sni);
        if (tls_facts_verified(tls)) {
            text_adds(out, "\tvalid-client-cert");
            add(out, "cert_username=", tls->name);
        }
    }
    add(out, "session=", a->id);
}

/* `resp=` must be the last one: what is behind it is lost, or worse. */
static void write_auth(struct text *out, const struct auth *a, const struct span *initial)
{
    text_adds(out, "AUTH\t");
    text_addn(out, a->request, 1);
    text_addc(out, '\t');
    text_add(out, text_span(&a->mechanism));
    text_adds(out, "\tservice=smtp\tnologin");
    add_client(out, a);
    if (initial != NULL) {
        text_adds(out, "\tresp=");
        text_add(out, *initial);
    }
    text_addc(out, '\n');
}

/* False: it is no hexadecimal number, or too long. */
static bool add_binding(struct text *out, struct span hex)
{
    char octets[BINDING_MAX];
    struct text t = TEXT(octets);

    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        const int high = byte_hex(hex.p[i]), low = byte_hex(hex.p[i + 1]);

        if (high < 0 || low < 0)
            return false;
        text_addc(&t, (char)(high << 4 | low));
    }
    text_adds(out, "\tchannel_binding=");
    base64_encode(text_span(&t), out);
    return hex.n % 2 == 0 && !t.cut;
}

/* Answers ------------------------------------------------------------------------------------- */

/* Of Dovecot's names for channel bindings, those that smtpin-tls can tell; else empty. */
static struct span binding_of(const struct tls_facts *tls, struct span type)
{
    if (tls == NULL)
        return (struct span){0};
    return span_eq(type, SPAN("tls-exporter"))           ? tls->exporter
           : span_eq(type, SPAN("tls-server-end-point")) ? tls->end_point
                                                         : (struct span){0};
}

/* Forgets the login on Dovecot's side as well. It need not have heard of it: then nothing is kept.
 */
static void cancel(struct auth *a)
{
    char room[32];
    struct text t = TEXT(room);

    text_adds(&t, "CANCEL\t");
    text_addn(&t, a->request, 1);
    text_addc(&t, '\n');
    if (a->fd >= 0 && send(a->fd, t.p, t.n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)t.n)
        auth_disconnect(a);
    a->binding = (struct span){0};
    auth_drop_read(a);
}

static void take(struct auth *a, const struct auth_line *line, struct auth_answer *out)
{
    *out = (struct auth_answer){.result = AUTH_WRONG};
    a->binding = (struct span){0};
    switch (line->kind) {
    case AUTH_LINE_OK:
        if (line->user.n > 0)
            *out = (struct auth_answer){AUTH_DONE, line->user};
        break;
    case AUTH_LINE_CONT:
        a->binding = binding_of(a->peer->tls, line->binding);
        /* The client has chosen something to bind to that nobody can tell. */
        if (line->binding.n > 0 && a->binding.n == 0)
            cancel(a);
        else
            *out = (struct auth_answer){AUTH_CHALLENGE, line->data};
        break;
    case AUTH_LINE_FAIL:
        if (line->why == AUTH_LATER)
            auth_later(out, "Dovecot can't tell now");
        else
            out->result = line->why;
        break;
    case AUTH_LINE_CANCELLED:
        auth_later(out, "Dovecot has cancelled the login");
        break;
    }
}

/* Answers come out of order, and those to a login that was cancelled come, too. */
static const char *read_answer(struct auth *a, uint64_t deadline, struct auth_answer *out)
{
    for (unsigned i = 0; i < OTHERS_MAX; i++) {
        struct span line;
        struct auth_line said;
        const char *wrong = auth_next_line(a, deadline, &line);

        if (wrong != NULL)
            return wrong;
        if (!auth_line_read(line, &said))
            return "Dovecot says something that is no answer";
        if (said.id == a->request) {
            take(a, &said, out);
            return NULL;
        }
    }
    return "Dovecot answers what nobody has asked";
}

static void give_up(struct auth *a, const char *wrong, struct auth_answer *out)
{
    auth_disconnect(a);
    auth_later(out, wrong);
}

static const char *send_auth(struct auth *a, const struct span *initial, uint64_t deadline)
{
    char room[REQUEST_MAX];
    struct text request = TEXT(room);
    const char *wrong;

    a->request = a->request == UINT32_MAX ? 1 : a->request + 1;
    write_auth(&request, a, initial);
    wrong = request.cut ? "the question to Dovecot is too long"
                        : auth_send(a, text_span(&request), deadline);
    explicit_bzero(room, request.n);
    return wrong;
}

void auth_dovecot_begin(struct auth *a, struct span mechanism, const struct span *initial,
                        struct auth_answer *out)
{
    const uint64_t deadline = clock_now() + a->config->auth_timeout;
    const char *wrong;
    bool kept;

    for (;;) {
        const struct auth_mechanism *m;

        auth_drop_read(a);
        wrong = auth_connect(a, deadline, &kept);
        if (wrong != NULL)
            break;
        /* (Dovecot hangs up on one that it has not.) */
        m = auth_find_mechanism(a, mechanism);
        if (m == NULL || !may_have(a, m)) {
            *out = (struct auth_answer){.result = AUTH_UNKNOWN};
            return;
        }
        a->mechanism.n = 0;
        text_adds(&a->mechanism, m->name);
        wrong = send_auth(a, initial, deadline);
        if (wrong == NULL)
            wrong = read_answer(a, deadline, out);
        /* A connection that was kept may have ended meanwhile: once more, with another one. */
        if (wrong != auth_closed || !kept)
            break;
        auth_disconnect(a);
    }
    if (wrong != NULL)
        give_up(a, wrong, out);
}

void auth_dovecot_go_on(struct auth *a, struct span response, struct auth_answer *out)
{
    const uint64_t deadline = clock_now() + a->config->auth_timeout;
    char room[REQUEST_MAX];
    struct text request = TEXT(room);
    const char *wrong = NULL;

    text_adds(&request, "CONT\t");
    text_addn(&request, a->request, 1);
    text_addc(&request, '\t');
    text_add(&request, response);
    if (a->binding.n > 0 && !add_binding(&request, a->binding))
        wrong = "what smtpin-tls says of the session is no number";
    text_addc(&request, '\n');
    if (wrong == NULL)
        wrong = auth_send(a, text_span(&request), deadline);
    explicit_bzero(room, request.n);
    if (wrong == NULL)
        wrong = read_answer(a, deadline, out);
    if (wrong != NULL)
        give_up(a, wrong, out);
}

void auth_dovecot_cancel(struct auth *a)
{
    cancel(a);
}

void auth_dovecot_close(struct auth *a)
{
    auth_disconnect(a);
}
