#include "commands/tls/session.h"

#include "base/number.h"
#include "commands/tls/carry.h"
#include "commands/tls/facts.h"
#include "commands/tls/handshake.h"
#include "commands/tls/report.h"
#include "io/clock.h"
#include "io/pass.h"
#include "syntax/tls_facts.h"
#include "syntax/tls_talk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BEGIN_MOMENT = 5000, /* milliseconds for BEGIN to come */
    GO_MOMENT = 60000,   /* and for "go": smtpin waits for its client to take a reply */
    HANDSHAKE = 30000,   /* of a BEGIN without a timeout */
    HANDSHAKE_MAX = 3600000,
};

/* The descriptors of BEGIN, in their order. */
enum { FROM_CLIENT, TO_CLIENT, STREAM, DESCRIPTORS };

struct session {
    int control;
    int fd[DESCRIPTORS]; /* -1: not there */
    uint64_t timeout;    /* milliseconds for the handshake */
    struct handshake handshake;
};

/* Takes the word off a packet. False: it is another, or the packet has no NUL at its end. */
static bool take_word(struct span *packet, struct span word)
{
    if (packet->n == 0 || packet->p[packet->n - 1] != '\0' ||
        !span_eq(span_first(*packet, span_find(*packet, '\0')), word))
        return false;
    *packet = span_from(*packet, word.n + 1);
    return true;
}

/* NULL, or what is wrong with the packet. */
static const char *read_begin(struct session *s, struct span packet)
{
    struct span name, value;
    bool version = false;

    if (!take_word(&packet, SPAN("begin")))
        return "not a BEGIN packet";
    s->timeout = HANDSHAKE;
    while (tls_next_field(&packet, &name, &value)) {
        if (span_eq(name, span_of(TLS_FIELD_VERSION)))
            version = span_eq(value, span_of(TLS_TALK_VERSION));
        else if (span_eq(name, span_of(TLS_FIELD_TIMEOUT)) &&
                 (number_parse(value, HANDSHAKE_MAX, &s->timeout) != NUMBER_OK || s->timeout == 0))
            return "the timeout is wrong";
    }
    return version ? NULL : "another version of smtpin: restart both";
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t n = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &n) == 0 ? value : -1;
}

/* Can octets be read (O_RDONLY) or written (O_WRONLY), and is it something that ends? */
static bool is_connection(int fd, int access)
{
    const int flags = fcntl(fd, F_GETFL);
    struct stat s;

    if (flags < 0 || (flags & O_PATH) != 0 ||
        ((flags & O_ACCMODE) != access && (flags & O_ACCMODE) != O_RDWR) || fstat(fd, &s) < 0)
        return false;
    if (S_ISSOCK(s.st_mode))
        return socket_option(fd, SO_TYPE) == SOCK_STREAM && socket_option(fd, SO_ACCEPTCONN) == 0;
    return S_ISFIFO(s.st_mode);
}

static bool is_stream(int fd)
{
    struct stat s;

    return fstat(fd, &s) == 0 && S_ISSOCK(s.st_mode) && is_connection(fd, O_RDWR) &&
           socket_option(fd, SO_DOMAIN) == AF_UNIX;
}

static const char *check_descriptors(const struct session *s)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        if (s->fd[i] < 0)
            return "fewer than three descriptors";
    if (!is_connection(s->fd[FROM_CLIENT], O_RDONLY) || !is_connection(s->fd[TO_CLIENT], O_WRONLY))
        return "the connection is no stream";
    return is_stream(s->fd[STREAM]) ? NULL : "the stream is no local socket";
}

/* Sends a packet of a word and, unless NULL, a reason. */
static bool answer(int control, struct span word, const char *reason)
{
    char room[TLS_PACKET_MAX];
    struct text t = TEXT(room);

    text_add(&t, word);
    text_addc(&t, '\0');
    if (reason != NULL)
        facts_add(&t, TLS_FIELD_REASON, span_of(reason));
    return pass_send(control, text_span(&t), NULL, 0);
}

/* BEGIN, and what is answered to it. False: that is the end. */
static bool begin(struct session *s, const struct tls_service *service)
{
    char room[TLS_PACKET_MAX];
    const ptrdiff_t n = pass_receive(s->control, room, sizeof room, s->fd, DESCRIPTORS, -1,
                                     clock_now() + BEGIN_MOMENT);
    const char *wrong = NULL;

    if (n == 0)
        return false; /* it was only a look */
    if (n < 0)
        wrong = errno == ETIMEDOUT ? "no BEGIN packet has come" : "the BEGIN packet is wrong";
    else
        wrong = read_begin(s, (struct span){.p = room, .n = (size_t)n});
    if (wrong == NULL)
        wrong = check_descriptors(s);
    if (wrong != NULL)
        report(LOG_ERR, "smtpin: %s", wrong);
    else if (service->ctx == NULL)
        wrong = service->unavailable;
    if (wrong != NULL) {
        answer(s->control, SPAN("unavailable"), wrong);
        return false;
    }
    return answer(s->control, SPAN("ready"), NULL);
}

/* "go". False: that is the end; the client has not got that far. */
static bool wait_for_go(struct session *s)
{
    char room[TLS_PACKET_MAX];
    int none[1];
    const ptrdiff_t n =
        pass_receive(s->control, room, sizeof room, none, 0, -1, clock_now() + GO_MOMENT);
    struct span packet = {.p = room, .n = n > 0 ? (size_t)n : 0};

    return take_word(&packet, SPAN("go"));
}

static bool make_polite(int fd)
{
    const int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* Says that the handshake has failed, and what is known of the client. */
static void fail(struct session *s)
{
    char room[TLS_PACKET_MAX];
    struct text t = TEXT(room);

    text_add(&t, SPAN("failed"));
    text_addc(&t, '\0');
    facts_add(&t, TLS_FIELD_REASON, span_of(s->handshake.reason));
    if (s->handshake.offered[0] != '\0')
        facts_add(&t, TLS_FIELD_OFFERED, span_of(s->handshake.offered));
    if (s->handshake.sni[0] != '\0')
        facts_add(&t, TLS_FACT_SNI, span_of(s->handshake.sni));
    pass_send(s->control, text_span(&t), NULL, 0);
    close(s->fd[STREAM]);
    s->fd[STREAM] = -1;
    carry_no_further(s->fd[FROM_CLIENT], s->fd[TO_CLIENT]);
}

static bool succeed(const struct session *s, SSL *ssl)
{
    char room[TLS_PACKET_MAX];
    struct text t = TEXT(room);

    text_add(&t, SPAN("secure"));
    text_addc(&t, '\0');
    facts_add(&t, TLS_FIELD_PLAIN, SPAN("stream"));
    facts_of(&t, ssl, &s->handshake);
    return !t.cut && pass_send(s->control, text_span(&t), NULL, 0);
}

/* The connection is ours from here on. */
static bool talk(struct session *s, SSL *ssl)
{
    s->handshake.deadline = clock_now() + s->timeout;
    for (int i = 0; i < DESCRIPTORS; i++)
        if (!make_polite(s->fd[i]))
            return false;
    if (!handshake_run(ssl, &s->handshake)) {
        fail(s);
        return false;
    }
    if (!succeed(s, ssl))
        return false;
    close(s->control);
    s->control = -1;
    carry(ssl, s->fd[FROM_CLIENT], s->fd[TO_CLIENT], s->fd[STREAM], s->fd[STREAM]);
    return true;
}

bool session_serve(int control, const struct tls_service *service)
{
    const bool client = service->options->mode == TLS_CLIENT;
    struct session s = {.control = control, .fd = {-1, -1, -1}};
    SSL *ssl = NULL;
    bool done = false;

    if (begin(&s, service)) {
        /* While smtpin sends its reply, and the client reads it. */
        s.handshake.certificates = client ? NULL : service->certificates;
        s.handshake.in = s.fd[FROM_CLIENT];
        s.handshake.out = s.fd[TO_CLIENT];
        s.handshake.control = control;
        ssl = handshake_new(service->ctx, &s.handshake, client ? service->options->place : NULL);
        if (ssl == NULL)
            report(LOG_ERR, "no memory");
        else if (wait_for_go(&s))
            done = talk(&s, ssl);
    }
    SSL_free(ssl);
    if (s.control >= 0)
        close(s.control);
    for (int i = 0; i < DESCRIPTORS; i++)
        if (s.fd[i] >= 0)
            close(s.fd[i]);
    return done;
}

/* A close with a packet that was not read resets the socket, and smtpin would not get the answer.
 */
void session_refuse(int control, const char *reason)
{
    char room[TLS_PACKET_MAX];
    int none[1];

    shutdown(control, SHUT_RD);
    while (pass_receive(control, room, sizeof room, none, 0, -1, 0) > 0)
        ;
    answer(control, SPAN("unavailable"), reason);
    close(control);
}
