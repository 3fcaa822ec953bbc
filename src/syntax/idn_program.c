#include "syntax/idn.h"

/* The other way: idn_library.c. */
#if defined(SMTPIN_STATIC) && !defined(SMTPIN_IDN)

/* Nor is smtpin-idn built for such a program. */
enum idn_result idn_convert(struct idn *i, const char *name, struct text *out)
{
    (void)name;
    (void)out;
    i->absent = true;
    return IDN_MISSING;
}

void idn_end(struct idn *i)
{
    (void)i;
}

#elif defined(SMTPIN_STATIC)

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSTALLED SMTPIN_SBINDIR "/smtpin-idn"

/* smtpin-idn, where this program itself is; without /proc, nothing. */
static const char *find_beside(struct text *path)
{
    const ssize_t n = readlink("/proc/self/exe", path->p, path->cap);

    path->n = n > 0 && (size_t)n < path->cap ? (size_t)n : 0;
    while (path->n > 0 && path->p[path->n - 1] != '/')
        path->n--;
    text_adds(path, path->n > 0 ? "smtpin-idn" : "");
    text_string(path);
    return path->cut ? "" : path->p;
}

/* With the socket as its descriptors 0 to 2 (0 alone is used; the others are no client's), no
 * environment, and signals as a new program has them. An errno. */
static int spawn(pid_t *program, int fd)
{
    char room[PATH_MAX], *const none[] = {NULL};
    char *const argv[] = {"smtpin-idn", NULL};
    struct text path = TEXT(room);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t all, nothing;
    int error;

    sigfillset(&all);
    sigemptyset(&nothing);
    if ((error = posix_spawnattr_init(&how)) != 0)
        return error;
    if ((error = posix_spawn_file_actions_init(&files)) == 0) {
        if ((error = posix_spawnattr_setsigdefault(&how, &all)) == 0 &&
            (error = posix_spawnattr_setsigmask(&how, &nothing)) == 0 &&
            (error = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF |
                                                        POSIX_SPAWN_SETSIGMASK)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&files, fd, 0)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&files, fd, 1)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&files, fd, 2)) == 0)
            error = posix_spawn(program, find_beside(&path), &files, &how, argv, none);
        if (error == ENOENT || error == EACCES)
            error = posix_spawn(program, INSTALLED, &files, &how, argv, none);
        posix_spawn_file_actions_destroy(&files);
    }
    posix_spawnattr_destroy(&how);
    return error;
}

static bool start(struct idn *i)
{
    const struct timeval patience = {.tv_sec = IDN_PATIENCE / 1000};
    int ends[2], error;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    error = spawn(&i->program, ends[1]);
    close(ends[1]);
    if (error != 0) {
        i->program = 0;
        i->absent = error == ENOENT;
        close(ends[0]);
        return false;
    }
    i->fd = ends[0];
    return true;
}

/* How long its answer is, in answer; 0: there is none. */
static size_t ask(const struct idn *i, const char *name, char *answer, size_t most)
{
    ssize_t n;

    if (send(i->fd, name, strlen(name), MSG_NOSIGNAL) < 0)
        return 0;
    while ((n = recv(i->fd, answer, most, MSG_TRUNC)) < 0 && errno == EINTR)
        ;
    return n < 0 || (size_t)n > most ? 0 : (size_t)n;
}

enum idn_result idn_convert(struct idn *i, const char *name, struct text *out)
{
    char answer[1 + IDN_ASCII_MAX];
    size_t n = 0;

    if (!i->absent && !i->broken && (i->program > 0 || start(i)))
        n = ask(i, name, answer, sizeof answer);
    if (n == 1 && answer[0] == IDN_SAYS_NONE)
        return IDN_NONE;
    if (n > 1 && answer[0] == IDN_SAYS_OK) {
        text_add(out, (struct span){.p = answer + 1, .n = n - 1});
        return IDN_OK;
    }
    i->absent = i->absent || (n == 1 && answer[0] == IDN_SAYS_MISSING);
    i->broken = !i->absent;
    i->failed = i->failed || i->broken;
    idn_end(i);
    return IDN_MISSING;
}

void idn_end(struct idn *i)
{
    if (i == NULL || i->program <= 0)
        return;
    close(i->fd);
    kill(i->program, SIGKILL); /* it may not have seen the end of its socket yet, or hang */
    while (waitpid(i->program, NULL, 0) < 0 && errno == EINTR)
        ;
    i->program = 0;
}

#endif
