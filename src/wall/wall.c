#include "wall/wall.h"

#include "io/child.h"
#include "io/clock.h"
#include "io/descriptors.h"
#include "io/wire.h"
#include "wall/answer.h"
#include "wall/filter.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SLACK = 10 * 1000,   /* milliseconds beyond those that its late replies may take */
    PATIENCE = 2 * 1000, /* milliseconds for a process to end after its last word */
    LOOKS = 4,           /* of them */
    REQUESTS_MORE = 100,
    TRACE_MORE = 16 * 1024, /* octets that a recording may have beyond trace_size: its end */
};

const char *wall_check(void)
{
    return filter_works() ? NULL : "no seccomp filter can be had here";
}

static void order(int *fd, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && fd[k] < fd[k - 1]; k--) {
            const int other = fd[k];

            fd[k] = fd[k - 1];
            fd[k - 1] = other;
        }
}

/* All but these. */
static void close_others(int *fd, size_t n)
{
    unsigned from = 0;

    order(fd, n);
    for (size_t i = 0; i < n; i++) {
        if (fd[i] < 0)
            continue;
        if ((unsigned)fd[i] > from)
            descriptors_close(from, (unsigned)fd[i] - 1);
        from = (unsigned)fd[i] + 1;
    }
    descriptors_close(from, ~0U);
}

static_assert(PACKET_MAX >= REQUEST_OCTETS_MAX + 2 * REQUEST_FIELDS_MAX,
              "behind a message's octets there is room for a request");

/* How many octets of a message a packet takes, where the socket takes a packet of so many. */
static size_t most_octets(int fd)
{
    size_t most = REQUEST_OCTETS_MAX;
    int size = 0;
    socklen_t n = sizeof size;

    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &n);
    while (most > 2 * REQUEST_OCTETS_FEW && most + REQUEST_FIELDS_MAX > (size_t)size)
        most /= 2;
    return most;
}

/* The process that will read: it keeps its connection, the way to ask, its recording. False: it
 * must not. */
static bool go_inside(struct desk *d, const struct serve_connection *connection,
                      struct serve_memory *memory, int fd, pid_t outside)
{
    int kept[] = {connection->in, connection->out, connection->stop, d->recorder.fd, fd};
    const bool recorded = d->recorder.fd >= 0;

    /* Nobody is left without the other one, not even where that has ended before this line. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != outside)
        _exit(1);
    close_others(kept, sizeof kept / sizeof *kept);
    d->ask = (struct ask){
        .fd = fd,
        .room = TEXT(memory->packet),
        .most = most_octets(fd),
        .added = TEXT(memory->added),
        .tells = d->status.notify.fd >= 0,
        .next = d->status.next,
    };
    d->status.notify.fd = -1;
    d->record.log = NULL;
    /* Without its filter it has not been opened yet when it says its first, and last, reply: it is
     * in this phase all the same. */
    d->session->phase = SMTP_CONNECTED;
    if (filter_enter(recorded ? d->config->trace_size + TRACE_MORE : 0))
        return true;
    ask_no_filter(&d->ask);
    return d->config->sandbox != CONFIG_SANDBOX_YES;
}

static void log_crash(const struct answer *a, const char *wrong, pid_t child, int status)
{
    struct log_record l;
    const struct record *r = &a->desk->record;

    log_begin(&l, LOG_CRASH, LOG_LEVEL_ERROR);
    log_add_number(&l, "process", (uint64_t)child);
    log_add(&l, "session", record_session_id(r));
    log_add(&l, "socket", r->config->socket);
    log_add(&l, "client_address", r->peer->address);
    log_add(&l, "violation", span_of(wrong));
    if (WIFSIGNALED(status))
        log_add_number(&l, "signal", (uint64_t)WTERMSIG(status));
    else
        log_add_number(&l, "status", (uint64_t)WEXITSTATUS(status));
    log_end(r->log, &l);
}

/* One request, if it comes within a moment (the socket's time-out); NULL, or what is wrong with it.
 * *gone: the other side has closed; *late: nothing has come. */
static const char *hear(struct answer *a, bool *gone, bool *late)
{
    const ssize_t n = recv(a->fd, a->room.p, a->room.cap, MSG_TRUNC);

    *late = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (*late)
        return NULL;
    *gone = n <= 0;
    if (*gone)
        return NULL;
    if ((size_t)n > a->room.cap)
        return "sends what is no request";
    return answer_request(a, (struct span){.p = a->room.p, .n = (size_t)n});
}

/* Answers until the other side has ended, or has said its last. */
static const char *attend(struct answer *a)
{
    const struct timeval moment = {.tv_usec = WIRE_MOMENT * 1000};
    const char *wrong = NULL;
    bool gone = false, late = false;
    unsigned glances = 0;

    setsockopt(a->fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
    while (!gone && !a->closed && wrong == NULL) {
        struct pollfd p[2] = {{.fd = a->fd, .events = POLLIN}, {.fd = a->stop, .events = POLLIN}};

        if (late || a->pressed || ++glances > WIRE_GLANCES) {
            glances = 0;
            a->pressed = false;
            desk_show(a->desk, NULL);
            if (poll(p, 2, clock_left(a->deadline + a->delivering)) > 0 && p[1].revents != 0)
                answer_look_at_stop(a);
            if (clock_left(a->deadline + a->delivering) == 0)
                wrong = "outlives its time";
            late = p[0].revents == 0;
        }
        if (!late && wrong == NULL)
            wrong = hear(a, &gone, &late);
    }
    return wrong;
}

/* Its exit status. With patience it may take a moment, which SIGCHLD ends (it is blocked: setup.c);
 * to be killed would cost it more than to end. */
static const char *wait_for(pid_t child, bool patient, int *status)
{
    const char *wrong = NULL;
    sigset_t ended;
    pid_t got = 0;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    for (int i = 0; got == 0 && patient && i < LOOKS; i++) {
        sigtimedwait(&ended, NULL, &(struct timespec){.tv_nsec = PATIENCE / LOOKS * 1000000});
        got = waitpid(child, status, WNOHANG);
    }
    if (got == 0 && patient)
        wrong = "does not end";
    if (got == 0)
        kill(child, SIGKILL);
    while (got == 0 || (got < 0 && errno == EINTR))
        got = waitpid(child, status, 0);
    return wrong;
}

/* Two for each command (a verdict, a refusal), two for each message, one a second for the service
 * manager. */
static uint64_t most_requests(const struct config *c)
{
    const uint64_t most = UINT64_MAX / 8;
    const uint64_t commands = c->smtp.max_commands < most ? c->smtp.max_commands : most;
    const uint64_t messages = c->smtp.max_transactions < most ? c->smtp.max_transactions : most;

    return 2 * commands + 2 * messages + c->session_timeout / STATUS_INTERVAL + REQUESTS_MORE;
}

static bool stay_outside(struct desk *d, pid_t child, int fd, int stop, struct serve_memory *memory,
                         struct arena *transaction, uint64_t deadline)
{
    const struct smtp_options *o = &d->config->smtp;
    struct answer a = {
        .desk = d,
        .fd = fd,
        .child = child,
        .stop = stop,
        .slack = serve_late(d->config) + SLACK,
        .room = TEXT(memory->packet),
        .arena = transaction,
        .most = most_requests(d->config),
    };
    const char *wrong;
    int status = 0;
    bool fine;

    *d->session = (struct smtp_session){.options = o, .transaction = {.arena = transaction}};
    a.deadline = deadline + a.slack;
    wrong = attend(&a);
    if (wait_for(child, wrong == NULL && a.closed, &status) != NULL)
        wrong = "does not end";
    if (!a.closed)
        d->session->transactions = a.transaction;
    fine = wrong == NULL && a.closed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!fine)
        log_crash(&a, wrong, child, status);
    d->recorder.fd = -1; /* the other side has ended it */
    desk_end(d, wrong != NULL ? "violation" : "crash");
    desk_close(d);
    return fine;
}

enum wall_side wall_raise(struct desk *d, const struct serve_connection *connection,
                          struct serve_memory *memory, struct arena *transaction, uint64_t deadline,
                          bool *available)
{
    const pid_t outside = getpid();
    pid_t child = -1;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ||
        (child = child_split()) < 0) {
        record_mistake(d->record.log, "setup", 0, SPAN("sandbox"), strerror(errno));
        *available = false;
        return WALL_NONE;
    }
    if (child == 0) {
        *available = go_inside(d, connection, memory, ends[1], outside);
        return WALL_INSIDE;
    }
    close(ends[1]);
    d->recorder.out.n = 0; /* the other one's to write */
    d->status.keeps = true;
    return stay_outside(d, child, ends[0], connection->stop, memory, transaction, deadline)
               ? WALL_OUTSIDE
               : WALL_BROKEN;
}
