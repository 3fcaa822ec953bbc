#include "commands/replay/stand_in.h"

#include "commands/replay/runs.h"
#include "syntax/macro.h"
#include "syntax/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Files in the directory: "I.answer", how run number I is to end: a letter of `ends`, the status or
 * signal as an octet, what it says. "I.argv", "I.environment", "I.message": what it was given.
 * "command": a link to this program, which is gone while the command's program is missing. */
enum { PATH_ROOM = 4096, RUNS_MAX = 100000, SAID_PIECE = 4096 };

static const char ends[] = {
    [DELIVERY_EXITS] = 'e',
    [DELIVERY_SIGNALLED] = 's',
    [DELIVERY_HANGS] = 'h',
    [DELIVERY_MISSING] = 'm',
};

static const char *name_file(struct text *path, const char *directory, size_t i, const char *kind)
{
    path->n = 0;
    text_adds(path, directory);
    text_addc(path, '/');
    text_addn(path, i, 1);
    text_addc(path, '.');
    text_adds(path, kind);
    return text_string(path);
}

static const char *name_command(struct text *path, const char *directory)
{
    path->n = 0;
    text_adds(path, directory);
    text_adds(path, "/command");
    return text_string(path);
}

static bool write_all(int fd, struct span bytes)
{
    while (bytes.n > 0) {
        const ssize_t n = write(fd, bytes.p, bytes.n);

        if (n <= 0)
            return false;
        bytes = span_from(bytes, (size_t)n);
    }
    return true;
}

static int create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static bool write_answer(const char *path, const struct delivery *d)
{
    const char head[] = {ends[d->end], (char)d->status};
    const int fd = create(path);
    const bool good = fd >= 0 && write_all(fd, (struct span){.p = head, .n = sizeof head}) &&
                      write_all(fd, d->says);

    return (fd < 0 || close(fd) == 0) && good;
}

/* Does the command's program have to vanish? Only then is there a link that can. */
static bool needs_link(const struct transcript *t, const struct replay_options *o)
{
    return !o->deliver && transcript_has(t, DELIVERY_MISSING);
}

static bool is_missing_first(const struct transcript *t)
{
    return t->delivery != NULL && t->delivery->end == DELIVERY_MISSING;
}

bool stand_in_open(const struct transcript *t, const struct replay_options *o,
                   const char *directory)
{
    char room[PATH_ROOM];
    struct text path = TEXT(room);
    size_t i = 0;

    for (const struct delivery *d = t->delivery; d != NULL; d = d->next, i++)
        if (!write_answer(name_file(&path, directory, i, "answer"), d))
            return false;
    return !needs_link(t, o) || is_missing_first(t) ||
           symlink(o->self, name_command(&path, directory)) == 0;
}

const char *stand_in_setting(const struct transcript *t, const struct replay_options *o,
                             const char *directory, struct arena *a)
{
    char room[PATH_ROOM];
    struct text path = TEXT(room);
    const char *program = needs_link(t, o) ? name_command(&path, directory) : o->self;
    const struct span words[] = {
        macro_literal(span_of(program), a),
        SPAN("--as-command"),
        macro_literal(span_of(directory), a),
        span_of(o->deliver ? "1" : "0"),
    };
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};

    text_adds(&out, "deliver_through=");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        text_adds(&out, i > 0 ? " " : "");
        words_add(&out, words[i]);
    }
    text_addc(&out, '\0');
    return out.cut ? NULL : arena_get(a, out.n);
}

static bool read_whole(const char *path, struct arena *a, struct span *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *p = a->base + a->used;
    size_t n = 0;
    ssize_t got = 1;

    if (fd < 0)
        return false;
    while (n < a->cap - a->used && (got = read(fd, p + n, a->cap - a->used - n)) > 0)
        n += (size_t)got;
    close(fd);
    *out = (struct span){.p = arena_get(a, n), .n = n};
    return got == 0;
}

void stand_in_compare(const struct transcript *t, const char *directory, struct arena *a,
                      struct differences *d)
{
    char room[PATH_ROOM];
    struct text path = TEXT(room);
    struct recorded got;
    size_t i = 0;

    for (; i < RUNS_MAX && read_whole(name_file(&path, directory, i, "argv"), a, &got.argv); i++) {
        const size_t mark = a->used;

        if (!read_whole(name_file(&path, directory, i, "environment"), a, &got.environment) ||
            !read_whole(name_file(&path, directory, i, "message"), a, &got.message))
            differ(d, 0, SPAN("(a run that can be compared)"), SPAN("(too large, or not there)"));
        else
            runs_compare(t, i, &got, a, d);
        a->used = mark;
    }
    runs_compare(t, i, NULL, a, d);
}

/* argv or environment with a NUL behind each string. */
static bool write_strings(const char *path, char *const *strings)
{
    const int fd = create(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    for (; f != NULL && *strings != NULL; strings++) {
        fputs(*strings, f);
        fputc('\0', f);
    }
    return f != NULL && fclose(f) == 0;
}

static bool write_message(const char *path)
{
    const int fd = create(path);
    char chunk[65536];
    ssize_t n = 0;

    while (fd >= 0 && (n = read(0, chunk, sizeof chunk)) > 0)
        if (!write_all(fd, (struct span){.p = chunk, .n = (size_t)n}))
            return false;
    return fd >= 0 && n == 0 && close(fd) == 0;
}

/* qmail-queue has the envelope on descriptor 1, and says what it says on 6. */
static int outlet(void)
{
    return fcntl(6, F_GETFD) < 0 ? 1 : 6;
}

/* Until smtpin ends us, or is itself no more. */
static int hang(void)
{
    struct pollfd reader = {.fd = outlet()};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    poll(&reader, 1, -1); /* wakes up when nobody holds the other end */
    return 75;
}

static int end_by_signal(int number)
{
    prctl(PR_SET_DUMPABLE, 0); /* it leaves no core */
    signal(number, SIG_DFL);
    kill(getpid(), number);
    return 75;
}

/* Is the program to be missing for that run? */
static bool is_missing(struct text *path, const char *directory, size_t i)
{
    const int fd = open(name_file(path, directory, i, "answer"), O_RDONLY | O_CLOEXEC);
    char letter = 0;

    if (fd < 0)
        return false;
    if (read(fd, &letter, 1) < 1)
        letter = 0;
    close(fd);
    return letter == ends[DELIVERY_MISSING];
}

/* Says what the run says and ends as it ends; returns its exit status if it does that. */
static int answer(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char said[SAID_PIECE], head[2];
    ssize_t n;

    if (fd < 0) /* a run that the transcript does not tell of */
        return errno == ENOENT ? 0 : 75;
    if (read(fd, head, sizeof head) != sizeof head)
        return 75;
    while ((n = read(fd, said, sizeof said)) > 0)
        if (!write_all(outlet(), (struct span){.p = said, .n = (size_t)n}))
            return 75;
    close(fd);
    if (head[0] == ends[DELIVERY_HANGS])
        return hang();
    if (head[0] == ends[DELIVERY_SIGNALLED])
        return end_by_signal((unsigned char)head[1]);
    return (unsigned char)head[1];
}

int stand_in_main(int argc, char **argv)
{
    char room[PATH_ROOM];
    struct text path = TEXT(room);
    size_t i = 0;

    if (argc < 3)
        return 64;
    /* Runs come one after the other: the first free number is this one's. */
    while (i < RUNS_MAX && access(name_file(&path, argv[0], i, "argv"), F_OK) == 0)
        i++;
    if (!write_strings(name_file(&path, argv[0], i, "argv"), argv + 2) ||
        !write_strings(name_file(&path, argv[0], i, "environment"), environ) ||
        !write_message(name_file(&path, argv[0], i, "message")))
        return 75;
    if (argv[1][0] == '1') {
        if (lseek(0, 0, SEEK_SET) != 0)
            return 75;
        execvp(argv[2], argv + 2);
        return 127;
    }
    if (is_missing(&path, argv[0], i + 1) && unlink(name_command(&path, argv[0])) < 0)
        return 75;
    return answer(name_file(&path, argv[0], i, "answer"));
}
