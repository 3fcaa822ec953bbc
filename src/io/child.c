#include "io/child.h"

#include "base/number.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/descriptors.h"
#include "io/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    GRACE = 2000, /* milliseconds from SIGTERM to SIGKILL */
    /* Reads of what is left in a pipe after the end: all that the largest one holds (1 MiB:
     * pipe(7), F_SETPIPE_SZ), and a little more. */
    LAST_READS = 320,
    /* Most commands say little and end soon: for so many milliseconds only the end is waited for,
     * by its signal: no descriptor, and no wake-up for each pipe that is closed on the way. */
    FIRST_LOOK = 5,
    FIRST_LOOKS = 4, /* at the most, since the signal may be another process's */
    OOM_SCORE_MAX = 1000,
    TICK = 20, /* milliseconds between looks, on a kernel without pidfd_open */
};

static const char oom_score[] = "/proc/self/oom_score_adj";

int child_oom_score(void)
{
    const int fd = open(oom_score, O_RDONLY | O_CLOEXEC);
    char room[16];
    const ssize_t n = fd < 0 ? -1 : read(fd, room, sizeof room);
    struct span text = {.p = room, .n = n > 0 ? (size_t)n : 0};
    const bool negative = text.n > 0 && room[0] == '-';
    uint64_t score;

    if (fd >= 0)
        close(fd);
    if (negative)
        text = span_from(text, 1);
    if (number_parse(span_first(text, span_find(text, '\n')), OOM_SCORE_MAX, &score) != NUMBER_OK)
        return INT_MIN;
    return negative ? -(int)score : (int)score;
}

void child_set_oom_score(int score)
{
    const int fd = open(oom_score, O_WRONLY | O_CLOEXEC);
    char room[16];
    struct text text = TEXT(room);

    if (fd < 0)
        return;
    text_adds(&text, score < 0 ? "-" : "");
    text_addn(&text,
              (uint64_t)(score < 0               ? -score
                         : score > OOM_SCORE_MAX ? OOM_SCORE_MAX
                                                 : score),
              1);
    (void)!write(fd, text.p, text.n);
    close(fd);
}

/* Without the C library's own preparations, which cost calls, and pages that both sides then copy:
 * no thread, lock or handler of this process needs any. (On some other machines clone(2) has its
 * arguments in another order.) */
const char *child_end_name(enum child_end end)
{
    static const char *const ends[] = {
        [CHILD_EXITED] = "exit",       [CHILD_SIGNALLED] = "signal",
        [CHILD_TIMED_OUT] = "timeout", [CHILD_NOT_STARTED] = "not_started",
        [CHILD_LOST] = "lost",
    };

    return ends[end];
}

pid_t child_split(void)
{
#if defined(__x86_64__) || defined(__aarch64__)
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
#else
    return fork();
#endif
}

/* What the new process does before it is the command. It runs in our memory while we stand still,
 * so it only makes system calls, and leaves why it could not become the command in *error. Signals
 * have their usual actions already (setup.c): none is ignored that would be inherited. */
static _Noreturn void become(const struct child *c, int said, int complained, volatile int *error)
{
    sigset_t none;

    setpgid(0, 0);
    for (size_t i = 0; i < c->passed; i++) {
        int from = c->pass[i].from;

        if (from == CHILD_SAID || from == CHILD_COMPLAINED)
            from = from == CHILD_SAID ? said : complained;
        if (from == c->pass[i].to ? fcntl(from, F_SETFD, 0) < 0 : dup2(from, c->pass[i].to) < 0) {
            *error = errno;
            _exit(127);
        }
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (c->rules == 0 || landlock_enter(c->rules))
        execve(c->program, c->argv, c->envp);
    *error = errno;
    _exit(127);
}

/* 0 or errno. vfork(2) copies no page tables, and unlike posix_spawn(3) needs no pipe to hear of a
 * failed exec, no memory and no round through all signals. */
static int start(const struct child *c, int said, int complained, pid_t *pid)
{
    volatile int error = 0; /* written by the other process, which a compiler need not know of */
    const pid_t started = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

    if (started == 0)
        become(c, said, complained, &error); /* NOLINT(clang-analyzer-unix.Vfork) */
    if (started < 0)
        return errno;
    if (error != 0) {
        while (waitpid(started, NULL, 0) < 0 && errno == EINTR)
            ;
        return error;
    }
    *pid = started;
    return 0;
}

/* Reads once, after poll has said that there is something; false at the end of file. */
static bool drain(struct child_outlet *o)
{
    char chunk[4096];
    ssize_t n;

    /* A process left behind may hold the other end open for ever, and the command may read from it
     * itself, between our poll and our read. */
    if (!o->polite)
        fcntl(o->fd, F_SETFL, O_NONBLOCK);
    o->polite = true;
    n = read(o->fd, chunk, sizeof chunk);

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

/* What is left in the pipes of a process that has ended. Bounded: one that it left behind may write
 * for ever. */
static void drain_rest(struct child_outlet *o)
{
    struct pollfd p[CHILD_OUTLETS];
    bool more = true;

    for (size_t k = 0; k < CHILD_OUTLETS; k++)
        p[k] = (struct pollfd){.fd = o[k].fd, .events = POLLIN};
    for (int i = 0; i < LAST_READS && more && poll(p, CHILD_OUTLETS, 0) > 0; i++) {
        more = false;
        for (size_t k = 0; k < CHILD_OUTLETS; k++)
            if ((p[k].revents & POLLIN) != 0 && drain(&o[k]))
                more = true;
    }
}

static void open_outlet(struct child_outlet *o, int *write_end, bool *failed)
{
    int ends[2] = {-1, -1};

    if (*failed || pipe2(ends, O_CLOEXEC) < 0) {
        *failed = true;
        return;
    }
    o->fd = ends[0];
    *write_end = ends[1];
}

/* Ours, which the command has by now: without them, the end of its own is the pipe's. */
static void close_write_ends(struct child_process *p)
{
    for (size_t i = 0; i < CHILD_OUTLETS; i++) {
        if (p->write_end[i] >= 0)
            close(p->write_end[i]);
        p->write_end[i] = -1;
    }
}

/* Both ends of both pipes, in one call where they stand side by side. */
static void close_pipes(struct child_process *p)
{
    const int first = p->outlet[0].fd;

    if (first >= 0 && p->write_end[0] == first + 1 && p->outlet[1].fd == first + 2 &&
        p->write_end[1] == first + 3) {
        descriptors_close((unsigned)first, (unsigned)first + 3);
        p->outlet[0].fd = p->outlet[1].fd = p->write_end[0] = p->write_end[1] = -1;
        return;
    }
    for (size_t i = 0; i < CHILD_OUTLETS; i++)
        close_outlet(&p->outlet[i]);
    close_write_ends(p);
}

static void finish(struct child_process *p, struct child_result result)
{
    drain_rest(p->outlet);
    close_pipes(p);
    if (p->pidfd >= 0)
        close(p->pidfd);
    p->pidfd = -1;
    p->result = result;
    p->ended = true;
}

void child_start(struct child_process *p, const struct child *c, struct text *said,
                 struct text *complained)
{
    bool failed = false;
    int error;

    *p = (struct child_process){
        .pid = -1,
        .pidfd = -1,
        .timeout = c->timeout,
        .outlet = {{.fd = -1, .text = said}, {.fd = -1, .text = complained}},
        .write_end = {-1, -1},
    };
    if (!c->quiet)
        for (size_t i = 0; i < CHILD_OUTLETS; i++)
            open_outlet(&p->outlet[i], &p->write_end[i], &failed);
    error = failed ? errno : start(c, p->write_end[0], p->write_end[1], &p->pid);
    if (c->among_many)
        close_write_ends(p);
    if (error != 0)
        finish(p, (struct child_result){.end = CHILD_NOT_STARTED, .status = error});
}

/* Has it ended? Left unreaped, its process id, and so its group's, stays its own. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ? errno != EINTR
                                                                            : info.si_pid == pid;
}

/* False: it still runs. */
static bool reap(struct child_process *p)
{
    struct child_result result = {.end = CHILD_LOST};
    int status;
    pid_t got;

    do
        got = waitpid(p->pid, &status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return false;
    if (p->killed > 0)
        result.end = CHILD_TIMED_OUT;
    else if (got == p->pid && WIFEXITED(status))
        result = (struct child_result){.end = CHILD_EXITED, .status = WEXITSTATUS(status)};
    else if (got == p->pid)
        result = (struct child_result){.end = CHILD_SIGNALLED, .status = WTERMSIG(status)};
    finish(p, result);
    return true;
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

static short ready(const struct polled *p, int fd)
{
    for (nfds_t i = 0; fd >= 0 && i < p->n; i++)
        if (p->fd[i].fd == fd)
            return p->fd[i].revents;
    return 0;
}

/* The end of the pipes is not the end of the process, and a process that it left behind may hold
 * them open. */
static void see_to(struct child_process *p, const struct polled *polled)
{
    for (size_t i = 0; i < CHILD_OUTLETS; i++) {
        const short events = ready(polled, p->outlet[i].fd);

        /* POLLHUP alone is the end: there is nothing to read. */
        if (events != 0 && ((events & POLLIN) == 0 || !drain(&p->outlet[i])))
            close_outlet(&p->outlet[i]);
    }
    if (p->pidfd >= 0 ? ready(polled, p->pidfd) != 0 : has_ended(p->pid)) {
        /* Its children too, where its time was over: the group lives on without its leader. */
        if (p->killed > 0)
            kill(-p->pid, SIGKILL);
        reap(p);
    } else if (clock_left(p->deadline) == 0) {
        press(p);
    }
}

/* Those that have just been started: is that all, or does one run for longer? */
static bool are_new(const struct child_process *p, size_t n)
{
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        if (!p[i].ended && p[i].looked)
            return false;
        any = any || !p[i].ended;
    }
    return any;
}

/* SIGCHLD is blocked (setup.c), so that one which came before this waits here. It tells nothing of
 * whose end it was, and may be an earlier one's. */
static void look_first(struct child_process *p, size_t n)
{
    bool ended = false, signalled = true;
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (int looks = 0; !ended && signalled && looks < FIRST_LOOKS; looks++) {
        signalled = sigtimedwait(&child, NULL,
                                 &(struct timespec){.tv_nsec = FIRST_LOOK * 1000000}) == SIGCHLD;
        for (size_t i = 0; i < n; i++)
            ended = (!p[i].ended && reap(&p[i])) || ended;
    }
}

/* From the first look on, the process is waited for among other things. */
static void look(struct child_process *p)
{
    if (p->looked)
        return;
    p->looked = true;
    p->deadline = clock_now() + p->timeout;
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    close_write_ends(p);
}

void child_attend(struct child_process *p, size_t n)
{
    struct polled polled = {.n = 0};
    int left = -1;

    if (are_new(p, n)) {
        look_first(p, n);
        for (size_t i = 0; i < n; i++)
            if (!p[i].ended)
                look(&p[i]);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int until;

        if (p[i].ended)
            continue;
        look(&p[i]);
        until = clock_left(p[i].deadline);
        if (p[i].pidfd < 0 && until > TICK)
            until = TICK;
        for (size_t k = 0; k < CHILD_OUTLETS; k++)
            ask(&polled, p[i].outlet[k].fd);
        ask(&polled, p[i].pidfd);
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
