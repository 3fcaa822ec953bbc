/* A policy server for unit tests: a process that does what a script says, on a socket of its own.
 * It accepts a connection when a step needs one, counts, and tells its counts when it ends. */
#ifndef SMTPIN_TESTS_POLICY_SERVER_H
#define SMTPIN_TESTS_POLICY_SERVER_H

#include "unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum step_kind {
    END,         /* of the script */
    READ,        /* a question, to its empty line */
    PEEK,        /* waits for octets of a question, and leaves them unread */
    SAY,         /* all at once */
    SLOWLY,      /* octet by octet */
    TRICKLE,     /* octet by octet, so slowly that nobody should wait for the end */
    NUL,         /* the text, a NUL, an empty line */
    FLOOD,       /* 1 MiB without a line end */
    WAIT,        /* for the test's end */
    WAIT_CLOSED, /* for the client's end of the connection */
    CLOSE,
    RESET,
    LISTEN_ONLY, /* nothing; nobody is accepted by it */
};

struct step {
    enum step_kind what;
    const char *text;
};

struct fake {
    char name[128]; /* of the server, as smtpin has it */
    char directory[64], path[80];
    pid_t pid;
    int counts; /* a pipe from the process */
    int alive;  /* a pipe to it: its end is the test's */
    /* Once it has ended. */
    int connections, requests, reads;
};

enum { FAKE_SECONDS = 50, FAKE_TRICKLE = 100, FAKE_FLOOD = 1024 * 1024 };

struct fake_run {
    int listener, client, alive;
    int count[3]; /* connections, requests, reads */
};

static inline void fake_read(struct fake_run *r)
{
    char room[16384];
    size_t n = 0;

    while (n < sizeof room) {
        const ssize_t got = recv(r->client, room + n, sizeof room - n, 0);

        if (got <= 0)
            return;
        r->count[2]++;
        n += (size_t)got;
        if (n > 1 && room[n - 1] == '\n' && room[n - 2] == '\n') {
            r->count[1]++;
            return;
        }
    }
}

static inline void fake_say(struct fake_run *r, struct span text, int pause)
{
    const size_t piece = pause > 0 ? 1 : text.n;
    struct pollfd p = {.fd = r->alive, .events = POLLIN};

    while (text.n > 0) {
        const ssize_t n = send(r->client, text.p, piece < text.n ? piece : text.n, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        text = span_from(text, (size_t)n);
        if (pause > 0)
            poll(&p, 1, pause);
    }
}

static inline void fake_flood(struct fake_run *r)
{
    static char much[FAKE_FLOOD];

    memset(much, 'x', sizeof much);
    fake_say(r, (struct span){.p = much, .n = sizeof much}, 0);
}

static inline void fake_wait(const struct fake_run *r)
{
    struct pollfd p = {.fd = r->alive, .events = POLLIN};

    poll(&p, 1, FAKE_SECONDS * 1000);
}

static inline void fake_close(struct fake_run *r, bool reset)
{
    const struct linger at_once = {.l_onoff = 1};

    if (reset)
        setsockopt(r->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(r->client);
    r->client = -1;
}

static inline void fake_do(struct fake_run *r, const struct step *step)
{
    const bool needs_client =
        step->what != WAIT && step->what != LISTEN_ONLY && step->what != WAIT_CLOSED;
    char octet;

    if (needs_client && r->client < 0) {
        r->client = accept(r->listener, NULL, NULL);
        r->count[0]++;
    }
    switch (step->what) {
    case READ:
        fake_read(r);
        break;
    case PEEK:
        recv(r->client, &octet, 1, MSG_PEEK);
        break;
    case SAY:
        fake_say(r, span_of(step->text), 0);
        break;
    case SLOWLY:
        fake_say(r, span_of(step->text), 1);
        break;
    case TRICKLE:
        fake_say(r, span_of(step->text), FAKE_TRICKLE);
        break;
    case NUL:
        fake_say(r, span_of(step->text), 0);
        fake_say(r, SPAN("\0\n\n"), 0);
        break;
    case FLOOD:
        fake_flood(r);
        break;
    case WAIT:
        fake_wait(r);
        break;
    case WAIT_CLOSED:
        while (recv(r->client, &octet, 1, 0) > 0)
            ;
        fake_close(r, false);
        break;
    case CLOSE:
    case RESET:
        fake_close(r, step->what == RESET);
        break;
    case END:
    case LISTEN_ONLY:
        break;
    }
}

static inline void fake_serve(struct fake *f, int listener, const struct step *script)
{
    int up[2], down[2];

    cr_assert_eq(pipe(up), 0);
    cr_assert_eq(pipe(down), 0);
    f->pid = fork();
    cr_assert_geq(f->pid, 0);
    if (f->pid == 0) {
        struct fake_run r = {.listener = listener, .client = -1, .alive = down[0]};

        alarm(FAKE_SECONDS);
        close(down[1]);
        for (; script->what != END; script++)
            fake_do(&r, script);
        /* Whoever asks more than the script has is not left waiting. */
        close(r.listener);
        if (r.client >= 0)
            fake_wait(&r);
        _exit(write(up[1], r.count, sizeof r.count) == sizeof r.count ? 0 : 1);
    }
    close(listener);
    close(up[1]);
    close(down[0]);
    f->counts = up[0];
    f->alive = down[1];
}

static inline struct fake fake_start(const struct step *script)
{
    struct fake f = {.directory = "/tmp/smtpin-unit-policy.XXXXXX"};
    const int s = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    cr_assert_not_null(mkdtemp(f.directory));
    snprintf(f.path, sizeof f.path, "%s/s", f.directory);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", f.path);
    snprintf(f.name, sizeof f.name, "unix:%s", f.path);
    cr_assert_eq(bind(s, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(listen(s, script->what == LISTEN_ONLY ? 0 : 5), 0);
    fake_serve(&f, s, script);
    return f;
}

static inline struct fake fake_start_tcp(const struct step *script)
{
    struct fake f = {.path = ""};
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;

    cr_assert_eq(bind(s, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(listen(s, 5), 0);
    cr_assert_eq(getsockname(s, (struct sockaddr *)&a, &n), 0);
    snprintf(f.name, sizeof f.name, "inet:127.0.0.1:%u", ntohs(a.sin_port));
    fake_serve(&f, s, script);
    return f;
}

/* Its counts are read; nothing is left of it. */
static inline void fake_end(struct fake *f)
{
    int count[3] = {0}, status;

    close(f->alive);
    cr_expect_eq(read(f->counts, count, sizeof count), sizeof count, "the server's counts");
    close(f->counts);
    cr_assert_eq(waitpid(f->pid, &status, 0), f->pid);
    cr_expect_eq(status, 0, "the server: %x", (unsigned)status);
    f->connections = count[0];
    f->requests = count[1];
    f->reads = count[2];
    if (f->path[0] != '\0') {
        unlink(f->path);
        rmdir(f->directory);
    }
}

/* Until the server has closed; until it has said something. */
static inline void fake_wait_for_close(int fd)
{
    char octet;

    cr_expect_eq(recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
                     poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 20000) == 1,
                 true);
}

static inline void fake_wait_for_octets(int fd)
{
    cr_expect_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 20000), 1);
}

#endif
