#include "io/filter.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    STACK_MAX = 1024 * 1024,
    MODE_FILTER = 2, /* SECCOMP_MODE_FILTER */
};

/* linux/audit.h: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64 */
#if defined(__x86_64__)
#define MACHINE 0xc000003eU
#elif defined(__aarch64__)
#define MACHINE 0xc00000b7U
#endif

/* A sanitizer's runtime calls what it likes: there, the sandbox is without its filter. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer))
#else
#define SANITIZED 0
#endif

#ifdef MACHINE

/* linux/bpf_common.h and linux/seccomp.h; the places in struct seccomp_data, on a little-endian
 * machine. tests/unit/sandbox.c compares them with the kernel's own. */
enum {
    LOAD_WORD = 0x20,
    JUMP_IF_EQUAL = 0x15,
    RETURN = 0x06,
    AT_CALL = 0,
    AT_MACHINE = 4,
    AT_ARGUMENTS = 16,
};

/* linux/seccomp.h: SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS */
#define ALLOW 0x7fff0000U
#define KILL 0x80000000U

#define LOAD(place)                                                                                \
    {                                                                                              \
        LOAD_WORD, 0, 0, (place)                                                                   \
    }
#define IF_EQUAL(value, then, otherwise)                                                           \
    {                                                                                              \
        JUMP_IF_EQUAL, (then), (otherwise), (value)                                                \
    }
#define ANSWER(with)                                                                               \
    {                                                                                              \
        RETURN, 0, 0, (with)                                                                       \
    }
/* A call that may be made; `behind`: how many such lines follow, before the steps of sendto. */
#define MAY(call, behind) IF_EQUAL(SYS_##call, (behind) + 5, 0)

/* No open, no exec, no fork, no socket, no kill, no ptrace, no new memory: only what is done with
 * the descriptors that are there. Whatever else is asked for is no mistake but an attack, and ends
 * the process. On x86-64 the numbers of the other ABI (x32) are larger than all of these.
 *
 * The first step is for nothing but the kernel: with a new filter it tries each call that there is,
 * to remember those whose answer depends on nothing else, and gives up where an argument is loaded.
 * That costs each connection more than these few steps cost the few calls that it makes. */
static const struct filter_step program[] = {
    LOAD(AT_ARGUMENTS),
    LOAD(AT_MACHINE),
    IF_EQUAL(MACHINE, 1, 0),
    ANSWER(KILL),
    LOAD(AT_CALL),
#if defined(__x86_64__)
    MAY(poll, 12),
#endif
    MAY(read, 11),
    MAY(recvfrom, 10),
    MAY(ppoll, 9), /* poll(3), where there is no other */
    MAY(write, 8),
    MAY(clock_gettime, 7), /* where the vDSO has none */
    MAY(shutdown, 6),
    MAY(lseek, 5), /* these three for a recording (trace) */
    MAY(ftruncate, 4),
    MAY(close, 3),
    MAY(restart_syscall, 2), /* poll(2), after SIGCONT */
    MAY(exit_group, 1),
    MAY(exit, 0),
    /* sendto(2) on what is connected already, to no other address. */
    IF_EQUAL(SYS_sendto, 0, 5),
    LOAD(AT_ARGUMENTS + 4 * 8),
    IF_EQUAL(0, 0, 3),
    LOAD(AT_ARGUMENTS + 4 * 8 + 4),
    IF_EQUAL(0, 0, 1),
    ANSWER(ALLOW),
    ANSWER(KILL),
};
#endif

const struct filter_step *filter_program(size_t *n)
{
#ifdef MACHINE
    *n = sizeof program / sizeof *program;
    return program;
#else
    *n = 0;
    return NULL;
#endif
}

/* Lower than it is, if it can't be that low. */
static bool limit(int resource, rlim_t most)
{
    struct rlimit l = {.rlim_cur = most, .rlim_max = most};

    if (setrlimit(resource, &l) == 0)
        return true;
    return getrlimit(resource, &l) == 0 && l.rlim_max <= most;
}

bool filter_enter(unsigned long trace_size)
{
    /* struct sock_fprog */
    struct {
        unsigned short n;
        const struct filter_step *step;
    } all;
    size_t n;

    all.step = filter_program(&n);
    all.n = (unsigned short)n;
    if (all.step == NULL) {
        errno = ENOSYS;
        return false;
    }
    /* Memory is what is mapped already, and the stack. A core would be a file. */
    return limit(RLIMIT_STACK, STACK_MAX) && limit(RLIMIT_CORE, 0) &&
           (trace_size == 0 || limit(RLIMIT_FSIZE, trace_size)) &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           (SANITIZED || prctl(PR_SET_SECCOMP, MODE_FILTER, &all, 0, 0) == 0);
}

bool filter_works(void)
{
    int status;
    const pid_t pid = fork();

    if (pid == 0)
        _exit(filter_enter(0) ? 0 : 1);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
