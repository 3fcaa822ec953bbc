/* smtpin-replay: a transcript is a test. See smtpin-replay(1) and smtpin-transcript(5). */
#include "base/number.h"
#include "commands/replay/core.h"
#include "commands/replay/place.h"
#include "commands/replay/program.h"
#include "commands/replay/read.h"
#include "commands/replay/settings.h"
#include "commands/replay/stand_in.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { EXIT_DIFFERENT = 1, EXIT_USAGE = 64, ARENA_SIZE = 1 << 28, REPORT_MAX = 1 << 16 };

static const char usage[] =
    "usage: smtpin-replay [OPTION]... FILE...\n"
    "Runs session transcripts (smtpin-transcript(5)) against a configuration of smtpin.\n"
    "  -f FILE            the configuration\n"
    "  -o KEY=VALUE       a setting; it takes precedence over transcripts and the configuration\n"
    "  --smtpin PROGRAM   run this program, not " SMTPIN_SBINDIR "/smtpin\n"
    "  --in-process       test the protocol alone, without a program\n"
    "  --deliver          run the delivery command too; without this, a stand-in records it\n"
    "  --trust            the settings of a transcript may name programs, users and files\n"
    "  --tap              print TAP\n"
    "  --chunk OCTETS     send at most this many octets at once\n"
    "  --whole            send everything before reading anything\n"
    "  --timeout TIME     wait this long for the server to say something (10s)\n"
    "  --verbose          show the server's log on standard error\n"
    "Exit status: 0 all was as expected, 1 something was not, 64 wrong usage or a transcript that\n"
    "can't be played.\n"
    "Manuals: smtpin-replay(1), smtpin-transcript(5)\n";

/* The options with a value; false when this is none of them, or the value is wrong. */
static bool option_with_value(struct replay_options *o, const char *name, const char *value)
{
    if (strcmp(name, "-f") == 0)
        o->file = value;
    else if (strcmp(name, "-o") == 0 && o->overrides < TRANSCRIPT_SETTINGS_MAX)
        o->override[o->overrides++] = value;
    else if (strcmp(name, "--smtpin") == 0)
        o->program = value;
    else if (strcmp(name, "--chunk") == 0)
        return number_parse(span_of(value), 1 << 30, &o->play.chunk) == NUMBER_OK;
    else if (strcmp(name, "--timeout") == 0)
        return number_parse_time(span_of(value), 3600000, &o->timeout) == NUMBER_OK;
    else
        return false;
    return true;
}

static bool option_alone(struct replay_options *o, const char *name, bool *tap)
{
    if (strcmp(name, "--in-process") == 0)
        o->in_process = true;
    else if (strcmp(name, "--deliver") == 0)
        o->deliver = true;
    else if (strcmp(name, "--trust") == 0)
        o->trust = true;
    else if (strcmp(name, "--tap") == 0)
        *tap = true;
    else if (strcmp(name, "--whole") == 0)
        o->play.whole = true;
    else if (strcmp(name, "--verbose") == 0)
        o->verbose = true;
    else
        return false;
    return true;
}

/* The report, each line behind '#' for TAP. */
static void print_report(struct span report, bool tap)
{
    while (report.n > 0) {
        const struct span line = span_first(report, span_find(report, '\n'));

        printf("%s%.*s\n", tap ? "# " : "", SPAN_FORMAT(line));
        report = span_from(report, line.n + 1);
    }
}

/* The line that says what has become of a transcript. TAP takes what is behind a '#' in it as an
 * order of its own. */
static void print_result(const char *file, size_t number, int status, bool tap)
{
    if (tap) {
        printf("%s %zu - ", status == 0 ? "ok" : "not ok", number);
        for (; *file != '\0'; file++)
            printf("%s%c", *file == '#' ? "\\" : "", *file);
        putchar('\n');
    } else {
        printf("%s: %s\n", file,
               status == 0                ? "ok"
               : status == EXIT_DIFFERENT ? "different"
                                          : "can't be played");
    }
}

static void add_mistake(struct text *report, const char *file, unsigned line, const char *what)
{
    text_adds(report, file);
    text_addc(report, ':');
    text_addn(report, line, 1);
    text_adds(report, ": ");
    text_adds(report, what);
    text_addc(report, '\n');
}

/* With the directory for what stands in. 0, 1 or 64. */
static int play_in(const char *directory, struct transcript *t, const struct replay_options *o,
                   struct arena *a, struct text *report)
{
    struct differences d = {.out = report, .file = t->file};

    if (!settings_put_tables(t, directory, a) || !settings_put_auth(t, directory, a))
        differ(&d, 0, SPAN("a place for what stands in"), span_of(strerror(errno)));
    else if (!settings_check(t, o, a, report))
        return EXIT_USAGE;
    else if (o->in_process)
        replay_core(t, o, directory, a, &d);
    else
        replay_program(t, o, directory, a, &d);
    differ_close(&d);
    return d.count == 0 ? 0 : EXIT_DIFFERENT;
}

/* Plays it, with the differences as the report. 0, 1 or 64. */
static int play_file(const char *file, const struct replay_options *o, struct arena *a,
                     struct text *report)
{
    struct differences d = {.out = report, .file = file};
    char directory[PLACE_PATH_MAX];
    struct transcript t;
    const char *what;
    unsigned line;
    int status;

    if (!transcript_read(&t, file, o->trust, a, &line, &what)) {
        add_mistake(report, file, line, what);
        return EXIT_USAGE;
    }
    if (!place_make(directory, o->deliver && geteuid() == 0)) { /* for `user =` */
        differ(&d, 0, SPAN("a directory to work in"), span_of(strerror(errno)));
        return EXIT_DIFFERENT;
    }
    status = play_in(directory, &t, o, a, report);
    place_remove(directory);
    return status;
}

/* 0, 1 or 64. */
static int replay_file(const char *file, size_t number, const struct replay_options *o, bool tap,
                       struct arena *a)
{
    char room[REPORT_MAX];
    struct text report = TEXT(room);
    const int status = play_file(file, o, a, &report);

    print_report(text_span(&report), tap);
    print_result(file, number, status, tap);
    return status;
}

int main(int argc, char **argv)
{
    struct replay_options o = {.program = SMTPIN_SBINDIR "/smtpin", .timeout = 10000};
    char self[4096];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct arena arena = {.cap = ARENA_SIZE};
    size_t passed = 0, failed = 0;
    int status = 0, i = 1;
    bool tap = false;

    if (argc > 1 && strcmp(argv[1], "--as-command") == 0)
        return stand_in_main(argc - 2, argv + 2);
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return fputs(usage, stdout) < 0;
        if (strcmp(argv[i], "--version") == 0)
            return puts("smtpin-replay " SMTPIN_VERSION) < 0;
        if (option_alone(&o, argv[i], &tap))
            continue;
        if (i + 1 >= argc || !option_with_value(&o, argv[i], argv[i + 1]))
            break;
        i++;
    }
    if (i >= argc || argv[i][0] == '-' || n < 0) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    self[n] = '\0';
    o.self = self;
    signal(SIGPIPE, SIG_IGN);
    arena.base = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena.base == MAP_FAILED)
        return EXIT_DIFFERENT;
    if (tap)
        printf("TAP version 13\n1..%d\n", argc - i);
    for (int first = i; i < argc; i++) {
        const int got = replay_file(argv[i], (size_t)(i - first) + 1, &o, tap, &arena);

        arena_reset(&arena);
        passed += got == 0;
        failed += got != 0;
        if (got > status)
            status = got;
        fflush(stdout);
    }
    printf("%s%zu passed, %zu failed\n", tap ? "# " : "", passed, failed);
    return status;
}
