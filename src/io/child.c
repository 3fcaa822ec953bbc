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

struct outlet {
    int fd; /* our end of the pipe; -1: ended */
    struct text *text;
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
static bool drain(struct outlet *o)
{
    char chunk[4096];
    const ssize_t n = read(o->fd, chunk, sizeof chunk);

    if (n > 0)
        text_add(o->text, (struct span){.p = chunk, .n = (size_t)n});
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static void close_outlet(struct outlet *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
}

/* Has it ended? Left unreaped, its process id, and so its group's, stays its own. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ? errno != EINTR
                                                                            : info.si_pid == pid;
}

/* Reads both pipes until the process has ended (true) or the deadline has passed. The end of the
 * pipes is not the end of the process, and a process that it left behind may hold them open. */
static bool wait_for_end(pid_t pid, int pidfd, struct outlet *outlets, uint64_t deadline)
{
    for (;;) {
        struct pollfd polled[3] = {
            {.fd = outlets[0].fd, .events = POLLIN},
            {.fd = outlets[1].fd, .events = POLLIN},
            {.fd = pidfd, .events = POLLIN},
        };
        const int left = clock_left(deadline);

        poll(polled, 3, pidfd < 0 && left > TICK ? TICK : left);
        for (size_t i = 0; i < 2; i++)
            if (polled[i].revents != 0 && !drain(&outlets[i]))
                close_outlet(&outlets[i]);
        if ((pidfd < 0 || polled[2].revents != 0) && has_ended(pid))
            return true;
        if (left == 0)
            return false;
    }
}

/* Ends it and its children: the group may live on without its leader. */
static void end_group(pid_t pid, int pidfd, struct outlet *outlets)
{
    kill(-pid, SIGTERM);
    wait_for_end(pid, pidfd, outlets, clock_now() + GRACE);
    kill(-pid, SIGKILL);
    wait_for_end(pid, pidfd, outlets, clock_now() + GRACE);
}

static struct child_result reap(pid_t pid)
{
    int status;
    pid_t got;

    do
        got = waitpid(pid, &status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got != pid)
        return (struct child_result){.end = CHILD_LOST};
    if (WIFEXITED(status))
        return (struct child_result){.end = CHILD_EXITED, .status = WEXITSTATUS(status)};
    return (struct child_result){.end = CHILD_SIGNALLED, .status = WTERMSIG(status)};
}

static struct child_result attend(const struct child *c, pid_t pid, struct outlet *outlets)
{
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    const bool in_time = wait_for_end(pid, pidfd, outlets, clock_now() + c->timeout);
    struct child_result result;

    if (!in_time)
        end_group(pid, pidfd, outlets);
    result = reap(pid);
    if (!in_time)
        result = (struct child_result){.end = CHILD_TIMED_OUT};
    if (pidfd >= 0)
        close(pidfd);
    return result;
}

/* What is left in the pipe of a process that has ended. Bounded: one that it left behind may write
 * for ever. */
static void drain_rest(struct outlet *o)
{
    for (int i = 0; i < LAST_READS && o->fd >= 0; i++) {
        errno = 0;
        if (!drain(o) || errno == EAGAIN)
            break;
    }
    close_outlet(o);
}

static void open_outlet(struct outlet *o, int *write_end, bool *failed)
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

struct child_result child_run(const struct child *c, struct text *said, struct text *complained)
{
    struct outlet outlets[2] = {{.fd = -1, .text = said}, {.fd = -1, .text = complained}};
    struct child_result result = {.end = CHILD_NOT_STARTED};
    int ends[2] = {-1, -1};
    bool failed = false;
    pid_t pid = -1;

    for (size_t i = 0; i < 2; i++)
        open_outlet(&outlets[i], &ends[i], &failed);
    result.status = failed ? errno : start(c, ends[0], ends[1], &pid);
    for (size_t i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (result.status == 0)
        result = attend(c, pid, outlets);
    for (size_t i = 0; i < 2; i++)
        drain_rest(&outlets[i]);
    return result;
}
