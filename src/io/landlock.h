/* Landlock (landlock(7)): what a process may still reach, decided by itself, for ever. Knows no
 * mail. */
#ifndef SMTPIN_IO_LANDLOCK_H
#define SMTPIN_IO_LANDLOCK_H

#include <stdbool.h>

enum landlock_access {
    LANDLOCK_READ,
    LANDLOCK_EXECUTE, /* and read */
    LANDLOCK_WRITE,   /* and read, create, move, remove; no device is made */
};

/* The version of the kernel's Landlock; 0: it has none, or none that can be used here. Below 2, no
 * file can be moved to another directory, as each delivery into a Maildir does: that is 0 too. */
int landlock_version(void);
/* A set of rules that allows nothing; with `tcp`, TCP as before. From version 4 on, TCP is refused
 * otherwise; from version 6 on, so are signals to processes outside, and abstract sockets of
 * theirs. A descriptor, closed at exec; -1 and errno. */
int landlock_open(int version, bool tcp);
/* What is there, and below it. False and errno: it is not there, or can't be looked at. */
bool landlock_allow(int rules, int version, const char *path, enum landlock_access access);
/* This process and its children keep to the rules, and no program gives them more rights than they
 * have (no_new_privs). Makes system calls alone. False and errno. */
bool landlock_enter(int rules);

#endif
