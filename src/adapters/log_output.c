#include "adapters/log_output.h"

#include "io/alarm.h"
#include "io/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    PATIENCE = 100,      /* milliseconds that may be waited for one record */
    NOWAIT = 0x00000008, /* RWF_NOWAIT (linux/fs.h), which musl has not */
};

static ssize_t write_with_alarm(const struct log_output *o, struct span s)
{
    struct pollfd p = {.fd = 2, .events = POLLOUT};
    struct alarm alarm;
    ssize_t n;

    if (o->stuck && poll(&p, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    alarm_begin(&alarm, PATIENCE);
    n = write(2, s.p, s.n);
    alarm_end(&alarm);
    return n;
}

/* Some file systems answer EAGAIN where they would have to allocate: no reader will make that
 * better, and a file takes the record soon. */
static bool is_file(void)
{
    struct stat st;

    return fstat(2, &st) == 0 && S_ISREG(st.st_mode);
}

/* Descriptor 2 is others' too: O_NONBLOCK would be theirs as well. */
static ssize_t write_at_once(struct log_output *o, struct span s)
{
    const struct iovec all = {.iov_base = (char *)s.p, .iov_len = s.n};
    ssize_t n = -1;

    for (; o->way < LOG_OUTPUT_ALARM; o->way++) {
        n = o->way == LOG_OUTPUT_NOWAIT ? syscall(SYS_pwritev2, 2, &all, 1, -1L, -1L, NOWAIT)
                                        : send(2, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0 || errno == EINTR || (errno == EAGAIN && !is_file()))
            return n;
    }
    return write_with_alarm(o, s);
}

bool log_output_line(struct log_output *o, struct span left)
{
    const size_t all = left.n;
    struct pollfd p = {.fd = 2, .events = POLLOUT};
    uint64_t deadline = 0;

    for (;;) {
        const ssize_t n = write_at_once(o, left);

        left = span_from(left, n > 0 ? (size_t)n : 0);
        if (left.n == 0)
            break;
        /* An alarm's EINTR is the end of the wait. */
        if (n == 0 || o->stuck ||
            (n < 0 && errno != EAGAIN && (errno != EINTR || o->way == LOG_OUTPUT_ALARM)))
            break;
        if (deadline == 0)
            deadline = clock_now() + PATIENCE;
        if (clock_left(deadline) == 0)
            break;
        poll(&p, 1, clock_left(deadline));
    }
    if (left.n < all)
        o->torn = left.n > 0;
    return left.n == 0;
}

/* A socket that takes nothing for a moment costs the record, not the session. */
static void open_socket(struct log_output *o, int type)
{
    const struct timeval patience = {.tv_usec = PATIENCE * 1000};

    o->socket = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    setsockopt(o->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static enum log_output_result result_of(bool sent)
{
    if (sent)
        return LOG_OUTPUT_SENT;
    return errno == EAGAIN || errno == EINTR ? LOG_OUTPUT_STUCK : LOG_OUTPUT_NOBODY;
}

static ssize_t send_some(const struct log_output *o, struct span s, const struct sockaddr_un *to)
{
    return sendto(o->socket, s.p, s.n, MSG_NOSIGNAL | (o->stuck ? MSG_DONTWAIT : 0),
                  (const struct sockaddr *)to, to == NULL ? 0 : sizeof *to);
}

enum log_output_result log_output_datagram(struct log_output *o, const struct sockaddr_un *to,
                                           struct span s)
{
    if (o->socket < 0)
        open_socket(o, SOCK_DGRAM);
    return result_of(send_some(o, s, to) == (ssize_t)s.n);
}

void log_output_close(struct log_output *o)
{
    if (o->socket >= 0)
        close(o->socket);
    o->socket = -1;
    o->stream = false;
}

enum log_output_result log_output_stream(struct log_output *o, const struct sockaddr_un *to,
                                         struct span s)
{
    enum log_output_result result;

    if (!o->stream) {
        log_output_close(o);
        open_socket(o, SOCK_STREAM | (o->stuck ? SOCK_NONBLOCK : 0));
        o->stream = true;
        if (connect(o->socket, (const struct sockaddr *)to, sizeof *to) < 0)
            s.n = 0;
    }
    result = result_of(s.n > 0 && send_some(o, s, NULL) == (ssize_t)s.n);
    if (result != LOG_OUTPUT_SENT)
        log_output_close(o);
    return result;
}
