#include "io/pass.h"

#include "io/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Room for the descriptors of one packet, in the form that the kernel wants. */
union control {
    struct cmsghdr aligned;
    char room[CMSG_SPACE(PASS_DESCRIPTORS_MAX * sizeof(int))];
};

/* Not the C library's own: the dynamic loader would look their names up at each start, where most
 * sessions have no use for them. Both take the kernel's struct msghdr; where the C library's has
 * more in it, that is padding, which must be zero. */
static ssize_t send_packet(int fd, const struct msghdr *m, int flags)
{
    return syscall(SYS_sendmsg, fd, m, flags);
}

static ssize_t receive_packet(int fd, struct msghdr *m, int flags)
{
    return syscall(SYS_recvmsg, fd, m, flags);
}

int pass_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t n = strlen(path);
    const int fd = n < sizeof address.sun_path
                       ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
                       : -1;

    if (fd < 0)
        return -1;
    memcpy(address.sun_path, path, n);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool pass_send(int fd, struct span packet, const int *descriptors, size_t n)
{
    struct iovec octets = {.iov_base = (void *)packet.p, .iov_len = packet.n};
    struct msghdr m = {.msg_iov = &octets, .msg_iovlen = 1};
    union control control;
    ssize_t sent;

    if (n > 0) {
        struct cmsghdr *const c = &control.aligned;

        memset(&control, 0, sizeof control);
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(n * sizeof(int));
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), descriptors, n * sizeof(int));
    }
    do
        sent = send_packet(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)packet.n;
}

/* Those that came in this header go to where the first free places are. */
static void take(const struct cmsghdr *c, int *descriptors, size_t n, size_t *taken)
{
    const size_t came = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

    for (size_t i = 0; i < came; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        if (*taken < n)
            descriptors[(*taken)++] = fd;
        else
            close(fd);
    }
}

/* 1: something has come; else -1 and errno. */
static int wait_for_packet(int fd, int stop, uint64_t deadline)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    int ready;

    do
        ready = poll(p, 2, clock_left(deadline));
    while ((ready < 0 && errno == EINTR) || (ready == 0 && clock_left(deadline) > 0));
    if (ready == 0)
        errno = ETIMEDOUT;
    if (ready > 0 && p[1].revents != 0)
        errno = ECANCELED;
    return ready > 0 && p[1].revents == 0 ? 1 : -1;
}

ptrdiff_t pass_receive(int fd, char *room, size_t cap, int *descriptors, size_t n, int stop,
                       uint64_t deadline)
{
    struct iovec octets = {.iov_base = room, .iov_len = cap};
    union control control;
    struct msghdr m = {.msg_iov = &octets,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof control.room};
    size_t taken = 0;
    ssize_t got;

    for (size_t i = 0; i < n; i++)
        descriptors[i] = -1;
    if (wait_for_packet(fd, stop, deadline) < 0)
        return -1;
    do
        got = receive_packet(fd, &m, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            take(c, descriptors, n, &taken);
    if (m.msg_flags & MSG_TRUNC) {
        errno = EMSGSIZE;
        return -1;
    }
    return got;
}
