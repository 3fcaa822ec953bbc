#include "usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double usage_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void usage_die(const char *what)
{
    perror(what);
    exit(1);
}

static double cpu_of(const struct rusage *r)
{
    return (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1e6 +
           (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec);
}

bool usage_of_ended(pid_t pid, struct figures *f)
{
    struct rusage r;

    if (wait4(pid, NULL, 0, &r) < 0) {
        if (errno != ECHILD)
            usage_die("wait4");
        return false;
    }
    f->cpu += cpu_of(&r);
    f->faults += (double)r.ru_minflt;
    return true;
}

/* Reads the beginning of a file below /proc/PID as a string. */
static void read_proc(pid_t pid, const char *name, char *text, size_t size)
{
    char path[60];
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    f = fopen(path, "re");
    if (f == NULL)
        usage_die(path);
    n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    fclose(f);
}

/* Of a process that is not our child, and of the children that it has waited for (those in ticks
 * of 10 ms). */
static void add_used(pid_t pid, struct figures *sum)
{
    unsigned long faults, child_faults, user, system;
    const char *rest;
    char text[1024];
    struct timespec t;
    clockid_t clock;

    read_proc(pid, "stat", text, sizeof text);
    rest = strrchr(text, ')');
    if (rest == NULL ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %lu %lu %*u %*u %*u %*u %lu %lu", &faults,
               &child_faults, &user, &system) != 4 ||
        clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        usage_die("a process that runs already");
    sum->cpu += (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3 +
                (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
    sum->faults += (double)(faults + child_faults);
}

static struct figures used(pid_t pid, bool family)
{
    char name[40], text[4096];
    struct figures sum = {0};

    add_used(pid, &sum);
    if (family) {
        snprintf(name, sizeof name, "task/%ld/children", (long)pid);
        read_proc(pid, name, text, sizeof text);
        for (char *p = strtok(text, " "); p != NULL; p = strtok(NULL, " "))
            add_used((pid_t)atol(p), &sum);
    }
    return sum;
}

struct figures usage_at_rest(pid_t pid, bool family)
{
    struct figures last, now = used(pid, family);
    int i = 0;

    do {
        last = now;
        usleep(50000);
        now = used(pid, family);
    } while (now.cpu > last.cpu && ++i < 100);
    return now;
}
