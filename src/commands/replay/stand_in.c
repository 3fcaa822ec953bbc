#include "commands/replay/stand_in.h"

#include "commands/replay/place.h"
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
#include <sys/stat.h>
#include <unistd.h>

/* Files in the directory, of a run of each kind: "answer", how it is to end: a letter of `ends`,
 * the status or signal as an octet, what it says. "argv", "environment", "message": what it was
 * given. "command": a link to this program, which is gone while the delivery command's program is
 * missing.
 */
enum { RUNS_MAX = 100000, SAID_PIECE = 4096, NO_OPINION = 99 };

static const char ends[] = {
    [TOLD_EXITS] = 'e',
    [TOLD_SIGNALLED] = 's',
    [TOLD_HANGS] = 'h',
    [TOLD_MISSING] = 'm',
};

static const char *name_command(struct text *path, const char *directory)
{
    return place_file(path, directory, SPAN("command"));
}

static bool write_answer(const char *path, const struct told *d)
{
    const char head[] = {ends[d->end], (char)d->status};
    const int fd = place_create(path);
    /* --deliver: a check command's stand-in is run by `user =`. */
    const bool good = fd >= 0 && fchmod(fd, 0644) == 0 &&
                      place_write(fd, (struct span){.p = head, .n = sizeof head}) &&
                      place_write(fd, d->says);

    return (fd < 0 || close(fd) == 0) && good;
}

/* Does the delivery command's program have to vanish? Only then is there a link that can. */
static bool needs_link(const struct transcript *t, const struct replay_options *o,
                       enum told_kind kind)
{
    return kind == TOLD_DELIVERY && !o->deliver && transcript_has(t, kind, TOLD_MISSING);
}

bool stand_in_open(const struct transcript *t, const struct replay_options *o, enum told_kind kind,
                   const char *directory)
{
    const struct told *first = t->told[kind].first;
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room);
    size_t i = 0;

    for (const struct told *d = first; d != NULL; d = d->next, i++)
        if (!write_answer(place_numbered(&path, directory, kind, i, "answer"), d))
            return false;
    if (first == NULL || first->end == TOLD_MISSING || !needs_link(t, o, kind))
        return true;
    return symlink(o->self, name_command(&path, directory)) == 0;
}

const char *stand_in_setting(const struct transcript *t, const struct replay_options *o,
                             enum told_kind kind, const char *directory, const char *key,
                             const struct words *command, struct arena *a)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room);
    const char *program = needs_link(t, o, kind) ? name_command(&path, directory) : o->self;
    const struct span words[] = {
        macro_literal(span_of(program), a),
        SPAN("--as-command"),
        macro_literal(span_of(directory), a),
        span_of(kind == TOLD_CHECK ? "check"
                : o->deliver       ? "command"
                                   : "delivery"),
    };
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};

    text_adds(&out, key);
    text_addc(&out, '=');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        text_adds(&out, i > 0 ? " " : "");
        words_add(&out, words[i]);
    }
    for (size_t i = 0; i < command->n; i++) {
        text_addc(&out, ' ');
        words_add(&out, command->word[i]);
    }
    text_addc(&out, '\0');
    return out.cut ? NULL : arena_get(a, out.n);
}

/* A server has no words, and no message. */
static bool read_run(struct recorded *got, enum told_kind kind, size_t i, const char *directory,
                     struct arena *a)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room);

    if (!place_read(place_numbered(&path, directory, kind, i, "environment"), a, &got->environment))
        return false;
    return kind == TOLD_POLICY || kind == TOLD_AUTH ||
           (place_read(place_numbered(&path, directory, kind, i, "argv"), a, &got->argv) &&
            place_read(place_numbered(&path, directory, kind, i, "message"), a, &got->message));
}

void stand_in_compare(const struct transcript *t, enum told_kind kind, const char *directory,
                      struct arena *a, struct differences *d)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room);
    size_t i = 0;

    for (; i < RUNS_MAX; i++) {
        const size_t mark = a->used;
        struct recorded got = {.argv = SPAN("")};

        if (access(place_numbered(&path, directory, kind, i, "environment"), F_OK) < 0)
            break;
        if (read_run(&got, kind, i, directory, a))
            runs_compare(t, kind, i, &got, a, d);
        else
            differ(d, 0, SPAN("(a run that can be compared)"), SPAN("(too large, or not there)"));
        a->used = mark;
    }
    runs_compare(t, kind, i, NULL, a, d);
}

/* argv or environment with a NUL behind each string. */
static bool write_strings(const char *path, char *const *strings)
{
    const int fd = place_create(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    for (; f != NULL && *strings != NULL; strings++) {
        fputs(*strings, f);
        fputc('\0', f);
    }
    return f != NULL && fclose(f) == 0;
}

static bool write_message(const char *path)
{
    const int fd = place_create(path);
    char chunk[65536];
    ssize_t n = 0;

    while (fd >= 0 && (n = read(0, chunk, sizeof chunk)) > 0)
        if (!place_write(fd, (struct span){.p = chunk, .n = (size_t)n}))
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

/* Is the delivery command's program to be missing for that run? */
static bool is_missing(struct text *path, const char *directory, size_t i)
{
    const int fd =
        open(place_numbered(path, directory, TOLD_DELIVERY, i, "answer"), O_RDONLY | O_CLOEXEC);
    char letter = 0;

    if (fd < 0)
        return false;
    if (read(fd, &letter, 1) < 1)
        letter = 0;
    close(fd);
    return letter == ends[TOLD_MISSING];
}

/* Says what the run says and ends as it ends; returns its exit status if it does that. */
static int answer(const char *path, enum told_kind kind)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char said[SAID_PIECE], head[2];
    ssize_t n;

    if (fd < 0 && errno == ENOENT) /* a run that the transcript does not tell of */
        return kind == TOLD_CHECK ? NO_OPINION : 0;
    if (fd < 0 || read(fd, head, sizeof head) != sizeof head)
        return 75;
    while ((n = read(fd, said, sizeof said)) > 0)
        if (!place_write(outlet(), (struct span){.p = said, .n = (size_t)n}))
            return 75;
    close(fd);
    if (head[0] == ends[TOLD_HANGS])
        return hang();
    if (head[0] == ends[TOLD_SIGNALLED])
        return end_by_signal((unsigned char)head[1]);
    return (unsigned char)head[1];
}

int stand_in_main(int argc, char **argv)
{
    char room[PLACE_PATH_MAX];
    struct text path = TEXT(room);
    const char *directory = argv[0];
    enum told_kind kind;
    size_t i = 0;

    if (argc < 3)
        return 64;
    kind = strcmp(argv[1], "check") == 0 ? TOLD_CHECK : TOLD_DELIVERY;
    /* Runs come one after the other: the first free number is this one's. */
    while (i < RUNS_MAX &&
           access(place_numbered(&path, directory, kind, i, "environment"), F_OK) == 0)
        i++;
    if (!write_strings(place_numbered(&path, directory, kind, i, "argv"), argv + 2) ||
        !write_message(place_numbered(&path, directory, kind, i, "message")) ||
        !write_strings(place_numbered(&path, directory, kind, i, "environment"), environ))
        return 75;
    if (strcmp(argv[1], "command") == 0) {
        if (lseek(0, 0, SEEK_SET) != 0)
            return 75;
        execvp(argv[2], argv + 2);
        return 127;
    }
    if (kind == TOLD_DELIVERY && is_missing(&path, directory, i + 1) &&
        unlink(name_command(&path, directory)) < 0)
        return 75;
    return answer(place_numbered(&path, directory, kind, i, "answer"), kind);
}
