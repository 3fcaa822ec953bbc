/* What a worker must not do, each by itself. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* System calls: none of them may come back. */

static void open_file(struct worker *w)
{
    (void)w;
    open("/etc/passwd", O_RDONLY);
}

static void write_file(struct worker *w)
{
    (void)w;
    open("/tmp/smtpin-compromised", O_WRONLY | O_CREAT, 0600);
}

static void execute(struct worker *w)
{
    (void)w;
    execve("/bin/true", (char *[]){"true", NULL}, (char *[]){NULL});
}

static void fork_process(struct worker *w)
{
    (void)w;
    fork();
}

static void make_thread(struct worker *w)
{
    (void)w;
    syscall(SYS_clone, 0x10f00L, NULL, NULL, NULL, NULL);
}

static void make_socket(struct worker *w)
{
    (void)w;
    socket(AF_INET, SOCK_STREAM, 0);
}

static void connect_somewhere(struct worker *w)
{
    connect(w->fd, (struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX}, 110);
}

static void send_somewhere(struct worker *w)
{
    const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

    sendto(w->fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof to);
}

static void pass_descriptor(struct worker *w)
{
    sendmsg(w->fd, &(struct msghdr){.msg_iovlen = 0}, 0);
}

static void signal_parent(struct worker *w)
{
    (void)w;
    kill(getppid(), SIGTERM);
}

static void signal_thread(struct worker *w)
{
    (void)w;
    syscall(SYS_tgkill, 1, 1, SIGTERM);
}

static void trace_parent(struct worker *w)
{
    (void)w;
    ptrace(PTRACE_ATTACH, 1, NULL, NULL);
}

static void read_parent(struct worker *w)
{
    (void)w;
    syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}

static void map_memory(struct worker *w)
{
    (void)w;
    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void make_code(struct worker *w)
{
    (void)w;
    mprotect((void *)((size_t)attack_say & ~(size_t)4095), 4096,
             PROT_READ | PROT_WRITE | PROT_EXEC);
}

static void grow_heap(struct worker *w)
{
    (void)w;
    syscall(SYS_brk, 0);
}

static void raise_limit(struct worker *w)
{
    (void)w;
    setrlimit(RLIMIT_STACK, &(struct rlimit){.rlim_cur = RLIM_INFINITY});
}

static void leave_filter(struct worker *w)
{
    (void)w;
    prctl(PR_SET_SECCOMP, 0);
}

static void become_root(struct worker *w)
{
    (void)w;
    (void)!setuid(0);
}

static void duplicate(struct worker *w)
{
    (void)w;
    dup2(0, 9);
}

static void control(struct worker *w)
{
    (void)w;
    fcntl(0, F_SETFL, 0);
}

static void remove_file(struct worker *w)
{
    (void)w;
    unlink("/etc/passwd");
}

static void wait_for(struct worker *w)
{
    (void)w;
    int status;

    syscall(SYS_wait4, -1, &status, 0, NULL);
}

static void ring(struct worker *w)
{
    (void)w;
    syscall(425 /* io_uring_setup */, 1, NULL);
}

#if defined(__x86_64__)
/* The 32-bit way into the kernel: number 5 is open there. */
static void other_machine(struct worker *w)
{
    (void)w;
    long number = 5;

    __asm__ volatile("int $0x80" : "+a"(number) : "b"(0L), "c"(0L), "d"(0L) : "memory");
}

static void other_abi(struct worker *w)
{
    (void)w;
    syscall(0x40000002L, "/etc/passwd", O_RDONLY);
}
#endif

static int deeper(volatile char *above, long n)
{
    volatile char here[4096];

    here[0] = above[0];
    return n == 0 ? 0 : deeper(here, n - 1) + here[0];
}

static void use_stack(struct worker *w)
{
    (void)w;
    volatile char start[1] = {0};

    deeper(start, 1000000);
}

static void sleep_on(struct worker *w)
{
    (void)w;
    poll(NULL, 0, -1);
}

#define CALL(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

const struct attack attack_calls[] = {
    CALL(open_file),       CALL(write_file),    CALL(execute),           CALL(fork_process),
    CALL(make_thread),     CALL(make_socket),   CALL(connect_somewhere), CALL(send_somewhere),
    CALL(pass_descriptor), CALL(signal_parent), CALL(signal_thread),     CALL(trace_parent),
    CALL(read_parent),     CALL(map_memory),    CALL(make_code),         CALL(grow_heap),
    CALL(raise_limit),     CALL(leave_filter),  CALL(become_root),       CALL(duplicate),
    CALL(control),         CALL(remove_file),   CALL(wait_for),          CALL(ring),
#if defined(__x86_64__)
    CALL(other_machine),   CALL(other_abi),
#endif
    CALL(use_stack),       CALL(sleep_on),      {.name = NULL},
};
