#include "adapters/auth_connection.h"

#include "adapters/auth_line.h"
#include "base/number.h"
#include "io/clock.h"
#include "io/connect.h"
#include "io/exchange.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAJOR = 1,
    /* Minor versions of the client: with 4, a server offers mechanisms with channel binding, and
     * counts on it. Without anything to bind to, we say 2: a client that is offered none says so
     * ("y": RFC 5802 6), and must not be taken for the victim of a man in the middle. */
    MINOR_BINDING = 4,
    MINOR = 2,
    GREETING_LINES_MAX = 100,
    GREETING_TIME = 5000, /* milliseconds: it is there at once, or EHLO would wait for it */
};

const char auth_closed[] = "Dovecot closes the connection";

/* Lines --------------------------------------------------------------------------------------- */

static bool is_end(int error)
{
    return error == EPIPE || error == ECONNRESET;
}

const char *auth_send(struct auth *a, struct span lines, uint64_t deadline)
{
    const int error = exchange_send(a->fd, lines, deadline);

    if (error == ETIMEDOUT)
        return "Dovecot does not take the question in time";
    return error == 0 ? NULL : is_end(error) ? auth_closed : strerror(error);
}

void auth_drop_read(struct auth *a)
{
    memmove(a->room, a->room + a->from, a->to - a->from);
    a->to -= a->from;
    a->from = 0;
    explicit_bzero(a->room + a->to, a->dirty - a->to);
    a->dirty = a->to;
}

/* Waits for more octets behind those that are not read yet. */
static const char *receive(struct auth *a, uint64_t deadline)
{
    ssize_t n;

    auth_drop_read(a);
    if (a->to == sizeof a->room)
        return "Dovecot says a line that is too long";
    if (!exchange_wait(a->fd, POLLIN, deadline))
        return "Dovecot does not answer in time";
    n = recv(a->fd, a->room + a->to, sizeof a->room - a->to, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? NULL
               : is_end(errno)                   ? auth_closed
                                                 : strerror(errno);
    if (n == 0)
        return a->to > 0 ? "Dovecot closes the connection within a line" : auth_closed;
    a->to += (size_t)n;
    a->dirty = a->to;
    return NULL;
}

const char *auth_next_line(struct auth *a, uint64_t deadline, struct span *line)
{
    for (;;) {
        const struct span have = {.p = a->room + a->from, .n = a->to - a->from};
        const size_t n = span_find(have, '\n');
        const char *wrong;

        if (n < have.n) {
            *line = span_first(have, n);
            a->from += n + 1;
            return NULL;
        }
        wrong = receive(a, deadline);
        if (wrong != NULL)
            return wrong;
    }
}

/* The connection ------------------------------------------------------------------------------ */

void auth_disconnect(struct auth *a)
{
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
    a->knows = 0;
    a->binding = (struct span){0};
    auth_wipe(a);
}

bool auth_can_bind(const struct auth *a)
{
    const struct tls_facts *tls = a->peer->tls;

    return tls != NULL && (tls->exporter.n > 0 || tls->end_point.n > 0);
}

const struct auth_mechanism *auth_find_mechanism(const struct auth *a, struct span name)
{
    for (size_t i = 0; i < a->knows; i++)
        if (span_eq_nocase(span_of(a->known[i].name), name))
            return &a->known[i];
    return NULL;
}

static void learn_mechanism(struct auth *a, struct span words)
{
    struct auth_mechanism m = {.name = ""};

    if (a->knows < AUTH_MECHANISMS_N && auth_line_mechanism(words, &m) &&
        auth_find_mechanism(a, span_of(m.name)) == NULL)
        a->known[a->knows++] = m;
}

/* Until DONE. Words that are not known are a later version's; SPID, CUID and COOKIE are for clients
 * that log in to Dovecot itself. */
static const char *read_greeting(struct auth *a, uint64_t deadline)
{
    bool versioned = false;

    for (unsigned i = 0; i < GREETING_LINES_MAX; i++) {
        struct span line, word;
        uint64_t major;
        const char *wrong = auth_next_line(a, deadline, &line);

        if (wrong != NULL)
            return wrong;
        auth_line_word(&line, &word);
        if (span_eq(word, SPAN("VERSION"))) {
            versioned = auth_line_word(&line, &word) &&
                        number_parse(word, MAJOR, &major) == NUMBER_OK && major == MAJOR;
            if (!versioned)
                return "Dovecot speaks another version of its protocol";
        } else if (span_eq(word, SPAN("MECH"))) {
            learn_mechanism(a, line);
        } else if (span_eq(word, SPAN("DONE"))) {
            return versioned ? NULL : "Dovecot does not say which version it speaks";
        }
    }
    return "Dovecot's greeting is too long";
}

static const char *greet(struct auth *a, uint64_t deadline)
{
    char room[64];
    struct text t = TEXT(room);
    const char *wrong;

    text_adds(&t, "VERSION\t");
    text_addn(&t, MAJOR, 1);
    text_addc(&t, '\t');
    text_addn(&t, a->minor, 1);
    text_adds(&t, "\nCPID\t");
    text_addn(&t, (uint64_t)getpid(), 1);
    text_addc(&t, '\n');
    wrong = auth_send(a, text_span(&t), deadline);
    return wrong == NULL ? read_greeting(a, deadline) : wrong;
}

/* A server may have ended since its last answer. */
static bool is_open(const struct auth *a)
{
    char octet;
    const ssize_t n = recv(a->fd, &octet, 1, MSG_DONTWAIT | MSG_PEEK);

    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

const char *auth_connect(struct auth *a, uint64_t deadline, bool *kept)
{
    const unsigned minor = auth_can_bind(a) ? MINOR_BINDING : MINOR;
    const uint64_t greeting = clock_now() + GREETING_TIME;
    const char *wrong = NULL;

    deadline = deadline < greeting ? deadline : greeting;
    *kept = a->fd >= 0 && a->minor == minor && is_open(a);
    if (*kept)
        return NULL;
    auth_disconnect(a);
    a->minor = minor;
    a->fd = connect_server(a->config->auth.socket.p, (uint64_t)clock_left(deadline), &wrong);
    return a->fd < 0 ? wrong : greet(a, deadline);
}
