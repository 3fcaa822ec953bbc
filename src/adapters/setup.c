#include "adapters/setup.h"

#include "adapters/auth_check.h"
#include "adapters/check_user.h"
#include "adapters/confine.h"
#include "adapters/known.h"
#include "adapters/proxy_check.h"
#include "adapters/run.h"
#include "adapters/table_check.h"
#include "adapters/tls_check.h"
#include "base/number.h"
#include "io/descriptors.h"
#include "io/environment.h"
#include "syntax/idn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char stays_root[] =
    "note: is not set: smtpin, started as root, and the delivery commands run as root";

static const char normalizes[] =
    "note: on this socket a bare CR or LF in a message becomes a line end; only your own machines "
    "should reach it";

static const char receives_nothing[] = "note: neither domains nor relay_clients is set: every "
                                       "recipient but postmaster is deferred (451)";

static const char no_idn[] =
    "note: libidn2 can't be loaded: mail to a domain that is written outside ASCII is deferred "
    "(451); with smtputf8 = no, clients write it in ASCII";

/* Is there an internationalized domain name in the list? */
static bool has_idn(struct span domains)
{
    struct span word;
    bool found = !span_is_ascii(domains);

    while (!found && span_word(&domains, " \t,", &word))
        for (size_t i = 0; i < word.n; i++)
            found = found || ((i == 0 || word.p[i - 1] == '.') &&
                              span_starts_nocase(span_from(word, i), SPAN("xn--")));
    return found;
}

/* The kernel's own form of it is all zeros, for which the C library does three times as much. (On
 * some other machines the call has other arguments.) */
static void set_back(int sig)
{
    static const struct sigaction usual = {.sa_handler = SIG_DFL};

#if defined(__x86_64__) || defined(__aarch64__)
    syscall(SYS_rt_sigaction, sig, &usual, NULL, NSIG / 8);
#else
    sigaction(sig, &usual, NULL);
#endif
}

/* Whatever was ignored, blocked or about to ring. Signals that are ignored would be so in commands
 * too; SIGCHLD ignored would take their exit status from us. Instead of being ignored or handled,
 * those that could end us in the middle of something are blocked: a connection that is gone is
 * EPIPE then, a file-size limit EFBIG, an alarm set by somebody else nothing; and SIGTERM is asked
 * for where it may end us (setup_stop): a delivery is never cut. */
static void reset_signals(bool will_listen)
{
    /* Those that super-servers, shells and daemons ignore. */
    static const int usual[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGCHLD,
                                SIGXFSZ, SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
    sigset_t blocked;

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        set_back(usual[i]);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    sigaddset(&blocked, SIGALRM);
    sigaddset(&blocked, SIGXFSZ);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGCHLD); /* waited for: child.c, listen.c */
    if (will_listen)              /* see listen.c; one may come before it is there */
        sigaddset(&blocked, SIGHUP);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static sigset_t sigterm(void)
{
    sigset_t term;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    return term;
}

int setup_stop(void)
{
    const sigset_t term = sigterm();

    return signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
}

void setup_no_stop(void)
{
    const sigset_t term = sigterm();

    sigprocmask(SIG_UNBLOCK, &term, NULL);
}

/* Descriptors 0 to 2, those that are closed made /dev/null: so that no file of ours becomes a
 * standard one. */
static void look_at_standard(struct stat st[3])
{
    bool all = true;

    for (int fd = 0; fd < 3; fd++) {
        st[fd].st_ino = st[fd].st_dev = 0;
        all = fstat(fd, &st[fd]) == 0 && all;
    }
    /* The lowest free one is taken. */
    for (int spare = all ? 3 : 0; spare >= 0 && spare < 3;)
        spare = open("/dev/null", O_RDWR);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* False: it has no other end; *gone: it has none any more. */
static bool find_other_end(int fd, struct sockaddr_storage *from, bool *gone)
{
    socklen_t n = sizeof *from;
    const bool found = getpeername(fd, (struct sockaddr *)from, &n) == 0;

    *gone = !found && errno == ENOTCONN;
    return found;
}

bool setup_is_gone(int fd)
{
    struct sockaddr_storage from;
    bool gone;

    find_other_end(fd, &from, &gone);
    return gone;
}

/* The connection, or what stands in its place. */
static void take_connection(struct setup *s, int in, int out)
{
    s->in = in;
    s->out = out;
    if (!find_other_end(in, &s->from, &s->gone))
        s->from.ss_family = AF_UNSPEC;
}

/* NULL, or why a descriptor that was passed is neither a connection nor a listener. */
static const char *unfit(int fd)
{
    int type = 0;
    socklen_t n = sizeof type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0)
        return errno == EBADF ? "a descriptor was passed that is not open"
                              : "a descriptor was passed that is no socket";
    return type == SOCK_STREAM || type == SOCK_SEQPACKET
               ? NULL
               : "a socket was passed that is for datagrams, and does not listen";
}

/* Of the sockets from 3 on, those that listen; a single one that does not is the connection. */
static void take_passed(struct setup *s, const struct manager_sockets *passed)
{
    if (passed->n == 1 && !s->manager->listens(MANAGER_SOCKETS_START)) {
        s->wrong = unfit(MANAGER_SOCKETS_START);
        if (s->wrong == NULL)
            take_connection(s, MANAGER_SOCKETS_START, MANAGER_SOCKETS_START);
        return;
    }
    for (int i = 0; i < passed->n; i++) {
        const int fd = MANAGER_SOCKETS_START + i;
        const bool fits = s->manager->listens(fd);

        if (fits && s->listeners < MANAGER_SOCKETS_MAX) {
            s->name[s->listeners] = passed->name[i];
            s->listener[s->listeners++] = fd;
            continue;
        }
        if (s->wrong == NULL)
            s->wrong = fits ? "too many sockets were passed: the last is not used" : unfit(fd);
        if (s->wrong == NULL)
            s->wrong = "several sockets were passed, and one of them does not listen";
        close(fd);
    }
}

/* inetd's "wait": the listener is moved away from where a command's own descriptors will be. */
static void take_standard_listener(struct setup *s)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    s->gone = false;
    s->in = s->out = -1;
    s->listener[0] = fcntl(0, F_DUPFD_CLOEXEC, MANAGER_SOCKETS_START);
    s->listeners = s->listener[0] >= 0 && null >= 0 && dup2(null, 0) >= 0 && dup2(null, 1) >= 0;
    if (s->listeners == 0)
        s->wrong = "no descriptor, or no /dev/null";
    if (null > 2)
        close(null);
}

/* The three descriptors of UCSPI-TLS are no command's (adapters/tls.h). */
static void close_but_tls(unsigned from)
{
    static const char *const names[] = {"SSLCTLFD", "SSLREADFD", "SSLWRITEFD"};
    uint64_t kept[sizeof names / sizeof *names] = {0}, next;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = environment_get(names[i]);

        if (value == NULL || number_parse(span_of(value), INT_MAX, &kept[i]) != NUMBER_OK ||
            fcntl((int)kept[i], F_SETFD, FD_CLOEXEC) < 0)
            kept[i] = 0;
    }
    for (;; from = (unsigned)next + 1) {
        next = UINT64_MAX;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (kept[i] >= from && kept[i] < next)
                next = kept[i];
        if (next > from)
            descriptors_close(from, next == UINT64_MAX ? ~0U : (unsigned)next - 1);
        if (next == UINT64_MAX)
            return;
    }
}

/* Those that came as sd_listen_fds(3) has them. False: there are none. */
static bool take_sockets(struct setup *s)
{
    void *const held = environment_get("LISTEN_FDS") != NULL ? s->manager->hold() : NULL;
    struct manager_sockets passed;

    s->manager->sockets(&passed);
    /* Leaked listeners, and the far end of our own socket pair: never ours. */
    if (environment_get("SSLCTLFD") == NULL)
        descriptors_close(MANAGER_SOCKETS_START + (unsigned)passed.n, ~0U);
    else
        close_but_tls(MANAGER_SOCKETS_START + (unsigned)passed.n);
    if (passed.n > 0)
        take_passed(s, &passed);
    s->manager->release(held);
    return passed.n > 0;
}

void setup_process(struct setup *s)
{
    struct stat st[3], connection = {0};

    *s = (struct setup){.manager = manager_of_process(), .in = -1, .out = -1};
    look_at_standard(st);
    if (take_sockets(s)) {
        /* Where it is none of these, descriptor 0 may be the client's all the same. */
        if (s->in >= 0)
            s->stderr_is_ours = fstat(s->in, &connection) < 0 || !is_same(&st[2], &connection);
        else
            s->stderr_is_ours = s->listeners > 0 || !is_same(&st[2], &st[0]);
    } else {
        s->stderr_is_ours = !is_same(&st[2], &st[0]) && !is_same(&st[2], &st[1]);
        take_connection(s, 0, 1);
        if (s->gone && s->manager->listens(0))
            take_standard_listener(s);
    }
    /* Not even a library's last words are for the client. */
    if (!s->stderr_is_ours) {
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        dup2(null, 2);
        if (null > 2)
            close(null);
    }
    reset_signals(s->listeners > 0);
    umask(077);
}

static void complain(const struct config_report *report, const char *key, const char *what)
{
    config_complain(report, span_of(key), what);
}

/* "name", or "uid:gid" where no user database is at hand. */
static bool find_user(const char *user, uid_t *uid, gid_t *gid)
{
    const struct span text = span_of(user);
    const size_t colon = span_find(text, ':');
    uint64_t u, g;
    struct passwd *entry;

    if (colon < text.n && number_parse(span_first(text, colon), UINT_MAX - 1, &u) == NUMBER_OK &&
        number_parse(span_from(text, colon + 1), UINT_MAX - 1, &g) == NUMBER_OK) {
        *uid = (uid_t)u;
        *gid = (gid_t)g;
        return u > 0 && g > 0;
    }
    entry = getpwnam(user);
    if (entry == NULL || entry->pw_uid == 0)
        return false;
    *uid = entry->pw_uid;
    *gid = entry->pw_gid;
    return true;
}

bool setup_user(const struct config *c, const struct config_report *report)
{
    const char *user = c->user.p;
    uid_t uid;
    gid_t gid;

    /* Asked anew: a reload comes here again, without root (AT_EUID would still say that it is
     * there). */
    if (geteuid() != 0)
        return true;
    if (c->user.n == 0) {
        complain(report, "user", stays_root);
        return true;
    }
    if (!find_user(user, &uid, &gid)) {
        complain(report, "user", "there is no such user, or it is root");
        return false;
    }
    if (check_set_groups(user, gid) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0) {
        complain(report, "user", strerror(errno));
        return false;
    }
    /* For good: a way back would be a way in. */
    if (setuid(0) == 0 || getuid() != uid || geteuid() != uid) {
        complain(report, "user", "root could not be dropped");
        return false;
    }
    return true;
}

/* Settings that do not go together with the command. False: they lose or double mail. */
static bool check_command(const struct config *c, const struct config_report *report)
{
    const struct known_clash clash = known_clash(c);

    if (clash.what != NULL)
        config_complain_of_both(report, clash.key, clash.with, clash.what);
    return clash.what == NULL || clash.harmless;
}

/* Is the command's program there? A command that is not set has none. */
static bool check_program(const struct words *command, const char *key,
                          const struct config_report *report)
{
    char path[PATH_MAX], room[512];
    struct text found = TEXT(path), what = TEXT(room);

    if (command->n == 0 || run_program(command->word[0], &found) != NULL)
        return true;
    text_adds(&what, "its program is missing, or can't be executed: ");
    text_add_escaped(&what, span_first(command->word[0], 256), "");
    complain(report, key, text_string(&what));
    return false;
}

/* Does a unit start it here? Ours name a user. */
static bool has_unit(void)
{
    return access("/run/systemd/system", F_OK) == 0 &&
           access(SMTPIN_UNITDIR "/smtpin@.service", F_OK) == 0;
}

/* As whom sessions run, where that is known and root asks. */
static struct check_user session_user(const struct config *c)
{
    struct check_user user = {.name = NULL};

    if (geteuid() == 0)
        user.name = c->user.n > 0 ? c->user.p : has_unit() ? "smtpin" : NULL;
    if (user.name != NULL && !find_user(user.name, &user.uid, &user.gid))
        user.name = NULL;
    return user;
}

bool setup_check_tls(const struct config *c, const struct config *outer,
                     const struct config_report *report)
{
    const struct check_user user = session_user(c);

    if (c->smtp.tls != SMTP_TLS_OFF && c->tls_service != CONFIG_TLS_SERVICE_ONLY &&
        !check_program(&c->tls_command, "tls_command", report))
        return false;
    return tls_check(c, outer, &user, report);
}

bool setup_check_auth(const struct config *c, const struct config *outer,
                      const struct config_report *report)
{
    const struct check_user user = session_user(c);

    return auth_check(c, outer, &user, report);
}

bool setup_check(const struct config *c, const struct config_report *report)
{
    bool good = true;
    uid_t uid;
    gid_t gid;

    if (c->user.n > 0 && !find_user(c->user.p, &uid, &gid)) {
        complain(report, "user", "there is no such user, or it is root");
        good = false;
    }
    if (c->user.n == 0 && geteuid() == 0 && !has_unit())
        complain(report, "user", stays_root);
    if (c->domains.n == 0 && c->relay_clients.n == 0)
        complain(report, "domains", receives_nothing);
    if (c->smtp.smtputf8 && has_idn(c->domains) && !idn_works(c->idn))
        complain(report, "domains", no_idn);
    if (c->smtp.normalize)
        complain(report, "bare_line_ends", normalizes);
    proxy_check(c, report);
    good = check_program(&c->deliver, "deliver", report) && good;
    good = table_check_all(c, report) && good;
    good = check_program(&c->check_client, "check_client", report) && good;
    good = check_program(&c->check_sender, "check_sender", report) && good;
    good = check_program(&c->check_recipient, "check_recipient", report) && good;
    good = check_command(c, report) && good;
    good = confine_check(c, report) && good;
    if (c->embedded && access(c->maildir.p, X_OK) < 0) {
        complain(report, "maildir", strerror(errno));
        good = false;
    }
    if (c->trace.n > 0 && access(c->trace.p, W_OK | X_OK) < 0) {
        complain(report, "trace", strerror(errno));
        good = false;
    }
    if (access(c->spool_dir.p, W_OK | X_OK) < 0) {
        complain(report, "spool_dir", strerror(errno));
        good = false;
    }
    return good;
}
