/* session [-r ROUNDS] [-n SESSIONS] [-pqt] NAME [VARIABLE=value...] COMMAND... [:: NAME ...]...
 * One SMTP session (EHLO, MAIL, RCPT, DATA with 2 KiB, QUIT) after the other with each command as
 * its server, started for each on a socket pair; with a name that begins with "listen" started
 * once, with a listening socket (sd_listen_fds). In rounds, so that a noisy machine is noisy for
 * all. Prints the medians of CPU (user and system, the whole process tree), their ratios to the
 * first command with their quartiles, wall time and page faults. -p: MAIL, RCPT and DATA in one
 * write. -q: QUIT after RCPT, no message; not with -p. -t: over TCP instead of a socket pair. A
 * name that begins with "exit" says nothing: it is started, and waited for. Some variables are not
 * the server's: RECIPIENTS=n, all in one write; KIB=n, the size of the message; PORT=n, of a server
 * that runs already and takes the place of a command, with PROCESS=pid, whose CPU and page faults
 * are meant, or FAMILY=pid, with its children; TLS=1.2 or TLS=1.3: STARTTLS after EHLO, and EHLO
 * again; SMTPS=1.2 or 1.3: TLS from the first octet on; PROXY=2: a header of the PROXY protocol
 * before all; LOGIN=base64: AUTH PLAIN; BESIDE=pid: a server that the command asks, whose CPU, with
 * its children's, has a column of its own; SERVICE="PROGRAM ... SOCKET", which runs beside it in
 * each round and whose CPU from its first session on counts; SINK=port: no SMTP, the command
 * listens there once, for TLS and the text of the message. */
#define _GNU_SOURCE
#include "secure.h"
#include "usage.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMANDS = 24, ROUNDS = 101 };

struct command {
    const char *name;
    char **argv;
    char *environment[16]; /* NAME=value words before the program, nothing else but PATH */
    long recipients;
    size_t size;     /* 0: 2 KiB in one write */
    const char *tls; /* NULL: plain text */
    bool implicit;
    bool proxied;
    const char *login; /* NULL: none */
    char *service[16]; /* the last word is its socket */
    in_port_t sink, port;
    pid_t process, beside;
    bool family;
    struct figures round[ROUNDS], other[ROUNDS];
};

static bool pipelined, quits, tcp;

/* Reads n whole replies; false when the server is gone or refuses. */
static bool replies(int fd, int n)
{
    static char held[65536];
    static size_t filled;
    char *line = held, *end;

    if (n == 0)
        return (filled = 0) == 0;
    for (;;) {
        ssize_t got;

        while ((end = memchr(line, '\n', filled - (size_t)(line - held))) != NULL) {
            const bool last = line[3] != '-';

            if (line[0] == '4' || line[0] == '5') {
                fprintf(stderr, "%.*s\n", (int)(end - line), line);
                return false;
            }
            line = end + 1;
            if (last && --n == 0) {
                filled -= (size_t)(line - held);
                memmove(held, line, filled);
                return true;
            }
        }
        got = secure_read(fd, held + filled, sizeof held - filled);
        if (got <= 0)
            return false;
        filled += (size_t)got;
    }
}

static bool turn(int fd, const char *text, int n)
{
    const size_t length = strlen(text);

    return secure_write(fd, text, length) == (ssize_t)length && (n == 0 || replies(fd, n));
}

/* MAIL, RCPT and DATA, and the replies to them. All of RCPT is one write. */
static bool envelope(int fd, long recipients)
{
    static char text[1 << 17];
    size_t n = 0;
    bool fine = true;

    if (pipelined)
        n = (size_t)sprintf(text, "MAIL FROM:<a@example.com>\r\n");
    else
        fine = turn(fd, "MAIL FROM:<a@example.com>\r\n", 1);
    if (recipients == 1)
        n += (size_t)sprintf(text + n, "RCPT TO:<b@example.org>\r\n");
    else
        for (long i = 0; i < recipients && n < sizeof text - 100; i++)
            n += (size_t)sprintf(text + n, "RCPT TO:<b%ld@example.org>\r\n", i * 7919 % recipients);
    if (pipelined)
        return turn(fd, strcat(text, "DATA\r\n"), (int)recipients + 2);
    return fine && turn(fd, text, (int)recipients) && (quits || turn(fd, "DATA\r\n", 1));
}

static bool message(int fd, size_t size, int replied)
{
    static const char line[] =
        "The quick brown fox jumps over the lazy dog, and the dog does not mind it..\r\n";
    static char small[2200], block[800 * sizeof line];
    bool fine = true;

    if (small[0] == '\0') {
        strcpy(small, "Subject: a test\r\n\r\n");
        for (int i = 0; i < 26; i++)
            strcat(small, line);
        strcat(small, ".\r\n");
        for (size_t i = 0; i < 800; i++)
            memcpy(block + i * (sizeof line - 1), line, sizeof line);
    }
    for (size_t n = 0; n < size && fine; n += strlen(block))
        fine = turn(fd, block, 0);
    return fine && turn(fd, small, replied);
}

static bool starttls(int fd, const char *version)
{
    return turn(fd, "STARTTLS\r\n", 1) && secure_start(fd, version) &&
           turn(fd, "EHLO client.example.com\r\n", 1);
}

static bool login(int fd, const char *response)
{
    char line[1024];

    snprintf(line, sizeof line, "AUTH PLAIN %s\r\n", response);
    return turn(fd, line, 1);
}

/* Of version 2: 198.51.100.7 has connected to 203.0.113.5. */
static bool header(int fd)
{
    static const char octets[] =
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\0\x71\x05\x9c\x40\0\x19";

    return write(fd, octets, sizeof octets - 1) == sizeof octets - 1;
}

static void play(int fd, const struct command *c)
{
    replies(fd, 0);
    if (!((!c->proxied || header(fd)) && (!c->implicit || secure_start(fd, c->tls)) &&
          replies(fd, 1) && turn(fd, "EHLO client.example.com\r\n", 1) &&
          (c->tls == NULL || c->implicit || starttls(fd, c->tls)) &&
          (c->login == NULL || login(fd, c->login)) && envelope(fd, c->recipients) &&
          (quits || message(fd, c->size, 1)) && turn(fd, "QUIT\r\n", 1))) {
        fprintf(stderr, "%s: the session failed\n", c->name);
        exit(1);
    }
    secure_end(false);
}

/* A listening TCP socket on loopback, and its address. */
static int listener(struct sockaddr_in *a)
{
    socklen_t length = sizeof *a;
    const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (bind(s, (struct sockaddr *)a, sizeof *a) < 0 || listen(s, 100) < 0 ||
        getsockname(s, (struct sockaddr *)a, &length) < 0)
        usage_die("listen");
    return s;
}

static int connected(const struct sockaddr_in *a)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)a, sizeof *a) < 0)
        usage_die("connect");
    return fd;
}

/* Two ends of a connection. */
static void pair(int ends[2], int s, const struct sockaddr_in *a)
{
    if (!tcp) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            usage_die("socketpair");
        return;
    }
    ends[0] = connected(a);
    ends[1] = accept4(s, NULL, NULL, SOCK_CLOEXEC);
    if (ends[1] < 0)
        usage_die("accept");
}

/* It listens from here on; *before is what it has used by then. */
static pid_t start_service(const struct command *c, struct figures *before)
{
    const char *socket = NULL;
    const pid_t pid = c->service[0] == NULL ? 0 : vfork();

    if (pid == 0 && c->service[0] != NULL) {
        execve(c->service[0], c->service, c->environment);
        _exit(127);
    }
    if (pid == 0)
        return 0;
    for (int i = 0; c->service[i] != NULL; i++)
        socket = c->service[i];
    for (int i = 0; access(socket, F_OK) < 0 && i < 1000; i++)
        usleep(10000);
    *before = usage_at_rest(pid, false);
    return pid;
}

static void end_service(pid_t pid, const struct figures *before, struct figures *f)
{
    if (pid == 0)
        return;
    usage_at_rest(pid, false); /* its sessions are over */
    kill(pid, SIGTERM);
    usage_of_ended(pid, f);
    f->cpu -= before->cpu;
    f->faults -= before->faults;
}

/* TLS at once, and a message's text. */
static void pour(const struct command *c)
{
    const struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(c->sink), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    for (int i = 0; connect(fd, (const struct sockaddr *)&a, sizeof a) < 0; i++) {
        if (i == 1000)
            usage_die(c->name);
        usleep(10000);
    }
    if (!secure_start(fd, c->tls) || !message(fd, c->size, 0)) {
        fprintf(stderr, "%s: the session failed\n", c->name);
        exit(1);
    }
    secure_end(true);
    close(fd);
}

static void one_each(const struct command *c, int n, struct figures *f)
{
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct sockaddr_in a;
    const int s = listener(&a);

    for (int i = 0; i < n; i++) {
        const double start = usage_now();
        int ends[2];
        pid_t pid;

        pair(ends, s, &a);
        pid = vfork();
        if (pid == 0) {
            dup2(ends[1], 0);
            dup2(ends[1], 1);
            dup2(null, 2);
            execve(c->argv[0], c->argv, c->environment);
            _exit(127);
        }
        close(ends[1]);
        if (c->sink != 0)
            pour(c);
        else if (strncmp(c->name, "exit", 4) != 0)
            play(ends[0], c);
        close(ends[0]);
        usage_of_ended(pid, f);
        f->wall += usage_now() - start;
    }
    close(null);
    close(s);
}

static void listening(const struct command *c, int n, struct figures *f)
{
    struct sockaddr_in a;
    const int s = listener(&a);
    double start;
    pid_t pid;

    pid = fork();
    if (pid == 0) {
        char pid_is[40];
        char *environment[] = {"PATH=/bin:/usr/bin", "LISTEN_FDS=1", pid_is, NULL};

        snprintf(pid_is, sizeof pid_is, "LISTEN_PID=%ld", (long)getpid());
        if (s == 3)
            fcntl(s, F_SETFD, 0);
        else
            dup2(s, 3);
        execve(c->argv[0], c->argv, environment);
        _exit(127);
    }
    start = usage_now();
    for (int i = 0; i < n; i++) {
        const int fd = connected(&a);

        play(fd, c);
        close(fd);
    }
    f->wall += usage_now() - start;
    close(s);
    kill(pid, SIGTERM);
    usage_of_ended(pid, f);
}

static void running(const struct command *c, int n, struct figures *f)
{
    const struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(c->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct figures before = usage_at_rest(c->process, c->family);
    const double start = usage_now();
    struct figures after;

    for (int i = 0; i < n; i++) {
        const int fd = connected(&a);

        play(fd, c);
        close(fd);
    }
    f->wall += usage_now() - start;
    after = usage_at_rest(c->process, c->family);
    f->cpu += after.cpu - before.cpu;
    f->faults += after.faults - before.faults;
}

static void measure(const struct command *c, int n, struct figures *f, struct figures *other)
{
    const struct figures idle =
        c->beside == 0 ? (struct figures){0} : usage_at_rest(c->beside, true);
    struct figures before = {0};
    const pid_t service = start_service(c, &before);

    if (c->port != 0)
        running(c, n, f);
    else if (strncmp(c->name, "listen", 6) == 0)
        listening(c, n, f);
    else
        one_each(c, n, f);
    end_service(service, &before, f);
    /* What their parents have left behind has come to us. */
    while (usage_of_ended(-1, f))
        ;
    if (c->beside != 0)
        other->cpu = usage_at_rest(c->beside, true).cpu - idle.cpu;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, compare);
    return v[n / 2];
}

static void split(char *line, char **word, size_t most)
{
    size_t n = 0;

    for (char *p = strtok(line, " "); p != NULL && n + 1 < most; p = strtok(NULL, " "))
        word[n++] = p;
}

/* A variable that is not the server's */
static bool is_ours(struct command *c, const char *word)
{
    if (strncmp(word, "RECIPIENTS=", 11) == 0)
        c->recipients = atol(word + 11);
    else if (strncmp(word, "KIB=", 4) == 0)
        c->size = (size_t)atol(word + 4) * 1024;
    else if (strncmp(word, "TLS=", 4) == 0)
        c->tls = word + 4;
    else if (strncmp(word, "SMTPS=", 6) == 0) {
        c->tls = word + 6;
        c->implicit = true;
    } else if (strcmp(word, "PROXY=2") == 0)
        c->proxied = true;
    else if (strncmp(word, "LOGIN=", 6) == 0)
        c->login = word + 6;
    else if (strncmp(word, "BESIDE=", 7) == 0)
        c->beside = (pid_t)atol(word + 7);
    else if (strncmp(word, "SERVICE=", 8) == 0)
        split(strdup(word + 8), c->service, sizeof c->service / sizeof *c->service);
    else if (strncmp(word, "SINK=", 5) == 0)
        c->sink = (in_port_t)atoi(word + 5);
    else if (strncmp(word, "PORT=", 5) == 0)
        c->port = (in_port_t)atoi(word + 5);
    else if (strncmp(word, "PROCESS=", 8) == 0)
        c->process = (pid_t)atol(word + 8);
    else if (strncmp(word, "FAMILY=", 7) == 0) {
        c->process = (pid_t)atol(word + 7);
        c->family = true;
    } else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    static struct command command[COMMANDS];
    int rounds = 11, sessions = 100, commands = 0, option;
    bool beside = false;

    while ((option = getopt(argc, argv, "+r:n:pqt")) != -1) {
        if (option == 'r')
            rounds = atoi(optarg);
        else if (option == 'n')
            sessions = atoi(optarg);
        else if (option == 'p')
            pipelined = true;
        else if (option == 'q')
            quits = true;
        else if (option == 't')
            tcp = true;
        else
            return 64;
    }
    for (int i = optind; i + 1 < argc && commands < COMMANDS; i++) {
        struct command *c = &command[commands++];
        int n = 0;

        c->name = argv[i++];
        c->environment[n++] = "PATH=/bin:/usr/bin";
        c->recipients = 1;
        while (i < argc && strchr(argv[i], '=') != NULL && n < 15) {
            char *const word = argv[i++];

            if (!is_ours(c, word))
                c->environment[n++] = word;
        }
        c->argv = argv + i;
        while (i < argc && strcmp(argv[i], "::") != 0)
            i++;
        if (i < argc)
            argv[i] = NULL;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if ((pipelined && quits) || commands == 0 || rounds < 1 || rounds > ROUNDS)
        return 64;
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < commands; i++)
            measure(&command[i], sessions, &command[i].round[r], &command[i].other[r]);
    for (int i = 0; i < commands; i++)
        beside = beside || command[i].beside != 0;
    printf("| server | CPU us a session | ratio | wall us | page faults "
           "|%s quartiles of the ratio |\n|---|---|---|---|---|%s---|\n",
           beside ? " beside it |" : "", beside ? "---|" : "");
    for (int i = 0; i < commands; i++) {
        double cpu[ROUNDS], ratio[ROUNDS], wall[ROUNDS], faults[ROUNDS], other[ROUNDS];

        for (int r = 0; r < rounds; r++) {
            const struct figures *f = &command[i].round[r];

            cpu[r] = f->cpu / sessions;
            ratio[r] = f->cpu / command[0].round[r].cpu;
            wall[r] = f->wall / sessions;
            faults[r] = f->faults / sessions;
            other[r] = command[i].other[r].cpu / sessions;
        }
        printf("| %s | %.0f | %.2f | %.0f | %.0f |", command[i].name, median(cpu, rounds),
               median(ratio, rounds), median(wall, rounds), median(faults, rounds));
        if (beside)
            printf(" %.0f |", median(other, rounds));
        printf(" %.2f to %.2f |\n", ratio[rounds / 4], ratio[rounds - 1 - rounds / 4]);
    }
    return 0;
}
