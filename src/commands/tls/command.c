#include "commands/tls/command.h"

#include "commands/tls/carry.h"
#include "commands/tls/context.h"
#include "commands/tls/facts.h"
#include "commands/tls/handshake.h"
#include "commands/tls/report.h"
#include "commands/tls/service.h"
#include "io/clock.h"
#include "syntax/tls_talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { FACTS_MAX = TLS_PACKET_MAX };

static const char *const variables[] = {
    TLS_FACT_PROTOCOL,   TLS_FACT_CIPHER,   TLS_FACT_CIPHER_IANA, TLS_FACT_BITS,
    TLS_FACT_GROUP,      TLS_FACT_SNI,      TLS_FACT_VERIFY,      TLS_FACT_SUBJECT,
    TLS_FACT_ISSUER,     TLS_FACT_NAME,     TLS_FACT_FINGERPRINT, TLS_FACT_KEY_FINGERPRINT,
    TLS_FACT_SERVER_END, TLS_FACT_EXPORTER, TLS_FACT_END_POINT,   "SSLCTLFD",
    "SSLREADFD",         "SSLWRITEFD",
};

/* The connection, and what COMMAND has instead of it. */
struct wrapping {
    const struct tls_options *o;
    struct tls_service service;
    struct handshake handshake;
    SSL *ssl;
    pid_t child;
};

/* What others have said of TLS is not so of this connection. And who starts us may have children
 * ignored: COMMAND's status would be lost. */
static void begin(void)
{
    signal(SIGCHLD, SIG_DFL);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
}

/* NAME=VALUE and a NUL, again and again. */
static bool set_variables(struct span facts)
{
    while (facts.n > 0) {
        const size_t n = span_find(facts, '\0'), equals = span_find(span_first(facts, n), '=');
        char name[64];

        if (equals >= sizeof name)
            return false;
        memcpy(name, facts.p, equals);
        name[equals] = '\0';
        if (setenv(name, facts.p + equals + 1, 1) < 0)
            return false;
        facts = span_from(facts, n + 1);
    }
    return true;
}

static bool set_number(const char *name, int value)
{
    char digits[16];

    snprintf(digits, sizeof digits, "%d", value);
    return setenv(name, digits, 1) == 0;
}

/* COMMAND can't ask for the client's address, since it has a local socket: UCSPI's names for it,
 * unless whoever has started us knows it better. */
static bool name_client(int fd)
{
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a;
    socklen_t n = sizeof a;
    char address[INET6_ADDRSTRLEN], port[16];

    if (getenv("TCPREMOTEIP") != NULL || getpeername(fd, (struct sockaddr *)&a, &n) < 0 ||
        (a.ss_family != AF_INET && a.ss_family != AF_INET6))
        return true;
    snprintf(port, sizeof port, "%u", ntohs(a.ss_family == AF_INET ? v4->sin_port : v6->sin6_port));
    return inet_ntop(a.ss_family,
                     a.ss_family == AF_INET ? (const void *)&v4->sin_addr : &v6->sin6_addr, address,
                     sizeof address) != NULL &&
           setenv("TCPREMOTEIP", address, 1) == 0 && setenv("TCPREMOTEPORT", port, 1) == 0;
}

/* In the child. */
static _Noreturn void execute(const struct tls_options *o)
{
    /* main has it ignored; SIGTERM is not yet. */
    signal(SIGPIPE, SIG_DFL);
    execvp(o->command[0], o->command);
    report(LOG_ERR, "%s: %s", o->command[0], strerror(errno));
    _exit(EX_UNAVAILABLE);
}

/* The exit status of this process, once COMMAND has ended. */
static int wait_for(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return EX_OSERR;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void polite(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Handshakes on descriptors 0 and 1. False: it has reported why not. */
static bool secure(struct wrapping *w)
{
    struct handshake *h = &w->handshake;

    if (!context_start()) {
        report(LOG_ERR, "OpenSSL does not start");
        return false;
    }
    service_open_patiently(&w->service, w->o);
    service_report(&w->service);
    if (w->service.ctx == NULL)
        return false;
    h->certificates = w->service.certificates;
    h->in = STDIN_FILENO;
    h->out = STDOUT_FILENO;
    h->control = -1;
    h->deadline = clock_now() + w->o->timeout;
    polite(h->in);
    polite(h->out);
    w->ssl = handshake_new(w->service.ctx, h, NULL);
    if (w->ssl == NULL) {
        report(LOG_ERR, "no memory");
        return false;
    }
    if (handshake_run(w->ssl, h))
        return true;
    report(LOG_NOTICE, "the handshake has failed: %s%s%s", h->reason,
           h->offered[0] != '\0' ? "; the client offers " : "", h->offered);
    carry_no_further(h->in, h->out);
    return false;
}

/* Whoever stops the service asks COMMAND too, which says its last words through us. */
static void carry_for(struct wrapping *w, int from, int to)
{
    signal(SIGTERM, SIG_IGN);
    polite(from);
    polite(to);
    carry(w->ssl, w->handshake.in, w->handshake.out, from, to);
    close(from);
    if (to != from)
        close(to);
    close(w->handshake.in);
    close(w->handshake.out);
}

int command_wrap(const struct tls_options *o)
{
    struct wrapping w = {.o = o};
    char room[FACTS_MAX];
    struct text facts = TEXT(room);
    int pair[2];

    begin();
    unsetenv("UCSPITLS");
    if (!secure(&w))
        return EX_PROTOCOL;
    facts_of(&facts, w.ssl, &w.handshake);
    if (facts.cut || !set_variables(text_span(&facts)) || !name_client(STDIN_FILENO) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return EX_OSERR;
    w.child = fork();
    if (w.child == 0) {
        dup2(pair[1], STDIN_FILENO);
        dup2(pair[1], STDOUT_FILENO);
        execute(o);
    }
    close(pair[1]);
    if (w.child < 0)
        return EX_OSERR;
    carry_for(&w, pair[0], pair[0]);
    return wait_for(w.child);
}

/* COMMAND wants TLS: 'y', or 'Y' with the facts. 0: it does not. */
static char wanted(int control)
{
    char c = 0;
    ssize_t n;

    do
        n = read(control, &c, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 && (c == 'y' || c == 'Y') ? c : 0;
}

/* The facts, and an empty one at their end. COMMAND may have gone, which carrying shows. */
static void tell(struct wrapping *w, int control)
{
    char room[FACTS_MAX + 1];
    struct text facts = {.p = room, .cap = FACTS_MAX};

    facts_of(&facts, w->ssl, &w->handshake);
    facts.cap++;
    text_addc(&facts, '\0');
    for (size_t done = 0; done < facts.n;) {
        const ssize_t n = write(control, facts.p + done, facts.n - done);

        if (n < 0 && errno != EINTR)
            return;
        done += n > 0 ? (size_t)n : 0;
    }
}

/* Ours and COMMAND's ends of the control, of what it reads, and of what it writes. */
enum { CONTROL, READ, WRITE, PAIRS };

static bool make_pairs(int pair[PAIRS][2])
{
    for (int i = 0; i < PAIRS; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair[i]) < 0)
            return false;
    return true;
}

static _Noreturn void execute_ucspi(const struct tls_options *o, int pair[PAIRS][2])
{
    for (int i = 0; i < PAIRS; i++)
        fcntl(pair[i][1], F_SETFD, 0);
    if (setenv("UCSPITLS", "1", 0) == 0 && set_number("SSLCTLFD", pair[CONTROL][1]) &&
        set_number("SSLREADFD", pair[READ][1]) && set_number("SSLWRITEFD", pair[WRITE][1]))
        execute(o);
    _exit(EX_OSERR);
}

int command_ucspi(const struct tls_options *o)
{
    struct wrapping w = {.o = o};
    int pair[PAIRS][2];
    char how;

    begin();
    if (!make_pairs(pair))
        return EX_OSERR;
    w.child = fork();
    if (w.child == 0)
        execute_ucspi(o, pair);
    for (int i = 0; i < PAIRS; i++)
        close(pair[i][1]);
    if (w.child < 0)
        return EX_OSERR;
    how = wanted(pair[CONTROL][0]);
    if (how != 0 && secure(&w)) {
        if (how == 'Y')
            tell(&w, pair[CONTROL][0]);
        close(pair[CONTROL][0]);
        carry_for(&w, pair[WRITE][0], pair[READ][0]);
        return wait_for(w.child);
    }
    /* Its end of file; the connection is COMMAND's alone. */
    for (int i = 0; i < PAIRS; i++)
        close(pair[i][0]);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    return wait_for(w.child);
}
