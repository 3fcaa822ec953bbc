#include "io/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h, which musl has not, and which is older than the kernel on Debian 12. */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };
enum { ASK_VERSION = 1, PATH_BENEATH = 1 };
enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_DIR = 1 << 3,
    MAKE_CHAR = 1 << 6,
    MAKE_BLOCK = 1 << 11,
    REFER = 1 << 13,     /* from version 2 on */
    TRUNCATE = 1 << 14,  /* 3 */
    IOCTL_DEV = 1 << 15, /* 5 */
    OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV,
    TCP = 3,    /* bind, connect: 4 */
    SCOPES = 3, /* abstract sockets, signals: 6 */
};

struct ruleset {
    uint64_t files, tcp, scopes;
};

struct __attribute__((packed)) beneath {
    uint64_t allowed;
    int32_t parent;
};

int landlock_version(void)
{
    const long version = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);

    return version < 2 ? 0 : (int)version;
}

/* All that this version knows. */
static uint64_t all_of(int version)
{
    return version < 3 ? 2 * REFER - 1 : version < 5 ? 2 * TRUNCATE - 1 : 2 * IOCTL_DEV - 1;
}

int landlock_open(int version, bool tcp)
{
    const struct ruleset r = {
        .files = all_of(version),
        .tcp = version < 4 || tcp ? 0 : TCP,
        .scopes = version < 6 ? 0 : SCOPES,
    };
    /* An older kernel takes a shorter one. */
    const size_t n = version < 4   ? offsetof(struct ruleset, tcp)
                     : version < 6 ? offsetof(struct ruleset, scopes)
                                   : sizeof r;

    return (int)syscall(CREATE_RULESET, &r, n, 0);
}

bool landlock_allow(int rules, int version, const char *path, enum landlock_access access)
{
    const uint64_t all = all_of(version);
    const uint64_t rights[] = {
        [LANDLOCK_READ] = READ_FILE | READ_DIR,
        [LANDLOCK_EXECUTE] = READ_FILE | READ_DIR | EXECUTE,
        [LANDLOCK_WRITE] = all & ~(uint64_t)(EXECUTE | MAKE_CHAR | MAKE_BLOCK),
    };
    struct beneath rule = {.allowed = rights[access], .parent = open(path, O_PATH | O_CLOEXEC)};
    struct stat st;
    bool fine;
    int error;

    if (rule.parent < 0)
        return false;
    fine = fstat(rule.parent, &st) == 0;
    /* What belongs to a directory is an error of a file's rule. */
    if (fine && !S_ISDIR(st.st_mode))
        rule.allowed &= OF_FILES;
    fine = fine && syscall(ADD_RULE, rules, PATH_BENEATH, &rule, 0) == 0;
    error = errno;
    close(rule.parent);
    errno = error;
    return fine;
}

bool landlock_enter(int rules)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(RESTRICT_SELF, rules, 0) == 0;
}
