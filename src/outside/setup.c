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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LISTEN_FDS_START = 3 };

static const char stays_root[] =
    "note: started as root; without this key it stays root, and so do the commands";

static bool number_is(const char *text, uint64_t least, uint64_t most)
{
    uint64_t n;

    return text != NULL && number_parse(span_of(text), most, &n) == NUMBER_OK && n >= least;
}

/* The protocol of sd_listen_fds(3): one descriptor, 3, for this very process. */
static bool was_passed_a_socket(void)
{
    const char *pid = getenv("LISTEN_PID");

    return pid != NULL && number_is(getenv("LISTEN_FDS"), 1, 1) &&
           number_is(pid, (uint64_t)getpid(), (uint64_t)getpid());
}

static bool same_file(int a, int b)
{
    struct stat sa, sb;

    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

/* Whatever was ignored, blocked or about to ring: SIGCHLD ignored would take commands' exit status
 * from us, SIGTERM blocked would keep us. A connection that is gone is EPIPE, a file-size limit
 * EFBIG, not a death. */
static void reset_signals(void)
{
    static const int usual[] = {SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGTERM, SIGCHLD};
    static const int ignored[] = {SIGPIPE, SIGXFSZ};
    sigset_t none;

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        sigaction(usual[i], &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    alarm(0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void setup_process(int *in, int *out, bool *stderr_is_ours)
{
    int spare = open("/dev/null", O_RDWR);

    /* The lowest free one is taken: fill up to 2, so that no file of ours becomes a standard one.
     */
    while (spare >= 0 && spare <= 2)
        spare = open("/dev/null", O_RDWR);
    *in = 0;
    *out = 1;
    if (was_passed_a_socket()) {
        /* spare is above 3 then, since 3 was open. */
        *in = *out = LISTEN_FDS_START;
        fcntl(*in, F_SETFD, FD_CLOEXEC);
        syscall(SYS_close_range, LISTEN_FDS_START + 1, ~0U, 0);
    } else {
        /* Leaked listeners, and the far end of our own socket pair: never ours. */
        syscall(SYS_close_range, 3, ~0U, 0);
    }
    *stderr_is_ours = !same_file(2, *in) && !same_file(2, *out);
    if (!*stderr_is_ours) {
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        dup2(null, 2);
        if (null > 2)
            close(null);
    }
    reset_signals();
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
