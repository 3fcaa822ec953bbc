#include "commands/replay/program.h"

#include "commands/replay/runs.h"
#include "io/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ARGUMENTS_MAX = 4 * TRANSCRIPT_SETTINGS_MAX + 16,
    PATH_ROOM = 4096,
    RUNS_MAX = 100000,
    SESSION_TIMEOUTS = 30
};

struct connection {
    int fd;
    uint64_t timeout;
    uint64_t deadline; /* of the whole session */
    char held[65536];  /* what came while we were sending */
    size_t n;
    char given[65536];
};

static struct span read_now(struct connection *c)
{
    const ssize_t n = read(c->fd, c->given, sizeof c->given);

    return (struct span){.p = c->given, .n = n > 0 ? (size_t)n : 0};
}

/* Sends without a dead end: a server that waits for us to read its replies is read. */
static bool connection_send(void *context, struct span bytes)
{
    struct connection *c = context;

    if (c->fd < 0)
        return false;
    while (bytes.n > 0) {
        struct pollfd p = {.fd = c->fd, .events = POLLOUT};
        ssize_t n;

        if (c->n < sizeof c->held)
            p.events |= POLLIN;
        if (poll(&p, 1, (int)c->timeout) <= 0)
            return false;
        if (p.revents & POLLIN) {
            n = recv(c->fd, c->held + c->n, sizeof c->held - c->n, MSG_DONTWAIT);
            if (n == 0)
                return false;
            c->n += n > 0 ? (size_t)n : 0;
        }
        if (p.revents & (POLLERR | POLLHUP))
            return false;
        if (p.revents & POLLOUT) {
            n = send(c->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                return false;
            bytes = span_from(bytes, n > 0 ? (size_t)n : 0);
        }
    }
    return true;
}

static struct span connection_receive(void *context, bool *timed_out)
{
    struct connection *c = context;
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    *timed_out = false;
    if (c->n > 0) {
        const struct span held = {.p = c->given, .n = c->n};

        memcpy(c->given, c->held, c->n);
        c->n = 0;
        return held;
    }
    if (c->fd < 0)
        return (struct span){0};
    if (clock_left(c->deadline) == 0 || poll(&p, 1, (int)c->timeout) == 0) {
        *timed_out = true;
        return (struct span){0};
    }
    return read_now(c);
}

static void connection_half_close(void *context)
{
    struct connection *c = context;

    shutdown(c->fd, SHUT_WR);
}

static void connection_disconnect(void *context)
{
    struct connection *c = context;

    close(c->fd);
    c->fd = -1;
}

static void add_quoted(struct text *out, const char *word)
{
    text_adds(out, " \"");
    for (; *word != '\0'; word++) {
        if (*word == '"')
            text_addc(out, '\\');
        text_addc(out, *word);
    }
    text_addc(out, '"');
}

/* deliver_through = "us" --as-command DIRECTORY RUN: before the words of whatever command it is. */
static const char *stand_in(const struct replay_options *o, const char *directory, struct arena *a)
{
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};

    text_adds(&out, "deliver_through=");
    add_quoted(&out, o->self);
    add_quoted(&out, "--as-command");
    add_quoted(&out, directory);
    add_quoted(&out, o->deliver ? "1" : "0");
    text_addc(&out, '\0');
    return out.cut ? NULL : arena_get(a, out.n);
}

/* The words that smtpin is started with; NULL-terminated. */
static bool make_arguments(const struct transcript *t, const struct replay_options *o,
                           const char *directory, struct arena *a, char **argv)
{
    const char *settings[2 * TRANSCRIPT_SETTINGS_MAX];
    const size_t n = replay_settings(t, o, settings, 2 * TRANSCRIPT_SETTINGS_MAX);
    const char *through = stand_in(o, directory, a);
    size_t at = 0;

    if (through == NULL)
        return false;
    argv[at++] = (char *)o->program;
    if (o->file != NULL) {
        argv[at++] = (char *)"-f";
        argv[at++] = (char *)o->file;
    }
    for (size_t i = 0; i < n; i++) {
        argv[at++] = (char *)"-o";
        argv[at++] = (char *)settings[i];
    }
    argv[at++] = (char *)"-o";
    argv[at++] = (char *)(o->verbose ? "log=stderr" : "log=none");
    if (!o->deliver) {
        argv[at++] = (char *)"-o";
        argv[at++] = (char *)"user=";
    }
    /* A replay records nothing, and never runs what it does not stand in for. */
    argv[at++] = (char *)"-o";
    argv[at++] = (char *)"trace=";
    argv[at++] = (char *)"-o";
    argv[at++] = (char *)"deliver_parallel=1"; /* runs in the order of their recipients */
    argv[at++] = (char *)"-o";
    argv[at++] = (char *)through;
    argv[at] = NULL;
    return true;
}

static pid_t start(char *const *argv, int theirs)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = -1;

    if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attributes) != 0)
        return -1;
    /* A group of its own, so that its children can be ended with it. */
    if (posix_spawnattr_setpgroup(&attributes, 0) != 0 ||
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, theirs, 0) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, theirs, 1) != 0 ||
        posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ) != 0)
        pid = -1;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* Waits for it as long as for a word; then ends it. */
static void stop(pid_t pid, uint64_t timeout, struct differences *d)
{
    const uint64_t deadline = clock_now() + timeout;
    int status;
    pid_t ended;

    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && clock_left(deadline) > 0)
        poll(NULL, 0, 2);
    if (ended == 0) {
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
        differ(d, 0, SPAN("(smtpin ends)"), SPAN("(it went on after the session)"));
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        differ(d, 0, SPAN("(smtpin ends with status 0)"), SPAN("(it did not)"));
    }
}

static const char *name_file(struct text *path, const char *directory, size_t i, const char *kind)
{
    path->n = 0;
    text_adds(path, directory);
    text_addc(path, '/');
    text_addn(path, i, 1);
    text_addc(path, '.');
    text_adds(path, kind);
    return text_string(path);
}

static bool read_whole(const char *path, struct arena *a, struct span *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *p = a->base + a->used;
    size_t n = 0;
    ssize_t got = 1;

    if (fd < 0)
        return false;
    while (n < a->cap - a->used && (got = read(fd, p + n, a->cap - a->used - n)) > 0)
        n += (size_t)got;
    close(fd);
    *out = (struct span){.p = arena_get(a, n), .n = n};
    return got == 0;
}

static bool write_whole(const char *path, struct span bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0;

    while (good && bytes.n > 0) {
        const ssize_t n = write(fd, bytes.p, bytes.n);

        good = n > 0;
        bytes = span_from(bytes, good ? (size_t)n : 0);
    }
    if (fd >= 0 && close(fd) < 0)
        good = false;
    return good;
}

/* How each run is to end, where its stand-in will look. */
static bool write_answers(const struct transcript *t, const char *directory)
{
    char room[PATH_ROOM], answer_room[65536];
    struct text path = TEXT(room);
    size_t i = 0;

    for (const struct delivery *d = t->delivery; d != NULL; d = d->next, i++) {
        struct text answer = TEXT(answer_room);

        text_addc(&answer, (char)d->status);
        text_add(&answer, d->says);
        if (!write_whole(name_file(&path, directory, i, "answer"), text_span(&answer)))
            return false;
    }
    return true;
}

static void compare_runs(const struct transcript *t, const char *directory, struct arena *a,
                         struct differences *d)
{
    char room[PATH_ROOM];
    struct text path = TEXT(room);
    struct recorded got;
    size_t i = 0;

    for (; i < RUNS_MAX && read_whole(name_file(&path, directory, i, "argv"), a, &got.argv); i++) {
        const size_t mark = a->used;

        if (!read_whole(name_file(&path, directory, i, "environment"), a, &got.environment) ||
            !read_whole(name_file(&path, directory, i, "message"), a, &got.message))
            differ(d, 0, SPAN("(a run that can be compared)"), SPAN("(too large, or not there)"));
        else
            runs_compare(t, i, &got, a, d);
        a->used = mark;
    }
    runs_compare(t, i, NULL, a, d);
}

static void remove_directory(const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(directory);
}

void replay_program(const struct transcript *t, const struct replay_options *o, struct arena *a,
                    struct differences *d)
{
    const char *tmp = getenv("TMPDIR");
    struct connection *c = calloc(1, sizeof *c);
    const struct endpoint e = {.context = c,
                               .send = connection_send,
                               .receive = connection_receive,
                               .half_close = connection_half_close,
                               .disconnect = connection_disconnect};
    char *argv[ARGUMENTS_MAX], directory[PATH_ROOM];
    int pair[2];
    pid_t pid;

    snprintf(directory, sizeof directory, "%s/smtpin-replay.XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (c == NULL || mkdtemp(directory) == NULL) {
        differ(d, 0, SPAN("a directory to work in"), span_of(strerror(errno)));
        free(c);
        return;
    }
    if (o->deliver && geteuid() == 0 && chmod(directory, 01777) < 0) /* for `user =` */
        differ(d, 0, span_of(directory), span_of(strerror(errno)));
    if (!write_answers(t, directory) || !make_arguments(t, o, directory, a, argv) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        differ(d, 0, SPAN("a place to work in"), span_of(strerror(errno)));
    } else {
        c->fd = pair[0];
        c->timeout = o->timeout;
        c->deadline = clock_now() + SESSION_TIMEOUTS * o->timeout;
        pid = start(argv, pair[1]);
        close(pair[1]);
        if (pid < 0) {
            differ(d, 0, span_of(o->program), SPAN("(can't be started)"));
        } else {
            play(t, &e, &o->play, a, d);
            if (c->fd >= 0)
                close(c->fd);
            stop(pid, o->timeout, d);
            compare_runs(t, directory, a, d);
        }
    }
    free(c);
    remove_directory(directory);
}

/* argv or environment with a NUL behind each string. */
static bool write_strings(const char *path, char *const *strings)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    for (; f != NULL && *strings != NULL; strings++) {
        fputs(*strings, f);
        fputc('\0', f);
    }
    return f != NULL && fclose(f) == 0;
}

static bool write_message(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char chunk[65536];
    ssize_t n = 0;

    while (fd >= 0 && (n = read(0, chunk, sizeof chunk)) > 0)
        if (write(fd, chunk, (size_t)n) != n)
            return false;
    return fd >= 0 && n == 0 && close(fd) == 0;
}

int replay_as_command(int argc, char **argv)
{
    char room[PATH_ROOM], answer_room[65536 + 64];
    struct text path = TEXT(room);
    struct arena a = {.base = answer_room, .cap = sizeof answer_room};
    struct span answer;
    size_t i = 0;

    if (argc < 3)
        return 64;
    /* Runs come one after the other: the first free number is this one's. */
    while (i < RUNS_MAX && access(name_file(&path, argv[0], i, "argv"), F_OK) == 0)
        i++;
    if (!write_strings(name_file(&path, argv[0], i, "argv"), argv + 2) ||
        !write_strings(name_file(&path, argv[0], i, "environment"), environ) ||
        !write_message(name_file(&path, argv[0], i, "message")))
        return 75;
    if (argv[1][0] == '1') {
        if (lseek(0, 0, SEEK_SET) != 0)
            return 75;
        execvp(argv[2], argv + 2);
        return 127;
    }
    if (!read_whole(name_file(&path, argv[0], i, "answer"), &a, &answer) || answer.n == 0)
        return 0;
    /* qmail-queue has the envelope on descriptor 1, and says what it says on 6. */
    if (write(fcntl(6, F_GETFD) < 0 ? 1 : 6, answer.p + 1, answer.n - 1) < 0)
        return 75;
    return (unsigned char)answer.p[0];
}
