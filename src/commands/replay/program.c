#include "commands/replay/program.h"

#include "commands/replay/play.h"
#include "commands/replay/settings.h"
#include "commands/replay/stand_ins.h"
#include "io/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 4 * TRANSCRIPT_SETTINGS_MAX + 32, SESSION_TIMEOUTS = 30 };

struct connection {
    int fd;
    struct tls tls; /* once it has begun */
    const struct stand_in_tls *stand_in;
    struct arena *arena;
    uint64_t timeout;
    uint64_t deadline; /* of the whole session */
    char held[65536];  /* what came while we were sending */
    size_t n;
    char given[65536];
};

static struct span read_now(struct connection *c)
{
    const ssize_t n = read(c->fd, c->given, sizeof c->given);

    return (struct span){.p = c->given, .n = n > 0 ? (size_t)n : 0};
}

/* Sends without a dead end: a server that waits for us to read its replies is read. */
static bool connection_send(void *context, struct span bytes)
{
    struct connection *c = context;

    if (c->fd < 0)
        return false;
    while (bytes.n > 0) {
        struct pollfd p = {.fd = c->fd, .events = POLLOUT};
        ssize_t n;

        if (c->n < sizeof c->held)
            p.events |= POLLIN;
        if (poll(&p, 1, (int)c->timeout) <= 0)
            return false;
        if (p.revents & POLLIN) {
            n = recv(c->fd, c->held + c->n, sizeof c->held - c->n, MSG_DONTWAIT);
            if (n == 0)
                return false;
            c->n += n > 0 ? (size_t)n : 0;
        }
        if (p.revents & (POLLERR | POLLHUP))
            return false;
        if (p.revents & POLLOUT) {
            n = send(c->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                return false;
            bytes = span_from(bytes, n > 0 ? (size_t)n : 0);
        }
    }
    return true;
}

static struct span connection_receive(void *context, bool *timed_out)
{
    struct connection *c = context;
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    *timed_out = false;
    if (c->n > 0) {
        const struct span held = {.p = c->given, .n = c->n};

        memcpy(c->given, c->held, c->n);
        c->n = 0;
        return held;
    }
    if (c->fd < 0)
        return (struct span){0};
    if (clock_left(c->deadline) == 0 || poll(&p, 1, (int)c->timeout) == 0) {
        *timed_out = true;
        return (struct span){0};
    }
    return read_now(c);
}

static void connection_half_close(void *context)
{
    struct connection *c = context;

    shutdown(c->fd, SHUT_WR);
}

static void connection_disconnect(void *context)
{
    struct connection *c = context;

    close(c->fd);
    c->fd = -1;
}

static bool connection_secure(void *context, const struct tls_facts *wanted, struct tls_facts *is,
                              struct span *why)
{
    struct connection *c = context;
    const size_t plain = c->n;
    bool secure;

    *why = SPAN("(the connection is closed)");
    if (c->fd < 0)
        return false;
    secure = stand_in_tls_shake_hands(c->stand_in, &c->tls, wanted, c->fd, c->arena);
    close(c->fd);
    c->fd = c->tls.ours.in;
    c->n = 0;
    *why = plain > 0 ? SPAN("(plain text behind the reply)") : c->tls.reason;
    *is = c->tls.facts;
    return secure && plain == 0;
}

/* The words that smtpin is started with; NULL-terminated. */
static void make_arguments(const struct transcript *t, const struct replay_options *o,
                           const struct stand_ins *stand_ins, char **argv)
{
    const char *settings[2 * TRANSCRIPT_SETTINGS_MAX];
    const size_t n = settings_all(t, o, settings, 2 * TRANSCRIPT_SETTINGS_MAX);
    size_t at = 0;

    argv[at++] = (char *)o->program;
    if (o->file != NULL) {
        argv[at++] = (char *)"-f";
        argv[at++] = (char *)o->file;
    }
    for (size_t i = 0; i < stand_ins->firsts; i++) {
        argv[at++] = (char *)"-o";
        argv[at++] = (char *)stand_ins->first[i];
    }
    for (size_t i = 0; i < n; i++) {
        argv[at++] = (char *)"-o";
        argv[at++] = (char *)settings[i];
    }
    argv[at++] = (char *)"-o";
    argv[at++] = (char *)(o->verbose ? "log=stderr" : "log=none");
    if (!o->deliver) {
        argv[at++] = (char *)"-o";
        argv[at++] = (char *)"user=";
    }
    /* A replay records nothing, and never runs what it does not stand in for. */
    argv[at++] = (char *)"-o";
    argv[at++] = (char *)"trace=";
    argv[at++] = (char *)"-o";
    argv[at++] = (char *)"deliver_parallel=1"; /* runs in the order of their recipients */
    for (size_t i = 0; i < stand_ins->settings; i++) {
        argv[at++] = (char *)"-o";
        argv[at++] = (char *)stand_ins->setting[i];
    }
    argv[at] = NULL;
}

static pid_t start(char *const *argv, int theirs)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = -1;

    if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attributes) != 0)
        return -1;
    /* A group of its own, so that its children can be ended with it. */
    if (posix_spawnattr_setpgroup(&attributes, 0) != 0 ||
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, theirs, 0) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, theirs, 1) != 0 ||
        posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ) != 0)
        pid = -1;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* Waits for it as long as for a word; then ends it. */
static void stop(pid_t pid, uint64_t timeout, struct differences *d)
{
    const uint64_t deadline = clock_now() + timeout;
    int status;
    pid_t ended;

    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && clock_left(deadline) > 0)
        poll(NULL, 0, 2);
    if (ended == 0) {
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
        differ(d, 0, SPAN("(smtpin ends)"), SPAN("(it went on after the session)"));
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        differ(d, 0, SPAN("(smtpin ends with status 0)"), SPAN("(it did not)"));
    }
}

/* The session, and its end. */
static void play_with(const struct transcript *t, const struct replay_options *o,
                      const struct stand_ins *stand_ins, struct connection *c, struct arena *a,
                      struct differences *d)
{
    const struct endpoint e = {.context = c,
                               .send = connection_send,
                               .receive = connection_receive,
                               .secure = connection_secure,
                               .secure_first = stand_ins->tls.implicit,
                               .header_first = stand_ins->tls.config.proxy_protocol != 0,
                               .half_close = connection_half_close,
                               .disconnect = connection_disconnect};
    char *argv[ARGUMENTS_MAX];
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        differ(d, 0, SPAN("a connection"), span_of(strerror(errno)));
        return;
    }
    c->fd = pair[0];
    c->stand_in = &stand_ins->tls;
    c->arena = a;
    c->timeout = o->timeout;
    c->deadline = clock_now() + SESSION_TIMEOUTS * o->timeout;
    make_arguments(t, o, stand_ins, argv);
    pid = start(argv, pair[1]);
    close(pair[1]);
    if (pid < 0)
        differ(d, 0, span_of(o->program), SPAN("(can't be started)"));
    else
        play(t, &e, &o->play, a, d);
    if (c->fd >= 0)
        close(c->fd);
    if (pid >= 0)
        stop(pid, o->timeout, d);
    if (c->tls.config != NULL)
        tls_close(&c->tls);
}

void replay_program(const struct transcript *t, const struct replay_options *o,
                    const char *directory, struct arena *a, struct differences *d)
{
    struct connection *c = calloc(1, sizeof *c);
    struct stand_ins stand_ins;

    if (c == NULL || !stand_ins_open(&stand_ins, t, o, directory, a)) {
        differ(d, 0, SPAN("a place to work in"), span_of(strerror(errno)));
    } else {
        play_with(t, o, &stand_ins, c, a, d);
        stand_ins_close(&stand_ins, t, o, a, d);
    }
    free(c);
}
