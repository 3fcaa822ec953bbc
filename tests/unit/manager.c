/* The service manager and the journal: the two ways have the same results, and what libsystemd
 * sends is, octet by octet, what is sent by hand. */
#include "adapters/log.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static const struct manager *const ways[] = {&manager_by_hand, &manager_by_library};

/* What happens in a process of its own: 0 is good; else the line in which it was not. */
#define IN_CHILD_EXPECT(condition)                                                                 \
    do                                                                                             \
        if (!(condition))                                                                          \
            _exit(__LINE__ % 250 + 1);                                                             \
    while (false)

static int wait_for(pid_t pid)
{
    int status;

    cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* sockets and listens */

static void pass(int n, unsigned random)
{
    for (int i = 0; i < n; i++) {
        const int kind = random >> i & 1 ? SOCK_STREAM : SOCK_DGRAM;
        const int fd = socket(AF_UNIX, kind, 0);

        IN_CHILD_EXPECT(fd >= 0);
        if (fd != MANAGER_SOCKETS_START + i) {
            IN_CHILD_EXPECT(dup2(fd, MANAGER_SOCKETS_START + i) >= 0);
            close(fd);
        }
        fcntl(MANAGER_SOCKETS_START + i, F_SETFD, 0);
    }
}

static void set_variables(int n, unsigned random)
{
    char number[32], names[512] = "";

    snprintf(number, sizeof number, "%d", (int)getpid() + (random >> 20 & 7 ? 0 : 1));
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof number, "%d", n);
    setenv("LISTEN_FDS", number, 1);
    for (int i = 0; i < n; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%.*s", i > 0 ? ":" : "",
                 (int)(random >> (i + 4) & 7), "submiss");
    if (random >> 24 & 3)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
}

static void compare_sockets(int n, unsigned random)
{
    struct manager_sockets found[2];

    for (int fd = MANAGER_SOCKETS_START; fd < 64; fd++)
        close(fd);
    for (size_t i = 0; i < COUNT(ways); i++) {
        pass(n, random);
        set_variables(n, random);
        ways[i]->sockets(&found[i]);
        IN_CHILD_EXPECT(found[i].n == 0 || found[i].n == n || n > MANAGER_SOCKETS_MAX);
        for (int j = 0; j < found[i].n && j < n; j++)
            IN_CHILD_EXPECT(fcntl(MANAGER_SOCKETS_START + j, F_GETFD) == FD_CLOEXEC);
    }
    IN_CHILD_EXPECT(found[0].n == found[1].n);
    IN_CHILD_EXPECT((found[0].n > 0) == (n > 0 && (random >> 20 & 7) != 0));
    for (int i = 0; i < MANAGER_SOCKETS_MAX && i < found[0].n; i++)
        IN_CHILD_EXPECT(span_eq(found[0].name[i], found[1].name[i]));
    _exit(0);
}

Test(manager, sockets_are_the_same)
{
    srandom(5);
    for (int round = 0; round < 200; round++) {
        const int n = (int)(random() % 19);
        const unsigned bits = (unsigned)random();
        const pid_t pid = fork();
        int line;

        if (pid == 0)
            compare_sockets(n, bits);
        line = wait_for(pid);
        cr_expect_eq(line, 0, "round %d, %d sockets: line %d", round, n, line - 1);
    }
}

/* What the library refuses altogether is served as far as it goes. */
Test(manager, wrong_variables)
{
    static const struct {
        const char *fds, *names;
        int n;
    } rows[] = {
        {"2", "a", 2},   {"2", "a:b:c", 2},
        {"0", NULL, 0},  {"-1", NULL, 0},
        {"x", NULL, 0},  {"", NULL, 0},
        {"1x", NULL, 0}, {"3", "a:b", 3},
        {"40", "", 17},  {"99999999999", NULL, 0},
    };
    char pid[32];

    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t way = 0; way < COUNT(ways); way++) {
            struct manager_sockets found;

            setenv("LISTEN_FDS", rows[i].fds, 1);
            unsetenv("LISTEN_FDNAMES");
            if (rows[i].names != NULL)
                setenv("LISTEN_FDNAMES", rows[i].names, 1);
            ways[way]->sockets(&found);
            cr_expect_eq(found.n, rows[i].n, "LISTEN_FDS=%s, way %zu: %d", rows[i].fds, way,
                         found.n);
        }
    }
}

Test(manager, listens_is_the_same)
{
    int pair[2], pipes[2], fd[7];

    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(listen(fd[0], 5) == 0);
    fd[1] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    fd[2] = socket(AF_UNIX, SOCK_DGRAM, 0);
    fd[3] = pair[0];
    fd[4] = pipes[0];
    fd[5] = open("/dev/null", O_RDWR);
    fd[6] = 999;
    for (size_t way = 0; way < COUNT(ways); way++)
        for (size_t i = 0; i < COUNT(fd); i++)
            cr_expect_eq(ways[way]->listens(fd[i]), i == 0, "way %zu, descriptor %zu", way, i);
}

/* notify */

static int bind_to(const char *path, size_t n)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = 10};
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(to.sun_path, path, n);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        bind(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) <
            0)
        return -1;
    return fd;
}

Test(manager, notify_is_the_same)
{
    char directory[] = "/tmp/smtpin-unit.XXXXXX", path[2][64];

    cr_assert(mkdtemp(directory) != NULL);
    snprintf(path[0], sizeof path[0], "%s/notify", directory);
    snprintf(path[1], sizeof path[1], "@smtpin-unit-%d", (int)getpid());
    srandom(6);
    for (int p = 0; p < 2; p++) {
        const int fd = bind_to(path[p], strlen(path[p]));

        cr_assert(fd >= 0);
        setenv("NOTIFY_SOCKET", path[p], 1);
        for (int round = 0; round < 100; round++) {
            char lines[300], got[2][400];
            const size_t n = (size_t)random() % (sizeof lines - 1);
            ssize_t octets[2];

            for (size_t i = 0; i < n; i++)
                lines[i] = (char)(random() % 255 + 1);
            lines[n] = '\0';
            if (n == 0)
                continue;
            for (size_t way = 0; way < 2; way++) {
                ways[way]->notify(lines);
                octets[way] = recv(fd, got[way], sizeof got[way], 0);
            }
            cr_expect_eq(octets[0], (ssize_t)n);
            cr_expect(octets[1] == octets[0] && memcmp(got[0], got[1], n) == 0, "round %d", round);
            cr_expect(memcmp(got[0], lines, n) == 0);
        }
        close(fd);
    }
    unlink(path[0]);
    rmdir(directory);
}

/* A manager that takes nothing is not waited for. */
Test(manager, notify_is_not_stuck)
{
    const int fd = bind_to("@smtpin-unit-stuck", 18);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    const time_t start = time(NULL);

    memcpy(to.sun_path + 1, "smtpin-unit-stuck", 17);
    cr_assert(fd >= 0 && sender >= 0);
    for (int i = 0; i < 100000; i++)
        if (sendto(sender, "x", 1, 0, (struct sockaddr *)&to,
                   offsetof(struct sockaddr_un, sun_path) + 18) < 0)
            break;
    cr_assert_eq(errno, EAGAIN);
    setenv("NOTIFY_SOCKET", "@smtpin-unit-stuck", 1);
    for (size_t way = 0; way < COUNT(ways); way++)
        ways[way]->notify("READY=1");
    cr_expect(time(NULL) - start < 20);
}

/* journal */

/* A /run of its own: with user namespaces, where this is no root. */
static bool own_run(void)
{
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
        return false;
    return mkdir("/run/systemd", 0755) == 0 && mkdir("/run/systemd/journal", 0755) == 0;
}

static struct span random_value(char *room, size_t most)
{
    const size_t n = (size_t)random() % most;

    for (size_t i = 0; i < n; i++)
        room[i] = random() % 3 ? (char)(random() % 256) : (char)('a' + random() % 26);
    return (struct span){.p = room, .n = n};
}

enum { NO_NAMESPACE = 254 };

/* `journalctl -o json` shows null for a field of 4096 octets; no line ends within a character or an
 * escape. */
static bool fields_are_short(struct span all, size_t *longest)
{
    while (all.n > 0) {
        struct span line = span_first(all, span_find(all, '\n'));

        all = span_from(all, line.n + 1);
        *longest = line.n > *longest ? line.n : *longest;
        while (line.n > 0) {
            const size_t n = utf8_length(line);

            if (n == 0 || (line.p[0] == '\\' && (line.n < 4 || line.p[1] != 'x')))
                return false;
            line = span_from(line, n);
        }
    }
    return *longest <= 4000;
}

static void compare_journal(void)
{
    static const char *const names[] = {"result", "reverse_path", "forward_path", "reply"};
    static char got[2][70000];
    size_t longest = 0;
    int fd;

    if (!own_run())
        _exit(NO_NAMESPACE);
    fd = bind_to(MANAGER_JOURNAL, strlen(MANAGER_JOURNAL));
    IN_CHILD_EXPECT(fd >= 0);
    for (int round = 0; round < 300; round++) {
        char room[4][6000];
        ssize_t octets[2];
        struct log_record r;

        log_begin(&r, (enum log_kind)(random() % 6), (enum log_level)(random() % 4 + 3));
        for (size_t i = 0; i < COUNT(names); i++)
            log_add(&r, names[i], random_value(room[i], round % 10 ? 100 : sizeof room[i]));
        for (size_t way = 0; way < 2; way++) {
            struct log log = LOG_CLOSED;

            log.target = CONFIG_LOG_JOURNAL;
            log.manager = ways[way];
            log_end(&log, &r);
            IN_CHILD_EXPECT(log.dropped == 0);
            octets[way] = recv(fd, got[way], sizeof got[way], 0);
            log_output_close(&log.output);
        }
        IN_CHILD_EXPECT(octets[0] > 60 && octets[0] == octets[1]);
        IN_CHILD_EXPECT(memcmp(got[0], got[1], (size_t)octets[0]) == 0);
        IN_CHILD_EXPECT(
            fields_are_short((struct span){.p = got[0], .n = (size_t)octets[0]}, &longest));
    }
    IN_CHILD_EXPECT(longest > 3990);
    _exit(0);
}

Test(manager, journal_is_the_same)
{
    pid_t pid;
    int line;

    srandom(7);
    pid = fork();
    if (pid == 0)
        compare_journal();
    line = wait_for(pid);
    if (line == NO_NAMESPACE)
        cr_skip_test("no mount namespace to be had");
    cr_expect_eq(line, 0, "line %d", line - 1);
}
