/* What a Dovecot server says. The first octet chooses: one line; or all that it says on a
 * connection, to a client that asks for its mechanisms, logs in, answers its challenges and
 * cancels. Connections are pairs of sockets: connect_server is here. */
#include "adapters/auth_connection.h"
#include "adapters/auth_dovecot.h"
#include "adapters/auth_line.h"
#include "base/base64.h"
#include "io/connect.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { CALLS = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span said;  /* by the server, on the next connection */
static int server = -1;   /* its end */
static unsigned accepted; /* connections */

/* The second connection has no server. */
int connect_server(const char *name, uint64_t timeout, const char **wrong)
{
    int ends[2];

    promise(name != NULL && timeout <= 1000);
    *wrong = "nobody is there";
    if (accepted++ > 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -1;
    promise(write(ends[1], said.p, said.n) == (ssize_t)said.n);
    promise(shutdown(ends[1], SHUT_WR) == 0);
    server = ends[1];
    return ends[0];
}

static bool is_in(struct span inner, struct span outer)
{
    return inner.n == 0 || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

static void try_line(struct span line)
{
    struct auth_line got;
    struct auth_mechanism m;
    struct span left = line, word;
    size_t words = 0;

    while (auth_line_word(&left, &word)) {
        promise(is_in(word, line) && span_find(word, '\t') == word.n);
        words++;
    }
    promise(words == span_count(line, '\t') + 1);
    if (auth_line_read(line, &got)) {
        promise(words >= 2 && got.id <= UINT32_MAX);
        promise(is_in(got.data, line) && is_in(got.user, line) && is_in(got.binding, line));
        promise(base64_is(got.data) && got.data.n <= AUTH_RESPONSE_MAX);
        promise(got.user.n == 0 || auth_is_user(got.user));
        promise(got.kind == AUTH_LINE_OK || got.user.n == 0);
    }
    if (auth_line_mechanism(line, &m)) {
        promise(m.name[0] != '\0' && strlen(m.name) <= AUTH_MECHANISM_MAX);
        promise(!span_has_control(span_of(m.name)) &&
                span_find(span_of(m.name), ' ') == strlen(m.name));
    }
}

static void expect_answer(const struct auth *a, const struct auth_answer *got)
{
    const struct span room = {.p = a->room, .n = sizeof a->room};

    promise(got->result <= AUTH_LATER);
    if (got->result == AUTH_DONE)
        promise(auth_is_user(got->text) && is_in(got->text, room));
    else if (got->result == AUTH_CHALLENGE)
        promise(base64_is(got->text) && is_in(got->text, room));
    else
        promise((got->text.n > 0) == (got->result == AUTH_LATER));
    promise(!span_has_control(got->text));
    /* Nothing is kept of a connection that is not there. */
    promise(a->from <= a->to && a->to <= a->dirty && a->dirty <= sizeof a->room);
    promise(a->fd >= 0 || a->to == 0);
}

/* What the client has said: lines, and each is one that Dovecot knows. */
static void expect_lines(void)
{
    static const char *const first[] = {"VERSION\t1\t", "CPID\t", "AUTH\t", "CONT\t", "CANCEL\t"};
    static char room[1 << 18];
    struct span left = {.p = room}, line;
    ssize_t n;

    while ((n = read(server, room + left.n, sizeof room - left.n)) > 0)
        left.n += (size_t)n;
    close(server);
    server = -1;
    promise(left.n < sizeof room && (left.n == 0 || room[left.n - 1] == '\n'));
    for (size_t i = 0; span_word(&left, "\n", &line); i++) {
        bool known = false;

        for (size_t k = 0; k < sizeof first / sizeof *first; k++)
            known = known || span_starts_nocase(line, span_of(first[k]));
        promise(known && line.n < AUTH_LINE_MAX && (i > 0 || line.p[0] == 'V'));
        promise(span_find(line, '\r') == line.n && span_find(line, '\0') == line.n);
    }
}

static void try_connection(struct span in, bool secure)
{
    static const struct span response = {.p = "AGphbmUAeA==", .n = 12};
    static struct config config;
    static struct auth a;
    struct tls_facts tls = {.protocol = SPAN("TLSv1.3"),
                            .exporter = SPAN("00ff"),
                            .name = SPAN("c.example"),
                            .verify = SPAN("SUCCESS")};
    struct peer peer = {.tls = secure ? &tls : NULL};
    struct auth_answer got = {.result = AUTH_WRONG};

    config.auth_timeout = 1000;
    config.auth.socket = SPAN("/x");
    span_word(&in, "|", &peer.address);
    tls.sni = peer.port = peer.address;
    a = (struct auth){.config = &config, .peer = &peer, .id = peer.address, .fd = -1};
    a.mechanisms = (struct text){.p = a.mechanisms_room, .cap = AUTH_MECHANISMS_MAX};
    a.mechanism = (struct text){.p = a.mechanism_room, .cap = AUTH_MECHANISM_MAX};
    said = in;
    accepted = 0;
    auth_dovecot_mechanisms(&a);
    promise(a.mechanisms.n <= AUTH_MECHANISMS_MAX && !a.mechanisms.cut &&
            a.knows <= AUTH_MECHANISMS_N);
    for (unsigned i = 0; i < CALLS; i++) {
        if (got.result == AUTH_CHALLENGE && i != CALLS - 2) {
            auth_dovecot_go_on(&a, response, &got);
        } else {
            if (got.result == AUTH_CHALLENGE)
                auth_dovecot_cancel(&a);
            auth_dovecot_begin(&a, secure ? SPAN("EXTERNAL") : SPAN("x_1"),
                               i & 1 ? &response : NULL, &got);
        }
        expect_answer(&a, &got);
    }
    auth_dovecot_close(&a);
    promise(a.fd < 0 && a.dirty == 0);
    for (size_t i = 0; i < sizeof a.room; i++)
        promise(a.room[i] == 0);
    if (server >= 0)
        expect_lines();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span in = {.p = (const char *)data + 1, .n = size - 1};

    if (size < 2)
        return 0;
    if (data[0] & 1)
        try_line(in);
    else
        try_connection(in, data[0] & 2);
    return 0;
}
