#include "listen.h"

#include "backend/record.h"
#include "backend/status.h"
#include "io/child.h"
#include "io/clock.h"
#include "listen_state.h"
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    COMPLAINT_INTERVAL = 60000,
    CHILD_OOM_SCORE = 100, /* above this process's: a tenth of the memory there is */
    PAUSE = 100,           /* milliseconds, when nothing can be accepted */
};

/* Listeners with one name count together: the first of them stands for all. */
static unsigned socket_of(const struct setup *s, size_t listener)
{
    size_t i = 0;

    while (!span_eq(s->name[i], s->name[listener]))
        i++;
    return (unsigned)i;
}

static void log_event(const struct listening *l, const char *event)
{
    struct log_record r;

    log_begin(&r, LOG_SERVICE, LOG_LEVEL_NOTICE);
    log_add(&r, "event", span_of(event));
    log_add_number(&r, "sockets", l->given->setup->listeners);
    log_add_number(&r, "connections", l->guests.n);
    log_add_number(&r, "accepted", l->accepted);
    log_add_number(&r, "rejected", l->rejected);
    log_end(l->given->log, &r);
}

static void tell_manager(const struct listening *l, struct text *lines)
{
    if (l->manager != NULL)
        l->manager->notify(text_string(lines));
}

static void send_status(struct listening *l, const char *before)
{
    char room[256];
    struct text t = TEXT(room);

    text_adds(&t, before);
    text_adds(&t, "STATUS=");
    if (l->stopping)
        text_adds(&t, "ending: ");
    text_addn(&t, l->guests.n, 1);
    text_adds(&t, " connections now, ");
    text_addn(&t, l->accepted, 1);
    text_adds(&t, " accepted, ");
    text_addn(&t, l->rejected, 1);
    text_adds(&t, " refused");
    tell_manager(l, &t);
    l->news = false;
    l->next_status = clock_now() + STATUS_INTERVAL;
}

/* The configuration anew; what is wrong with it leaves the old one in force. */
static void reload(struct listening *l)
{
    const struct setup *s = l->given->setup;
    struct log *log = l->given->log;
    char room[64];
    struct text t = TEXT(room);
    struct generation *fresh;
    bool good;

    text_adds(&t, "RELOADING=1\nMONOTONIC_USEC=");
    text_addn(&t, clock_micros(), 1);
    tell_manager(l, &t);
    fresh = generation_load(s, &l->given->source, log, &good);
    good = good && generation_check(fresh, s, log) &&
           generation_take_user(fresh, l->now, &l->dropped, log);
    if (good) {
        /* What waits to be said speaks of the old one. */
        refusals_log_all(&l->refused, log);
        generation_forget(l->now);
        l->now = fresh;
        l->available = l->given->available;
        listen_open_seats(l);
        log_open(log, l->now->config[0].log, s->stderr_is_ours);
    } else {
        generation_forget(fresh);
    }
    log_event(l, good ? "reloaded" : "kept");
    send_status(l, "READY=1\n");
}

static void log_crash(const struct listening *l, pid_t pid, int status,
                      const struct admission_guest *guest)
{
    char address[INET6_ADDRSTRLEN] = "";
    struct log_record r;

    log_begin(&r, LOG_CRASH, LOG_LEVEL_ERROR);
    log_add_number(&r, "process", (uint64_t)pid);
    log_add_number(&r, WIFSIGNALED(status) ? "signal" : "status",
                   (uint64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
    log_add(&r, "socket", l->now->config[guest->socket].socket);
    log_add(&r, "client_address", admission_address(guest, address, sizeof address));
    log_end(l->given->log, &r);
}

static bool has_crashed(int status)
{
    return !WIFEXITED(status) ||
           (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != SERVE_CRASHED &&
            WEXITSTATUS(status) != SERVE_LOGINS_FAILED && WEXITSTATUS(status) != SERVE_ABUSED);
}

static void reap(struct listening *l)
{
    struct admission_guest guest;
    int status;
    pid_t pid;

    /* Not asked once more after the last one: an error is a page to be copied. */
    do {
        pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0 || !admission_leave(&l->guests, pid, &guest))
            continue;
        l->news = true;
        if (has_crashed(status))
            log_crash(l, pid, status, &guest);
        listen_judge(l, &guest, status);
        if (l->guests.n == 0)
            l->idle_since = clock_now();
    } while (pid > 0 && l->guests.n > 0);
}

static void refuse(struct listening *l, int fd, size_t listener, const struct admission_guest *g,
                   enum refusal kind)
{
    refusals_tell(&l->refused, kind, fd, &l->now->config[listener], g, l->given->log);
    l->rejected++;
    l->news = true;
}

static void close_listeners(const struct setup *s)
{
    for (size_t i = 0; i < s->listeners; i++)
        close(s->listener[i]);
}

/* True in the child. */
static bool serve_in_child(struct listening *l, int fd, size_t listener,
                           const struct sockaddr_storage *from, const struct admission_guest *g,
                           struct listen_accepted *out)
{
    /* In the child there is no *l. */
    const struct setup *s = l->given->setup;
    const int events = l->events, asked = l->asked, oom_score = l->oom_score;
    pid_t pid;

    *out = (struct listen_accepted){
        .fd = fd,
        .from = *from,
        .stop = l->stop,
        .seat = l->asking,
        .config = &l->now->config[listener],
        .available = l->available,
    };
    pid = child_split();
    if (pid == 0) {
        close_listeners(s);
        close(events);
        if (asked >= 0)
            close(asked);
        /* Where memory is short, one session ends, not all of them. */
        if (oom_score != INT_MIN)
            child_set_oom_score(oom_score + CHILD_OOM_SCORE);
        return true;
    }
    if (pid < 0) {
        refuse(l, fd, listener, g, REFUSED_FORK);
        return false;
    }
    close(fd);
    admission_enter(&l->guests, g, pid);
    l->accepted++;
    l->news = true;
    return false;
}

static void pause_accepting(struct listening *l, int error)
{
    l->paused_until = clock_now() + PAUSE;
    if (clock_left(l->next_complaint) > 0)
        return;
    record_mistake(l->given->log, "accept", 0, SPAN(""), strerror(error));
    l->next_complaint = clock_now() + COMPLAINT_INTERVAL;
}

/* One connection of a listener's. True in the child that serves it. */
static bool accept_one(struct listening *l, size_t listener, struct listen_accepted *out)
{
    const struct config *c = &l->now->config[listener];
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof from;
    struct admission_guest guest = {.socket = socket_of(l->given->setup, listener)};
    int fd;

    fd = accept4(l->given->setup->listener[listener], (struct sockaddr *)&from, &n, SOCK_CLOEXEC);
    if (fd < 0) {
        /* One client's end, who is out of the queue (accept(2) has more of the network's); or out
         * of descriptors or memory, or no socket any more: the queue will not be shorter at once.
         */
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED && errno != EPERM)
            pause_accepting(l, errno);
        return false;
    }
    admission_place(&guest, &from);
    guest.local = guest.local || listen_is_proxy(c, &guest);
    if (listen_has_penalty(l, c, &guest)) {
        refuse(l, fd, listener, &guest, REFUSED_PENALTY);
        return false;
    }
    switch (admission_ask(&l->guests, &guest, c->max_connections, c->max_connections_per_source)) {
    case ADMISSION_FULL:
        refuse(l, fd, listener, &guest, REFUSED_ALL);
        return false;
    case ADMISSION_SOURCE_FULL:
        refuse(l, fd, listener, &guest, REFUSED_SOURCE);
        return false;
    default:
        return serve_in_child(l, fd, listener, &from, &guest, out);
    }
}

/* SIGTERM: no more connections; the sessions are asked to end, which they do between commands. */
static void begin_to_stop(struct listening *l)
{
    l->stopping = true;
    close_listeners(l->given->setup);
    for (size_t i = 0; i < l->guests.n; i++)
        kill(l->guests.seat[i].pid, SIGTERM);
    log_event(l, "stopping");
    send_status(l, "STOPPING=1\n");
}

static void handle_signals(struct listening *l)
{
    /* There are two kinds, each of which waits once at the most (signal(7)). */
    struct signalfd_siginfo info[2];
    const ssize_t n = read(l->events, info, sizeof info);

    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof *info; i++)
        if (info[i].ssi_signo == SIGHUP && !l->stopping)
            reload(l);
    reap(l);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When something is to be done although nothing happens. */
static uint64_t next_duty(const struct listening *l)
{
    const uint64_t idle = l->now->config[0].listen_idle;
    uint64_t next = refusals_next(&l->refused);

    if (l->news && l->manager != NULL)
        next = earlier(next, l->next_status);
    if (l->sign_interval > 0)
        next = earlier(next, l->next_sign);
    if (l->paused_until > 0)
        next = earlier(next, l->paused_until);
    if (l->guests.n == 0 && idle > 0 && !l->stopping)
        next = earlier(next, l->idle_since + idle);
    return next;
}

static void give_sign(struct listening *l)
{
    if (l->sign_interval == 0 || clock_left(l->next_sign) > 0)
        return;
    l->manager->notify("WATCHDOG=1");
    l->next_sign = clock_now() + l->sign_interval;
}

static void do_duties(struct listening *l)
{
    give_sign(l);
    if (l->news && l->manager != NULL && clock_now() >= l->next_status)
        send_status(l, "");
    refusals_log_due(&l->refused, l->given->log);
    if (l->paused_until > 0 && clock_left(l->paused_until) == 0)
        l->paused_until = 0;
}

static bool is_idle(const struct listening *l)
{
    const uint64_t idle = l->now->config[0].listen_idle;

    return l->guests.n == 0 && idle > 0 && clock_left(l->idle_since + idle) == 0;
}

/* Waits, and sees to what has happened. True in a child. */
static bool turn(struct listening *l, struct listen_accepted *out)
{
    const struct setup *s = l->given->setup;
    const size_t listeners = l->stopping || l->paused_until > 0 ? 0 : s->listeners;
    struct pollfd p[MANAGER_SOCKETS_MAX + 3] = {
        {.fd = l->events, .events = POLLIN},
        {.fd = l->stopping ? -1 : l->stop, .events = POLLIN},
        {.fd = l->asked, .events = POLLIN},
    };
    const uint64_t next = next_duty(l);

    for (size_t i = 0; i < listeners; i++)
        p[3 + i] = (struct pollfd){.fd = s->listener[i], .events = POLLIN};
    if (poll(p, 3 + listeners, next == UINT64_MAX ? -1 : clock_left(next)) < 0)
        return false;
    if (p[0].revents != 0)
        handle_signals(l);
    if (p[1].revents != 0)
        begin_to_stop(l);
    if (p[2].revents != 0)
        listen_answer_seats(l);
    for (size_t i = 0; i < listeners && !l->stopping; i++)
        if (p[3 + i].revents != 0 && accept_one(l, i, out))
            return true;
    do_duties(l);
    return false;
}

/* NULL, or why there can be no listening. SIGCHLD is blocked since setup_process, SIGHUP since
 * there are listeners. */
static const char *prepare(struct listening *l)
{
    const struct setup *s = l->given->setup;
    sigset_t signals;

    l->stop = setup_stop();
    if (l->stop < 0)
        return "SIGTERM can't be watched: it would end the parent alone";
    l->guests = (struct admission){.seat = l->seats, .cap = CONFIG_CONNECTIONS_MAX};
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGHUP);
    l->events = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (l->events < 0)
        return strerror(errno);
    for (size_t i = 0; i < s->listeners; i++)
        fcntl(s->listener[i], F_SETFL, O_NONBLOCK);
    return NULL;
}

enum listen_result listen_run(const struct listen_given *given, struct listen_accepted *out)
{
    struct listening *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const char *wrong;
    bool good;

    if (l == MAP_FAILED) {
        record_mistake(given->log, "setup", 0, SPAN(""), strerror(errno));
        return LISTEN_FAILED;
    }
    madvise(l, sizeof *l, MADV_DONTFORK);
    l->given = given;
    l->idle_since = clock_now();
    l->now = generation_load(given->setup, &given->source, given->log, &good);
    if (l->now == NULL)
        return LISTEN_FAILED;
    log_open(given->log, l->now->config[0].log, given->setup->stderr_is_ours);
    l->available =
        generation_take_user(l->now, l->now, &l->dropped, given->log) && good && given->available;
    l->asking = l->asked = -1;
    listen_open_seats(l);
    wrong = prepare(l);
    if (wrong != NULL) {
        record_mistake(given->log, "setup", 0, SPAN(""), wrong);
        return LISTEN_FAILED;
    }
    l->manager = manager_hears() ? given->setup->manager : NULL;
    l->sign_interval = l->manager == NULL ? 0 : manager_watchdog() / 2;
    l->oom_score = l->manager == NULL ? INT_MIN : child_oom_score();
    log_event(l, "listening");
    send_status(l, "READY=1\n");
    while (!(l->stopping && l->guests.n == 0) && !is_idle(l))
        if (turn(l, out))
            return LISTEN_ACCEPTED;
    refusals_log_all(&l->refused, given->log);
    log_event(l, l->stopping ? "stopped" : "idle");
    return LISTEN_ENDED;
}
