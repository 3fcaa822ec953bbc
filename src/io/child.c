#include "io/child.h"

#include "io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    GRACE = 2000,    /* milliseconds from SIGTERM to SIGKILL */
    LAST_READS = 64, /* reads of what is left in a pipe after the end */
    TICK = 20,       /* milliseconds between looks, on a kernel without pidfd_open */
};

/* The command gets every signal's usual action back: what a super-server ignored, and SIGPIPE,
 * which we ignore, would be inherited. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM,
                                  SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2, SIGXFSZ};
    sigset_t usual, none;
    int error;

    sigemptyset(&none);
    sigemptyset(&usual);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&usual, signals[i]);
    error = posix_spawnattr_setsigdefault(attributes, &usual);
    if (error == 0)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    return error;
}

static int add_descriptors(const struct child *c, int said, int complained,
                           posix_spawn_file_actions_t *actions)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < c->passed; i++) {
        const int from = c->pass[i].from;

        error = posix_spawn_file_actions_adddup2(actions,
                                                 from == CHILD_SAID         ? said
                                                 : from == CHILD_COMPLAINED ? complained
                                                                            : from,
                                                 c->pass[i].to);
    }
    return error;
}

/* 0 or errno. */
static int start(const struct child *c, int said, int complained, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);

    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = add_descriptors(c, said, complained, &actions);
        if (error == 0)
            error = set_attributes(&attributes);
        if (error == 0)
            error = posix_spawn(pid, c->program, &actions, &attributes, c->argv, c->envp);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Reads once; false at the end of file. */
static bool drain(struct child_outlet *o)
{
    char chunk[4096];
    const ssize_t n = read(o->fd, chunk, sizeof chunk);

    if (n > 0)
        text_add(o->text, (struct span){.p = chunk, .n = (size_t)n});
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static void close_outlet(struct child_outlet *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
}

/* What is left in the pipe of a process that has ended. Bounded: one that it left behind may write
 * for ever. */
static void drain_rest(struct child_outlet *o)
{
    for (int i = 0; i < LAST_READS && o->fd >= 0; i++) {
        errno = 0;
        if (!drain(o) || errno == EAGAIN)
            break;
    }
    close_outlet(o);
}

static void open_outlet(struct child_outlet *o, int *write_end, bool *failed)
{
    int ends[2] = {-1, -1};

    if (*failed || pipe2(ends, O_CLOEXEC) < 0) {
        *failed = true;
        return;
    }
    /* Our end does not block: a process left behind may hold the other one open for ever. */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    o->fd = ends[0];
    *write_end = ends[1];
}

static void finish(struct child_process *p, struct child_result result)
{
    for (size_t i = 0; i < CHILD_OUTLETS; i++)
        drain_rest(&p->outlet[i]);
    if (p->pidfd >= 0)
        close(p->pidfd);
    p->pidfd = -1;
    p->result = result;
    p->ended = true;
}

void child_start(struct child_process *p, const struct child *c, struct text *said,
                 struct text *complained)
{
    int ends[CHILD_OUTLETS] = {-1, -1}, error;
    bool failed = false;

    *p = (struct child_process){
        .pid = -1,
        .pidfd = -1,
        .deadline = clock_now() + c->timeout,
        .outlet = {{.fd = -1, .text = said}, {.fd = -1, .text = complained}},
    };
    for (size_t i = 0; i < CHILD_OUTLETS; i++)
        open_outlet(&p->outlet[i], &ends[i], &failed);
    error = failed ? errno : start(c, ends[0], ends[1], &p->pid);
    for (size_t i = 0; i < CHILD_OUTLETS; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (error != 0)
        finish(p, (struct child_result){.end = CHILD_NOT_STARTED, .status = error});
    else
        p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
}

/* Has it ended? Left unreaped, its process id, and so its group's, stays its own. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ? errno != EINTR
                                                                            : info.si_pid == pid;
}

static struct child_result reap(const struct child_process *p)
{
    int status;
    pid_t got;

    /* Its children too, where its time was over: the group lives on without its leader. */
    if (p->killed > 0)
        kill(-p->pid, SIGKILL);
    do
        got = waitpid(p->pid, &status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (p->killed > 0)
        return (struct child_result){.end = CHILD_TIMED_OUT};
    if (got != p->pid)
        return (struct child_result){.end = CHILD_LOST};
    if (WIFEXITED(status))
        return (struct child_result){.end = CHILD_EXITED, .status = WEXITSTATUS(status)};
    return (struct child_result){.end = CHILD_SIGNALLED, .status = WTERMSIG(status)};
}

/* Its time is over: asked to end, then made to, then left alone. */
static void press(struct child_process *p)
{
    if (p->killed == 2) {
        finish(p, (struct child_result){.end = CHILD_TIMED_OUT});
        return;
    }
    kill(-p->pid, p->killed == 0 ? SIGTERM : SIGKILL);
    /* It may have left its group. */
    kill(p->pid, p->killed == 0 ? SIGTERM : SIGKILL);
    p->killed++;
    p->deadline = clock_now() + GRACE;
}

/* What poll is asked about: only what is open, since it takes no more entries than this process may
 * have descriptors. */
struct polled {
    struct pollfd fd[CHILD_PROCESSES_MAX * (CHILD_OUTLETS + 1)];
    nfds_t n;
};

static void ask(struct polled *p, int fd)
{
    if (fd >= 0)
        p->fd[p->n++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static bool is_ready(const struct polled *p, int fd)
{
    for (nfds_t i = 0; fd >= 0 && i < p->n; i++)
        if (p->fd[i].fd == fd)
            return p->fd[i].revents != 0;
    return false;
}

/* The end of the pipes is not the end of the process, and a process that it left behind may hold
 * them open. */
static void see_to(struct child_process *p, const struct polled *polled)
{
    for (size_t i = 0; i < CHILD_OUTLETS; i++)
        if (is_ready(polled, p->outlet[i].fd) && !drain(&p->outlet[i]))
            close_outlet(&p->outlet[i]);
    if ((p->pidfd < 0 || is_ready(polled, p->pidfd)) && has_ended(p->pid))
        finish(p, reap(p));
    else if (clock_left(p->deadline) == 0)
        press(p);
}

void child_attend(struct child_process *p, size_t n)
{
    struct polled polled = {.n = 0};
    int left = -1;

    for (size_t i = 0; i < n; i++) {
        int until;

        if (p[i].ended)
            continue;
        for (size_t k = 0; k < CHILD_OUTLETS; k++)
            ask(&polled, p[i].outlet[k].fd);
        ask(&polled, p[i].pidfd);
        until = clock_left(p[i].deadline);
        if (p[i].pidfd < 0 && until > TICK)
            until = TICK;
        if (left < 0 || until < left)
            left = until;
    }
    if (left < 0)
        return;
    poll(polled.fd, polled.n, left);
    for (size_t i = 0; i < n; i++)
        if (!p[i].ended)
            see_to(&p[i], &polled);
}
