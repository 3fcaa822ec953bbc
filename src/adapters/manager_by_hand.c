/* The protocols of sd_listen_fds(3), sd_notify(3) and systemd.io/JOURNAL_NATIVE_PROTOCOL. */
#include "adapters/manager.h"
#include "base/number.h"
#include "io/environment.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void *hold(void)
{
    return NULL;
}

static void release(void *held)
{
    (void)held;
}

/* 0: it is no number. */
static uint64_t number_in(const char *variable)
{
    const char *text = environment_get(variable);
    uint64_t n;

    return text != NULL && number_parse(span_of(text), INT_MAX, &n) == NUMBER_OK ? n : 0;
}

static void sockets(struct manager_sockets *out)
{
    const uint64_t pid = number_in("LISTEN_PID");
    const uint64_t n = pid == 0 || pid != (uint64_t)getpid() ? 0 : number_in("LISTEN_FDS");
    struct span names;

    out->n = 0;
    if (n == 0)
        return;
    names = span_of(environment_get("LISTEN_FDNAMES"));
    out->n = n > MANAGER_SOCKETS_MAX ? MANAGER_SOCKETS_MAX + 1 : (int)n;
    for (int i = 0; i < out->n; i++)
        fcntl(MANAGER_SOCKETS_START + i, F_SETFD, FD_CLOEXEC);
    for (int i = 0; i < MANAGER_SOCKETS_MAX; i++) {
        out->name[i] = i < out->n ? span_first(names, span_find(names, ':')) : SPAN("");
        names = span_from(names, out->name[i].n + 1);
    }
}

static bool listens(int fd)
{
    int answer = 0;
    socklen_t n = sizeof answer;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &answer, &n) == 0 && answer != 0;
}

static void notify(const char *lines)
{
    const struct span path = span_of(environment_get("NOTIFY_SOCKET"));
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd;

    if (path.n < 2 || path.n >= sizeof to.sun_path || (path.p[0] != '/' && path.p[0] != '@'))
        return;
    memcpy(to.sun_path, path.p, path.n);
    if (path.p[0] == '@') /* an abstract name */
        to.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, lines, strlen(lines), MSG_DONTWAIT | MSG_NOSIGNAL,
                  (const struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n));
    close(fd);
}

static enum log_output_result journal(struct log_output *o, struct span lines)
{
    static const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = MANAGER_JOURNAL};

    return log_output_datagram(o, &to, lines);
}

const struct manager manager_by_hand = {
    .hold = hold,
    .release = release,
    .sockets = sockets,
    .listens = listens,
    .notify = notify,
    .journal = journal,
};
