/* smtpin-idn: domains outside ASCII as A-labels, for a program of ours that is linked statically
 * and can load no library (syntax/idn_program.c). Reads packets from descriptor 0, a name in each,
 * and answers each there, until its end. What the library makes of a stranger's name, it makes in
 * this process. That has no descriptor but this socket, is not root where there is another user,
 * and can make no system call but to read, to write and to end, where a filter can be had. */
#include "io/descriptors.h"
#include "io/filter.h"
#include "syntax/idn.h"

#include <grp.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 64,
    NOBODY = 65534,
    HEAP = 1024 * 1024, /* octets, touched only where they are used; names take some 200 K of it */
};

/* A configuration is read, and checked, as root. Where there is no other user (a user namespace of
 * one), it stays who it is. */
static void be_nobody(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (geteuid() == 0 && setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0)
        (void)!setresuid(NOBODY, NOBODY, NOBODY);
}

/* What a name takes is had before the first one comes: the library, and memory that is never given
 * back. Were there too little of it, this process would be killed, and the name not be known. */
static void enter_filter(void)
{
    char room[IDN_ASCII_MAX];
    struct text answer = TEXT(room);
    void *volatile heap; /* or a compiler sees that nobody uses it */

    mallopt(M_TRIM_THRESHOLD, 2 * HEAP);
    mallopt(M_MMAP_THRESHOLD, 2 * HEAP);
    (void)idn_to_ascii(NULL, SPAN("\303\274.example"), &answer);
    heap = malloc(HEAP);
    free(heap);
    (void)filter_enter(0);
}

int main(void)
{
    char name[SMTP_DOMAIN_MAX + 2], room[1 + IDN_ASCII_MAX];
    ssize_t n;

    descriptors_close(3, ~0U);
    be_nobody();
    enter_filter();
    while ((n = recv(0, name, sizeof name, 0)) > 0) {
        struct text answer = TEXT(room);

        text_addc(&answer, IDN_SAYS_OK);
        /* A longer one was cut to more than a domain may have. */
        switch (idn_to_ascii(NULL, (struct span){.p = name, .n = (size_t)n}, &answer)) {
        case IDN_OK:
            break;
        case IDN_NONE:
            room[0] = IDN_SAYS_NONE;
            break;
        case IDN_MISSING:
            room[0] = IDN_SAYS_MISSING;
        }
        if (send(0, room, answer.n, MSG_NOSIGNAL) < 0)
            return EXIT_FAILURE;
    }
    if (n < 0) {
        fputs("smtpin-idn: smtpin starts it, with a socket on descriptor 0\n", stderr);
        return EXIT_USAGE;
    }
    return EXIT_SUCCESS;
}
