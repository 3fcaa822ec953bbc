#include "sandbox/sandbox.h"

#include "io/child.h"
#include "io/clock.h"
#include "io/descriptors.h"
#include "io/filter.h"
#include "io/wire.h"
#include "sandbox/monitor.h"

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
    SLACK = 10 * 1000,      /* milliseconds beyond those that its late replies may take */
    PATIENCE = 2 * 1000,    /* milliseconds for a worker to end after its last request */
    LOOKS = 4,              /* of them */
    TRACE_MORE = 16 * 1024, /* octets that a recording may have beyond trace_size: its end */
};

const char *sandbox_check(void)
{
    return filter_works() ? NULL : "no seccomp filter can be had here";
}

static void sort_descriptors(int *fd, size_t n)
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

    sort_descriptors(fd, n);
    for (size_t i = 0; i < n; i++) {
        if (fd[i] < 0)
            continue;
        if ((unsigned)fd[i] > from)
            descriptors_close(from, (unsigned)fd[i] - 1);
        from = (unsigned)fd[i] + 1;
    }
    descriptors_close(from, ~0U);
}

static_assert(PACKET_MAX - REQUEST_OCTETS_MAX >= 2 * REQUEST_FIELDS_MAX &&
                  PACKET_MAX - REQUEST_OCTETS_MAX >= sizeof(uint64_t) + REQUEST_ANSWER_MAX,
              "behind a message's octets there is room for a request, and for an answer");

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

/* This process will read: it keeps its connection, the way to ask, its recording. False: it must
 * not. */
static bool become_worker(struct backend *b, struct worker *w, const struct sandbox_session *s,
                          int fd, pid_t monitor)
{
    int kept[] = {s->in, s->out, s->plain.in, s->plain.out, s->stop, b->recorder.fd, fd};
    const bool recorded = b->recorder.fd >= 0;

    /* No worker is left without its monitor, not even where that has ended before this line. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != monitor)
        _exit(1);
    close_others(kept, sizeof kept / sizeof *kept);
    *w = (struct worker){
        .fd = fd,
        .room = s->packet,
        .most = most_octets(fd),
        .added = s->added,
        .status_is_read = b->status.manager != NULL,
        .next_status = b->status.next,
        .asks_for_seat = b->seat >= 0,
    };
    b->seat = -1;
    b->status.manager = NULL;
    b->record.log = NULL;
    /* Without its filter it has not been opened yet when it says its first, and last, reply: it is
     * in this phase all the same. */
    b->session->phase = SMTP_CONNECTED;
    if (filter_enter(recorded ? b->config->trace_size + TRACE_MORE : 0))
        return true;
    worker_report_no_filter(w);
    return b->config->sandbox != CONFIG_SANDBOX_YES;
}

static void log_crash(const struct monitor *m, const char *wrong, int status)
{
    struct log_record l;
    const struct record *r = &m->backend->record;

    log_begin(&l, LOG_CRASH, LOG_LEVEL_ERROR);
    log_add_number(&l, "process", (uint64_t)m->worker);
    log_add(&l, "session", record_session_id(r));
    log_add(&l, "socket", r->config->socket);
    log_add(&l, "client_address", r->peer->address);
    log_add(&l, "violation", span_of(wrong));
    if (wrong != NULL && m->last != NULL)
        log_add(&l, "request", m->last->name);
    if (WIFSIGNALED(status))
        log_add_number(&l, "signal", (uint64_t)WTERMSIG(status));
    else
        log_add_number(&l, "status", (uint64_t)WEXITSTATUS(status));
    log_end(r->log, &l);
}

/* One request, if it comes within a moment (the socket's time-out); NULL, or what is wrong with it.
 * *gone: the worker has closed; *late: nothing has come. */
static const char *answer_request(struct monitor *m, bool *gone, bool *late)
{
    char *const room = monitor_receiving_room(m);
    const ssize_t n = recv(m->fd, room, m->room.cap, MSG_TRUNC);

    *late = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (*late)
        return NULL;
    *gone = n <= 0;
    if (*gone)
        return NULL;
    /* A packet that was cut is none. */
    return monitor_handle(m,
                          (struct span){.p = room, .n = (size_t)n <= m->room.cap ? (size_t)n : 0});
}

/* Until the worker has ended, or has sent its last. */
static const char *answer_requests(struct monitor *m)
{
    const struct timeval moment = {.tv_usec = WIRE_MOMENT * 1000};
    const char *wrong = NULL;
    bool gone = false, late = false;
    unsigned requests = 0;

    setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
    while (!gone && !m->closed && wrong == NULL) {
        struct pollfd p[2] = {{.fd = m->fd, .events = POLLIN}, {.fd = m->stop, .events = POLLIN}};

        if (late || m->pressed || ++requests > WIRE_BRIEF_FILLS) {
            requests = 0;
            m->pressed = false;
            backend_refresh_status(m->backend, NULL);
            if (poll(p, 2, clock_left(m->deadline + m->delivering)) > 0 && p[1].revents != 0)
                monitor_check_stop(m);
            if (clock_left(m->deadline + m->delivering) == 0)
                wrong = "outlives its time";
            late = p[0].revents == 0;
        }
        if (!late && wrong == NULL)
            wrong = answer_request(m, &gone, &late);
    }
    return wrong;
}

/* The worker's exit status. With patience it may take a moment, which SIGCHLD ends (it is blocked:
 * setup.c); to be killed would cost it more than to end. */
static const char *reap_worker(pid_t worker, bool patient, int *status)
{
    const char *wrong = NULL;
    sigset_t ended;
    pid_t got = 0;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    for (int i = 0; got == 0 && patient && i < LOOKS; i++) {
        sigtimedwait(&ended, NULL, &(struct timespec){.tv_nsec = PATIENCE / LOOKS * 1000000});
        got = waitpid(worker, status, WNOHANG);
    }
    if (got == 0 && patient)
        wrong = "does not end";
    if (got == 0)
        kill(worker, SIGKILL);
    while (got == 0 || (got < 0 && errno == EINTR))
        got = waitpid(worker, status, 0);
    return wrong;
}

static bool become_monitor(struct backend *b, const struct sandbox_session *s, pid_t worker, int fd)
{
    const struct smtp_options *o = &b->config->smtp;
    struct monitor m = {
        .backend = b,
        .fd = fd,
        .in = s->in,
        .out = s->out,
        .worker = worker,
        .stop = s->stop,
        .slack = s->late + SLACK,
        .room = s->packet,
        .arena = s->transaction,
        .arena_max = s->arena_max,
    };
    const char *wrong;
    int status = 0;
    bool fine;

    *b->session = (struct smtp_session){
        .options = o,
        .transaction = {.arena = s->transaction},
        .secure = b->peer->tls != NULL,
        .xclient = proxied_may_xclient(b->config, b->peer) ? s->xclient : NULL,
        .login = b->auth == NULL && !o->xclient_login ? NULL : s->login};
    m.deadline = s->deadline + m.slack;
    wrong = answer_requests(&m);
    if (reap_worker(worker, wrong == NULL && m.closed, &status) != NULL)
        wrong = "does not end";
    fine = wrong == NULL && m.closed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!fine)
        log_crash(&m, wrong, status);
    b->recorder.fd = -1; /* the worker has ended it */
    backend_end(b, wrong != NULL ? "violation" : "crash");
    backend_close(b);
    return fine;
}

enum sandbox_result sandbox_fork(struct backend *b, struct worker *w,
                                 const struct sandbox_session *s, bool *available)
{
    const pid_t monitor = getpid();
    pid_t worker = -1;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ||
        (worker = child_split()) < 0) {
        record_mistake(b->record.log, "setup", 0, SPAN("sandbox"), strerror(errno));
        *available = false;
        return SANDBOX_NONE;
    }
    if (worker == 0) {
        *available = become_worker(b, w, s, ends[1], monitor);
        return SANDBOX_WORKER;
    }
    close(ends[1]);
    if (s->plain.in >= 0)
        close(s->plain.in);
    if (s->plain.out >= 0 && s->plain.out != s->plain.in)
        close(s->plain.out);
    b->recorder.out.n = 0; /* the worker's to write */
    b->status.of_monitor = true;
    return become_monitor(b, s, worker, ends[0]) ? SANDBOX_ENDED : SANDBOX_CRASHED;
}
