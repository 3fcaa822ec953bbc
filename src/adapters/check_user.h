/* `smtpin --check` as root asks as the user whose sessions it is about: what root may read, and
 * connect to, says nothing of what they may. */
#ifndef SMTPIN_ADAPTERS_CHECK_USER_H
#define SMTPIN_ADAPTERS_CHECK_USER_H

#include <sys/types.h>

/* Whose sessions these are, where this process is root's. */
struct check_user {
    const char *name; /* NULL: this process's own */
    uid_t uid;
    gid_t gid;
};

enum { CHECK_GROUPS_MAX = 1024 };

/* What root was, while it is another user: with a way back, which a program that is started has
 * not. */
struct check_root {
    gid_t group[CHECK_GROUPS_MAX];
    int groups; /* -1: it is root still */
    gid_t gid;
};

/* The groups of a user, who is named by a name or "uid:gid", become this process's. -1 and errno.
 * (initgroups(3) of musl knows 32 of them.) */
int check_set_groups(const char *user, gid_t gid);
/* Becomes the user, where there is a name and that can be done. */
void check_as_user(struct check_root *r, const struct check_user *user);
/* And back. Ends the process where it can't. */
void check_as_root(const struct check_root *r);

#endif
