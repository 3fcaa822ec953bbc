/* lookup keys N: N lines "key value", for cdb -c -m.
 * lookup [-r ROUNDS] N FILE [N FILE]...: what a session's look-up in each file of N keys costs:
 * open, find, close. In rounds, so that a noisy machine is noisy for all. Prints medians: CPU (user
 * and system) and wall time with all keys in turn, with one key, with keys that are not there, and
 * with a page cache that has nothing of the file; and the first's ratios to the first file. */
#include "adapters/table.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 8, ROUNDS = 101, WARM = 2000, COLD = 20 };
enum kind { ANY_KEY, ONE_KEY, ABSENT, NOTHING_CACHED, KINDS };

static const char *const names[] = {"any key", "one key", "no such key", "any key, cold"};

struct figures {
    double cpu, wall; /* microseconds */
};

struct file {
    const char *source;
    unsigned long keys;
    struct figures round[KINDS][ROUNDS];
};

static size_t write_key(char *room, unsigned long number, const char *domain)
{
    return (size_t)sprintf(room, "user%08lu@d%03lu.example.%s", number, number % 1000, domain);
}

static double microseconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static const char *path_of(const struct file *f)
{
    return strchr(f->source, ':') + 1;
}

/* Into the page cache. */
static void read_all(const char *path)
{
    static char room[1 << 20];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0)
        abort();
    do
        got = read(fd, room, sizeof room);
    while (got > 0);
    close(fd);
}

/* Out of the page cache. */
static void forget(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fdatasync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        abort();
    close(fd);
}

static void look_up(const struct file *f, unsigned long number, enum kind kind)
{
    char key_room[64], value_room[TABLE_VALUE_MAX];
    struct text value = TEXT(value_room);
    struct span key = {.p = key_room};
    struct table t;
    enum table_result result;
    size_t which;

    key.n = write_key(key_room, number, kind == ABSENT ? "invalid" : "test");
    table_open(&t, span_of(f->source));
    result = table_find(&t, &key, 1, false, &which, &value);
    table_close(&t);
    if (result != (kind == ABSENT ? TABLE_NOT_FOUND : TABLE_FOUND)) {
        fprintf(stderr, "%s: %s: %s\n", f->source, key_room, t.wrong != NULL ? t.wrong : "wrong");
        exit(1);
    }
}

static struct figures measure(const struct file *f, enum kind kind)
{
    const unsigned long times = kind == NOTHING_CACHED ? COLD : WARM;
    struct figures sum = {0};

    for (unsigned long i = 0; i < times; i++) {
        const unsigned long number =
            kind == ONE_KEY ? 7
                            : ((unsigned long)random() << 16 ^ (unsigned long)random()) % f->keys;
        double cpu, wall;

        if (kind == NOTHING_CACHED)
            forget(path_of(f));
        cpu = microseconds(CLOCK_PROCESS_CPUTIME_ID);
        wall = microseconds(CLOCK_MONOTONIC);
        look_up(f, number, kind);
        sum.cpu += microseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        sum.wall += microseconds(CLOCK_MONOTONIC) - wall;
    }
    return (struct figures){.cpu = sum.cpu / (double)times, .wall = sum.wall / (double)times};
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct figures median(const struct figures *round, size_t rounds)
{
    double cpu[ROUNDS], wall[ROUNDS];

    for (size_t i = 0; i < rounds; i++) {
        cpu[i] = round[i].cpu;
        wall[i] = round[i].wall;
    }
    qsort(cpu, rounds, sizeof *cpu, compare);
    qsort(wall, rounds, sizeof *wall, compare);
    return (struct figures){.cpu = cpu[rounds / 2], .wall = wall[rounds / 2]};
}

static int print_keys(unsigned long n)
{
    char key[64];

    for (unsigned long i = 0; i < n; i++) {
        write_key(key, i, "test");
        printf("%s OK\n", key);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct file file[FILES];
    size_t rounds = 21, n = 0;
    int i = 1;

    if (argc == 3 && strcmp(argv[1], "keys") == 0)
        return print_keys(strtoul(argv[2], NULL, 10));
    if (argc > 2 && strcmp(argv[1], "-r") == 0) {
        rounds = strtoul(argv[2], NULL, 10);
        i = 3;
    }
    for (; i + 1 < argc && n < FILES; i += 2, n++) {
        file[n].keys = strtoul(argv[i], NULL, 10);
        file[n].source = argv[i + 1];
    }
    if (n == 0 || rounds == 0 || rounds > ROUNDS)
        return 64;
    for (size_t j = 0; j < n; j++)
        read_all(path_of(&file[j]));
    for (size_t round = 0; round < rounds; round++)
        for (int kind = 0; kind < NOTHING_CACHED; kind++)
            for (size_t j = 0; j < n; j++)
                file[j].round[kind][round] = measure(&file[j], (enum kind)kind);
    for (size_t round = 0; round < rounds; round++)
        for (size_t j = 0; j < n; j++)
            file[j].round[NOTHING_CACHED][round] = measure(&file[j], NOTHING_CACHED);
    printf("| keys | look-up | CPU µs | ratio | wall µs |\n|---|---|---|---|---|\n");
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t j = 0; j < n; j++) {
            const struct figures f = median(file[j].round[kind], rounds);

            printf("| %lu | %s | %.2f | %.2f | %.1f |\n", file[j].keys, names[kind], f.cpu,
                   f.cpu / median(file[0].round[kind], rounds).cpu, f.wall);
        }
    return 0;
}
