#include "adapters/seat.h"

#include "io/clock.h"
#include "io/pass.h"
#include "syntax/network.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE = 2000 }; /* milliseconds for an answer */

/* As it is sent: both ends are one program. Which process asks is the kernel's to say. */
struct packet {
    unsigned char local; /* 1: no address */
    unsigned char address[16];
};

static bool send_question(int fd, const struct packet *p, int answer, uint64_t deadline)
{
    const struct span octets = {.p = (const char *)p, .n = sizeof *p};
    struct pollfd full = {.fd = fd, .events = POLLOUT};

    while (!pass_send(fd, octets, &answer, 1)) {
        if (errno != EAGAIN || clock_left(deadline) == 0)
            return false;
        poll(&full, 1, clock_left(deadline));
    }
    return true;
}

enum seat_answer seat_ask(int fd, struct span address)
{
    const uint64_t deadline = clock_now() + PATIENCE;
    struct network n;
    struct packet p;
    char answer = SEAT_OPEN;
    int ends[2];

    memset(&p, 0, sizeof p);
    p.local = address.n == 0 || !network_parse(address, &n);
    if (!p.local)
        memcpy(p.address, n.address, sizeof p.address);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return SEAT_OPEN;
    if (!send_question(fd, &p, ends[1], deadline)) {
        close(ends[1]);
        ends[1] = -1;
    }
    if (ends[1] >= 0) {
        close(ends[1]);
        if (pass_receive(ends[0], &answer, 1, NULL, 0, -1, deadline) != 1)
            answer = SEAT_OPEN;
    }
    close(ends[0]);
    return answer == SEAT_SOURCE_FULL || answer == SEAT_PENALTY ? (enum seat_answer)answer
                                                                : SEAT_OPEN;
}

bool seat_take(int fd, struct seat_question *q)
{
    struct ucred made_by;
    socklen_t size = sizeof made_by;
    struct packet p;
    const ptrdiff_t n = pass_receive(fd, (char *)&p, sizeof p, &q->answer, 1, -1, 0);

    if (n != (ptrdiff_t)sizeof p || q->answer < 0 ||
        getsockopt(q->answer, SOL_SOCKET, SO_PEERCRED, &made_by, &size) < 0) {
        if (q->answer >= 0)
            close(q->answer);
        return false;
    }
    q->pid = made_by.pid;
    q->local = p.local != 0;
    memcpy(q->address, p.address, sizeof q->address);
    return true;
}

void seat_give(const struct seat_question *q, enum seat_answer answer)
{
    const char octet = (char)answer;

    (void)!send(q->answer, &octet, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(q->answer);
}
