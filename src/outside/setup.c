#include "outside/setup.h"

#include "base/number.h"
#include "outside/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LISTEN_FDS_START = 3 };

static const char stays_root[] =
    "note: started as root; without this key it stays root, and so do the commands";

static bool number_is(const char *text, uint64_t wanted)
{
    uint64_t n;

    return number_parse(span_of(text), UINT64_MAX, &n) == NUMBER_OK && n == wanted;
}

/* The protocol of sd_listen_fds(3): descriptors from 3 on, for this very process. */
static size_t passed_sockets(void)
{
    uint64_t n;

    if (!number_is(getenv("LISTEN_PID"), (uint64_t)getpid()) ||
        number_parse(span_of(getenv("LISTEN_FDS")), INT_MAX / 2, &n) != NUMBER_OK)
        return 0;
    return n;
}

static bool listens(int fd)
{
    int answer = 0;
    socklen_t n = sizeof answer;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &answer, &n) == 0 && answer != 0;
}

static bool same_file(int a, int b)
{
    struct stat sa, sb;

    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

/* Whatever was ignored, blocked or about to ring: SIGCHLD ignored would take commands' exit status
 * from us, SIGTERM blocked would keep us. A connection that is gone is EPIPE, a file-size limit
 * EFBIG, not a death. SIGTERM is asked for where it may end us (the descriptor returned, or -1): a
 * delivery is never cut. */
static int reset_signals(void)
{
    static const int usual[] = {SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGTERM, SIGCHLD};
    static const int ignored[] = {SIGPIPE, SIGXFSZ};
    sigset_t term;
    int stop;

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        sigaction(usual[i], &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    alarm(0);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    stop = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
    if (stop < 0) /* ended at once rather than never */
        sigemptyset(&term);
    sigprocmask(SIG_SETMASK, &term, NULL);
    return stop;
}

/* Of the sockets from 3 on, those that listen; a single one that does not is the connection. */
static void take_passed(struct setup *s, size_t n)
{
    struct span names = span_of(getenv("LISTEN_FDNAMES"));

    if (n == 1 && !listens(LISTEN_FDS_START)) {
        s->in = s->out = LISTEN_FDS_START;
        fcntl(s->in, F_SETFD, FD_CLOEXEC);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const int fd = LISTEN_FDS_START + (int)i;
        const struct span name = span_first(names, span_find(names, ':'));

        names = span_from(names, name.n + 1);
        if (s->listeners < SETUP_LISTENERS_MAX && listens(fd)) {
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            s->name[s->listeners] = name;
            s->listener[s->listeners++] = fd;
        } else {
            s->wrong = "a socket that does not listen, or one too many, was passed among others";
            close(fd);
        }
    }
    s->in = s->out = -1;
}

/* inetd's "wait": the listener is moved away from where a command's own descriptors will be. */
static void take_standard_listener(struct setup *s)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    s->listener[0] = fcntl(0, F_DUPFD_CLOEXEC, LISTEN_FDS_START);
    s->listeners = s->listener[0] >= 0;
    dup2(null, 0);
    dup2(null, 1);
    if (null > 2)
        close(null);
    s->in = s->out = -1;
}

void setup_process(struct setup *s)
{
    const size_t passed = passed_sockets();
    int spare = open("/dev/null", O_RDWR);

    *s = (struct setup){.in = 0, .out = 1};
    /* The lowest free one is taken: fill up to 2, so that no file of ours becomes a standard one.
     */
    while (spare >= 0 && spare <= 2)
        spare = open("/dev/null", O_RDWR);
    /* Leaked listeners, and the far end of our own socket pair: never ours. (spare is above what
     * was passed, since that was open.) */
    syscall(SYS_close_range, LISTEN_FDS_START + (unsigned)passed, ~0U, 0);
    if (passed > 0)
        take_passed(s, passed);
    s->stderr_is_ours =
        passed > 0 ? s->in < 0 || !same_file(2, s->in) : !same_file(2, 0) && !same_file(2, 1);
    if (passed == 0 && listens(0))
        take_standard_listener(s);
    if (!s->stderr_is_ours) {
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        dup2(null, 2);
        if (null > 2)
            close(null);
    }
    s->stop = reset_signals();
    umask(077);
}

static void complain(const struct config_report *report, const char *key, const char *what)
{
    report->say(report->context, "setup", 0, span_of(key), what);
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

    if (geteuid() != 0)
        return true;
    if (c->user.n == 0) {
        complain(report, "user", stays_root);
        return true;
    }
    if (!find_user(user, &uid, &gid)) {
        complain(report, "user", "no such user, or it is root");
        return false;
    }
    if ((span_find(c->user, ':') < c->user.n ? setgroups(1, &gid) : initgroups(user, gid)) < 0 ||
        setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
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

bool setup_check(const struct config *c, const struct config_report *report)
{
    char path[PATH_MAX];
    struct text room = TEXT(path);
    bool good = true;
    uid_t uid;
    gid_t gid;

    if (c->user.n > 0 && !find_user(c->user.p, &uid, &gid)) {
        complain(report, "user", "no such user, or it is root");
        good = false;
    }
    if (c->user.n == 0 && geteuid() == 0)
        complain(report, "user", stays_root);
    if (c->deliver.n > 0 && deliver_program(c->deliver.word[0], &room) == NULL) {
        complain(report, "deliver", "its program is not there, or can't be executed");
        good = false;
    }
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
