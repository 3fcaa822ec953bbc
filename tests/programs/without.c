/* without CALL PROGRAM...: the program on a kernel that has not got CALL: "filter" (no seccomp(2)
 * filter can be had) or "pwritev2". Every process of it is meant, from its start. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(place) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, place))
#define IF(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)
#define ANSWER(with) BPF_STMT(BPF_RET | BPF_K, with)

int main(int argc, char **argv)
{
    static struct sock_filter no_filter[] = {
        LOAD(nr),
        IF(SYS_seccomp, 3, 0),
        IF(SYS_prctl, 0, 3),
        LOAD(args[0]),
        IF(PR_SET_SECCOMP, 0, 1),
        ANSWER(SECCOMP_RET_ERRNO | EINVAL),
        ANSWER(SECCOMP_RET_ALLOW),
    };
    static struct sock_filter no_pwritev2[] = {
        LOAD(nr),
        IF(SYS_pwritev2, 0, 1),
        ANSWER(SECCOMP_RET_ERRNO | EOPNOTSUPP),
        ANSWER(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof no_filter / sizeof *no_filter, .filter = no_filter};

    if (argc < 3)
        return 64;
    if (strcmp(argv[1], "pwritev2") == 0)
        program = (struct sock_fprog){.len = sizeof no_pwritev2 / sizeof *no_pwritev2,
                                      .filter = no_pwritev2};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return 77;
    execv(argv[2], argv + 2);
    return 71;
}
