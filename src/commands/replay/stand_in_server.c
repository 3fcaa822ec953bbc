#include "commands/replay/stand_in_server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

const char *stand_in_server_socket(struct text *path, const char *directory, enum told_kind kind,
                                   size_t i)
{
    return place_numbered(path, directory, kind, i, "socket");
}

void stand_in_server_hang_up(struct stand_in_connection *c)
{
    close(c->fd);
    c->fd = -1;
}

/* Is a question whole? *n is its length, without its end. */
static bool find_question(const struct stand_in_server *s, const struct stand_in_connection *c,
                          size_t *n)
{
    for (*n = 0; *n + s->end.n <= c->n; ++*n)
        if (memcmp(c->bytes + *n, s->end.p, s->end.n) == 0)
            return true;
    return false;
}

/* Reads what is there, and answers each question that is whole. */
static void attend(struct stand_in_server *s, struct stand_in_connection *c)
{
    const ssize_t got = read(c->fd, c->bytes + c->n, sizeof c->bytes - c->n);
    size_t n;

    if (got <= 0) {
        stand_in_server_hang_up(c);
        return;
    }
    c->n += (size_t)got;
    while (c->fd >= 0 && find_question(s, c, &n)) {
        s->answer(s->context, c, (struct span){.p = c->bytes, .n = n});
        n += s->end.n;
        c->n -= n;
        memmove(c->bytes, c->bytes + n, c->n);
    }
}

static void take(struct stand_in_server *s, int server)
{
    const int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    struct stand_in_connection *c = NULL;

    for (size_t i = 0; i < STAND_IN_CONNECTIONS; i++)
        if (s->connection[i].fd < 0)
            c = &s->connection[i];
    if (fd < 0 || c == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    c->fd = fd;
    c->kept = false;
    c->n = 0;
    if (s->greet != NULL)
        s->greet(s->context, c);
}

/* Until it is ended, or the player is. */
static void serve(struct stand_in_server *s)
{
    struct pollfd p[STAND_IN_SERVERS + STAND_IN_CONNECTIONS];

    for (;;) {
        for (size_t i = 0; i < s->servers; i++)
            p[i] = (struct pollfd){.fd = s->server[i], .events = POLLIN};
        for (size_t i = 0; i < STAND_IN_CONNECTIONS; i++)
            p[s->servers + i] = (struct pollfd){.fd = s->connection[i].fd, .events = POLLIN};
        if (poll(p, s->servers + STAND_IN_CONNECTIONS, -1) < 0)
            return;
        for (size_t i = 0; i < STAND_IN_CONNECTIONS; i++)
            if (p[s->servers + i].revents != 0)
                attend(s, &s->connection[i]);
        for (size_t i = 0; i < s->servers; i++)
            if (p[i].revents != 0)
                take(s, s->server[i]);
    }
}

static int listen_at(const char *path, bool everybody)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    errno = ENAMETOOLONG;
    if (strlen(path) < sizeof address.sun_path) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
            (!everybody || chmod(path, 0666) == 0) && listen(fd, STAND_IN_CONNECTIONS) == 0)
            return fd;
    }
    close(fd);
    return -1;
}

/* The sockets are open before anybody is told of them. Returns how many of them are. */
static size_t open_servers(struct stand_in_server *s)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room);
    size_t i = 0;

    for (; i < s->servers; i++) {
        s->server[i] =
            listen_at(stand_in_server_socket(&path, s->directory, s->kind, i), s->everybody);
        if (s->server[i] < 0)
            break;
    }
    return i;
}

pid_t stand_in_server_start(struct stand_in_server *s)
{
    const pid_t player = getpid();
    size_t opened;
    pid_t pid = -1;

    if (!place_is_plain(s->directory))
        return -1;
    for (size_t i = 0; i < STAND_IN_CONNECTIONS; i++)
        s->connection[i].fd = -1;
    opened = open_servers(s);
    if (opened == s->servers)
        pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == player)
            serve(s);
        _exit(0);
    }
    for (size_t i = 0; i < opened; i++)
        close(s->server[i]);
    return pid;
}

void stand_in_server_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
