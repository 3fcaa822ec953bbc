#include "adapters/check_user.h"

#include "base/span.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Each function of the C library that is named costs each session its look-up; syscall is named
 * anyway. (Where there are two, the plain one has small numbers.) */
#ifdef SYS_getgroups32
enum { CALL_GETGROUPS = SYS_getgroups32, CALL_GETEGID = SYS_getegid32 };
#else
enum { CALL_GETGROUPS = SYS_getgroups, CALL_GETEGID = SYS_getegid };
#endif

int check_set_groups(const char *user, gid_t gid)
{
    gid_t group[CHECK_GROUPS_MAX];
    int n = CHECK_GROUPS_MAX;

    if (strchr(user, ':') != NULL)
        return setgroups(1, &gid);
    if (getgrouplist(user, gid, group, &n) < 0) {
        errno = E2BIG;
        return -1;
    }
    return setgroups((size_t)n, group);
}

void check_as_root(const struct check_root *r)
{
    if (r->groups < 0)
        return;
    if (setresuid(0, 0, 0) < 0 || setresgid(r->gid, r->gid, r->gid) < 0 ||
        setgroups((size_t)r->groups, r->group) < 0)
        _exit(EXIT_FAILURE);
}

void check_as_user(struct check_root *r, const struct check_user *user)
{
    const struct span name = span_of(user->name == NULL ? "" : user->name);

    r->gid = (gid_t)syscall(CALL_GETEGID);
    r->groups = name.n == 0 ? -1 : (int)syscall(CALL_GETGROUPS, CHECK_GROUPS_MAX, r->group);
    if (r->groups < 0)
        return;
    if (check_set_groups(user->name, user->gid) < 0 ||
        setresgid(user->gid, user->gid, r->gid) < 0 || setresuid(user->uid, user->uid, 0) < 0)
        check_as_root(r);
}
