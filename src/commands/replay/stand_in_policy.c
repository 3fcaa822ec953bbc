#include "commands/replay/stand_in_policy.h"

#include "commands/replay/place.h"
#include "config/config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SERVERS = CONFIG_POLICY_SERVERS_MAX,
    CONNECTIONS = 2 * SERVERS, /* smtpin has one with each; one more, where it has lost it */
    QUESTION_MAX = 16384,
};

struct connection {
    int fd;    /* -1: free */
    bool kept; /* it has had an answer */
    char bytes[QUESTION_MAX];
    size_t n;
};

struct stand_in {
    const struct transcript *t;
    const char *directory;
    size_t asked; /* questions so far */
    int server[SERVERS];
    size_t servers;
    struct connection connection[CONNECTIONS];
    /* smtpin can't know whether a kept connection was closed because of its question: it asks once
     * more on a new one. */
    bool asks_again;
    char last[QUESTION_MAX];
    size_t last_n;
};

static const char *name_socket(struct text *path, const char *directory, size_t i)
{
    return place_numbered(path, directory, TOLD_POLICY, i, "socket");
}

static void hang_up(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
}

/* The attributes, with a NUL behind each. */
static bool write_down(const struct stand_in *s, struct span question)
{
    char room[PLACE_PATH_MAX], strings[QUESTION_MAX];
    struct text path = TEXT(room), all = TEXT(strings);
    struct span line;

    while (span_word(&question, "\n", &line)) {
        text_add(&all, line);
        text_addc(&all, '\0');
    }
    return place_put(place_numbered(&path, s->directory, TOLD_POLICY, s->asked, "environment"),
                     text_span(&all));
}

static bool is_asked_again(struct stand_in *s, const struct connection *c, struct span question)
{
    const bool again =
        s->asks_again && !c->kept && span_eq(question, (struct span){.p = s->last, .n = s->last_n});

    s->asks_again = false;
    return again;
}

/* The action, or none: an unexpected question has no opinion for an answer. */
static void answer(struct stand_in *s, struct connection *c, struct span question)
{
    const struct told *told = transcript_told(s->t, TOLD_POLICY, s->asked);
    const struct span action = told == NULL ? SPAN("DUNNO") : told->says;

    if (is_asked_again(s, c, question) || !write_down(s, question)) {
        hang_up(c);
        return;
    }
    s->asked++;
    if (told != NULL && told->end == TOLD_CLOSES) {
        s->asks_again = c->kept;
        memcpy(s->last, question.p, question.n);
        s->last_n = question.n;
        hang_up(c);
    } else if (told == NULL || told->end != TOLD_HANGS) {
        if (!place_write(c->fd, SPAN("action=")) || !place_write(c->fd, action) ||
            !place_write(c->fd, SPAN("\n\n")))
            hang_up(c);
        c->kept = true;
    }
}

/* Reads what is there, and answers each question that is whole. */
static void attend(struct stand_in *s, struct connection *c)
{
    const ssize_t got = read(c->fd, c->bytes + c->n, sizeof c->bytes - c->n);

    if (got <= 0) {
        hang_up(c);
        return;
    }
    c->n += (size_t)got;
    for (size_t i = 1; c->fd >= 0 && i < c->n; i++)
        if (c->bytes[i] == '\n' && c->bytes[i - 1] == '\n') {
            answer(s, c, (struct span){.p = c->bytes, .n = i});
            c->n -= i + 1;
            memmove(c->bytes, c->bytes + i + 1, c->n);
            i = 0;
        }
}

static void take(struct stand_in *s, int server)
{
    const int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    struct connection *c = NULL;

    for (size_t i = 0; i < CONNECTIONS; i++)
        if (s->connection[i].fd < 0)
            c = &s->connection[i];
    if (fd < 0 || c == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    c->fd = fd;
    c->kept = false;
    c->n = 0;
}

/* Until it is ended, or the player is. */
static void serve(struct stand_in *s)
{
    struct pollfd p[SERVERS + CONNECTIONS];

    for (;;) {
        for (size_t i = 0; i < s->servers; i++)
            p[i] = (struct pollfd){.fd = s->server[i], .events = POLLIN};
        for (size_t i = 0; i < CONNECTIONS; i++)
            p[s->servers + i] = (struct pollfd){.fd = s->connection[i].fd, .events = POLLIN};
        if (poll(p, s->servers + CONNECTIONS, -1) < 0)
            return;
        for (size_t i = 0; i < CONNECTIONS; i++)
            if (p[s->servers + i].revents != 0)
                attend(s, &s->connection[i]);
        for (size_t i = 0; i < s->servers; i++)
            if (p[i].revents != 0)
                take(s, s->server[i]);
    }
}

static int listen_at(const char *path, bool everybody)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    errno = ENAMETOOLONG;
    if (strlen(path) < sizeof address.sun_path) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
            (!everybody || chmod(path, 0666) == 0) && listen(fd, CONNECTIONS) == 0)
            return fd;
    }
    close(fd);
    return -1;
}

/* The sockets are open before anybody is told of them. */
static bool open_servers(struct stand_in *s, size_t servers, bool everybody)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room);

    for (; s->servers < servers; s->servers++) {
        s->server[s->servers] = listen_at(name_socket(&path, s->directory, s->servers), everybody);
        if (s->server[s->servers] < 0)
            return false;
    }
    return true;
}

pid_t stand_in_policy_start(const struct transcript *t, const char *directory, size_t servers,
                            bool everybody, struct arena *a)
{
    struct stand_in *s = arena_get(a, sizeof *s);
    const pid_t player = getpid();
    pid_t pid = -1;

    if (!place_is_plain(directory))
        return -1;
    errno = ENOMEM;
    if (s == NULL)
        return -1;
    *s = (struct stand_in){.t = t, .directory = directory};
    for (size_t i = 0; i < CONNECTIONS; i++)
        s->connection[i].fd = -1;
    if (open_servers(s, servers, everybody))
        pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == player)
            serve(s);
        _exit(0);
    }
    for (size_t i = 0; i < s->servers; i++)
        close(s->server[i]);
    return pid;
}

void stand_in_policy_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

const char *stand_in_policy_setting(const char *directory, size_t servers, struct arena *a)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room), out = {.p = a->base + a->used, .cap = a->cap - a->used};

    text_adds(&out, "policy=");
    for (size_t i = 0; i < servers; i++) {
        text_adds(&out, i > 0 ? " unix:" : "unix:");
        text_adds(&out, name_socket(&path, directory, i));
    }
    text_addc(&out, '\0');
    return out.cut ? NULL : arena_get(a, out.n);
}
