#include "io/clock.h"
#include "listen.h"
#include "listen_state.h"
#include "serve.h"
#include "syntax/network.h"

#include <signal.h>
#include <sys/wait.h>

/* One record where it begins, not for each connection that is turned away. */
static void log_penalty(const struct listening *l, const struct admission_guest *guest,
                        const char *cause)
{
    char address[INET6_ADDRSTRLEN] = "";
    struct log_record r;

    log_begin(&r, LOG_SERVICE, LOG_LEVEL_NOTICE);
    log_add(&r, "event", SPAN("penalty"));
    log_add(&r, "socket", l->now->config[guest->socket].socket);
    log_add(&r, "client_address", admission_address(guest, address, sizeof address));
    log_add(&r, "cause", span_of(cause));
    log_add_number(&r, "seconds", penalty_left(&l->penalties, guest, clock_now()) / 1000);
    log_end(l->given->log, &r);
}

static bool is_exempt(const struct config *c, const struct admission_guest *guest)
{
    char address[INET6_ADDRSTRLEN];

    return !guest->local &&
           network_list_has(c->penalty_exempt, admission_address(guest, address, sizeof address));
}

/* An exempt address may be one of a network that has a penalty, or exempt since then. */
bool listen_has_penalty(const struct listening *l, const struct config *c,
                        const struct admission_guest *guest)
{
    return l->penalties.n > 0 && penalty_left(&l->penalties, guest, clock_now()) > 0 &&
           !is_exempt(c, guest);
}

/* A crash that a client may have caused; not the end that an administrator, or the kernel for want
 * of memory, makes of a session. */
static bool is_fault(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == SERVE_CRASHED;
    switch (WTERMSIG(status)) {
    case SIGSEGV:
    case SIGBUS:
    case SIGABRT:
    case SIGILL:
    case SIGFPE:
    case SIGSYS:
        return true;
    default:
        return false;
    }
}

void listen_judge(struct listening *l, const struct admission_guest *guest, int status)
{
    const struct config *c = &l->now->config[guest->socket];
    const char *cause = "crash";
    uint64_t added = c->penalty_crash;

    if (WIFEXITED(status) && WEXITSTATUS(status) == SERVE_LOGINS_FAILED) {
        added = c->penalty_login;
        cause = "login";
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == SERVE_ABUSED) {
        added = c->penalty_abuse;
        cause = "abuse";
    } else if (!is_fault(status)) {
        return;
    }
    if (is_exempt(c, guest))
        return;
    if (penalty_add(&l->penalties, guest, added, c->penalty_least, c->penalty_most, clock_now()))
        log_penalty(l, guest, cause);
}
