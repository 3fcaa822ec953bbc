#include "commands/tls/serve.h"

#include "base/text.h"
#include "commands/tls/listening.h"
#include "commands/tls/rehearse.h"
#include "commands/tls/renew.h"
#include "commands/tls/report.h"
#include "commands/tls/service.h"
#include "commands/tls/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    ACCEPTS = 64,
    MOMENT = 100,   /* milliseconds until there may be descriptors or memory again */
    REFUSING = 100, /* children that do nothing but refuse, at once */
};

struct server {
    int listening, signals;
    sigset_t before; /* what was blocked when the process began */
    uint64_t children;
    struct tls_service service;
    struct renewal renewal;
};

static bool open_signals(struct server *s)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    /* Whoever has started us may have it ignored. */
    signal(SIGCHLD, SIG_DFL);
    if (sigprocmask(SIG_BLOCK, &set, &s->before) < 0)
        return false;
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals >= 0;
}

/* False: the process is asked to end. */
static bool attend_signals(struct server *s)
{
    struct signalfd_siginfo info;
    bool go_on = true;

    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            go_on = false;
    while (s->children > 0 && waitpid(-1, NULL, WNOHANG) > 0)
        s->children--;
    return go_on;
}

/* In the child. */
static _Noreturn void serve_in_child(struct server *s, int control, bool refuse)
{
    close(s->listening);
    close(s->signals);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
    if (refuse) {
        struct text why = TEXT(s->service.unavailable);

        text_add(&why, SPAN("too many sessions"));
        text_string(&why);
        s->service.ctx = NULL;
    }
    session_serve(control, &s->service);
    _exit(EX_OK);
}

static void serve_one(struct server *s, int control)
{
    const uint64_t most = s->service.options->max_sessions;
    pid_t pid;

    if (s->children >= most + REFUSING) {
        session_refuse(control, "too many sessions");
        return;
    }
    /* A refusal waits for BEGIN too: smtpin may not be ready to read one before it has sent that.
     */
    pid = fork();
    if (pid == 0)
        serve_in_child(s, control, s->children >= most);
    if (pid < 0) {
        session_refuse(control, strerror(errno));
        return;
    }
    s->children++;
    close(control);
}

/* Those that have come; not so many that a signal would wait long. */
static void accept_some(struct server *s)
{
    for (int i = 0; i < ACCEPTS; i++) {
        const int control = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC);

        if (control < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                poll(NULL, 0, MOMENT);
            return;
        }
        renewal_look(&s->renewal, &s->service);
        serve_one(s, control);
    }
}

int serve(const struct tls_options *o)
{
    struct server s = {.signals = -1};
    bool made;

    s.listening = listening_open(o->place, &made);
    if (s.listening < 0)
        return EX_UNAVAILABLE;
    service_open(&s.service, o);
    service_report(&s.service);
    rehearse(s.service.ctx, s.service.certificates);
    renewal_open(&s.renewal, &s.service);
    if (open_signals(&s)) {
        struct pollfd p[2] = {{.fd = s.signals, .events = POLLIN},
                              {.fd = s.listening, .events = POLLIN}};

        do {
            if (poll(p, 2, -1) < 0 && errno != EINTR)
                break;
            if (p[1].revents != 0)
                accept_some(&s);
        } while (attend_signals(&s));
    }
    if (made)
        unlink(o->place);
    return EX_OK;
}
