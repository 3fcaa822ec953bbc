#include "commands/report/source.h"

#include "io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { FIRST_PROGRESS = 1000, NEXT_PROGRESS = 500, PROGRESS_EVERY = 1024 };

void source_open(struct source *s, const struct options *o, uint64_t now, bool progress)
{
    s->options = o;
    s->session = NULL;
    s->cursor[0] = '\0';
    s->input.now = now;
    s->input.octets = s->input.foreign = s->input.skipped = 0;
    s->progress = progress ? clock_now() + FIRST_PROGRESS : 0;
    s->wrong = s->wrong_what = NULL;
    s->copy = -1;
}

static bool is_wrong(struct source *s, const char *what, const char *why)
{
    s->wrong_what = what;
    s->wrong = why;
    return false;
}

static void show_progress(struct source *s, uint64_t time)
{
    static const char clear[] = "\r\033[K";

    if (s->progress == UINT64_MAX) {
        (void)fputs(clear, stderr);
        return;
    }
    (void)fprintf(stderr, "%sreading, %" PRIu64 " s before now", clear,
                  time > s->input.now ? 0 : (s->input.now - time) / 1000000);
    s->progress = clock_now() + NEXT_PROGRESS;
}

/* What has no time has that of the record before it. */
static bool take(void *context, const struct entry *e)
{
    struct source *s = context;
    const struct options *o = s->options;

    if (e->time == 0)
        s->input.entry.time = s->last;
    s->last = s->input.entry.time;
    if (s->progress != 0 && ++s->input.given % PROGRESS_EVERY == 0 && clock_left(s->progress) == 0)
        show_progress(s, e->time);
    /* Of unknown time: it may belong to any span, and is said to have no time. */
    if (e->time != 0 &&
        ((o->since != 0 && e->time < o->since) || (o->until != 0 && e->time > o->until)))
        return true;
    return s->take(s->context, e);
}

static bool read_descriptor(struct source *s, const char *name, int fd)
{
    s->input.fd = fd;
    input_read(&s->input);
    return s->input.error == 0 || is_wrong(s, name, strerror(s->input.error));
}

static bool is_stdin(const char *name)
{
    return strcmp(name, "-") == 0;
}

static bool read_files(struct source *s)
{
    const struct options *o = s->options;

    for (size_t i = 0; i < o->inputs; i++) {
        const bool from_stdin = is_stdin(o->input[i]);
        const int fd =
            from_stdin ? (s->copy >= 0 ? s->copy : 0) : open(o->input[i], O_RDONLY | O_CLOEXEC);
        bool good;

        if (fd < 0)
            return is_wrong(s, o->input[i], strerror(errno));
        if (from_stdin && s->copy >= 0)
            (void)lseek(fd, 0, SEEK_SET);
        good = read_descriptor(s, o->input[i], fd);
        if (!from_stdin)
            close(fd);
        if (!good)
            return false;
    }
    return true;
}

static bool copy_stdin(int to, char *room, size_t size)
{
    ssize_t n;

    while ((n = read(0, room, size)) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t done = 0, put; n > 0 && done < n; done += put) {
            put = write(to, room + done, (size_t)(n - done));
            if (put < 0)
                return false;
        }
    return n == 0;
}

bool source_keep(struct source *s)
{
    const struct options *o = s->options;

    for (size_t i = 0; i < o->inputs; i++) {
        FILE *file;

        if (!is_stdin(o->input[i]) || s->copy >= 0)
            continue;
        file = tmpfile();
        s->copy = file == NULL ? -1 : fcntl(fileno(file), F_DUPFD_CLOEXEC, 3);
        if (file != NULL)
            (void)fclose(file);
        if (s->copy < 0 || !copy_stdin(s->copy, s->input.room, sizeof s->input.room))
            return is_wrong(s, "standard input", strerror(errno));
    }
    return true;
}

bool source_read(struct source *s, input_taker *taker, void *context)
{
    const struct options *o = s->options;
    const struct journal_how how = {
        .directory = o->directory,
        .file = o->file,
        .since = o->since,
        .until = o->until,
        .cursor = s->cursor,
        .session = s->session,
        .whole = o->shape == SHAPE_STORY,
        .follow = o->shape == SHAPE_FOLLOW,
    };
    const char *wrong = NULL;
    bool good = true;

    s->take = taker;
    s->context = context;
    s->last = 0;
    s->input.take = take;
    s->input.context = s;
    s->input.given = 0;
    if (o->inputs > 0)
        good = read_files(s);
    else
        wrong = journal_read(&how, &s->input, s->cursor);
    if (s->progress > 0 && s->input.given >= PROGRESS_EVERY) {
        s->progress = UINT64_MAX;
        show_progress(s, 0);
        s->progress = 0;
    }
    return wrong == NULL ? good : is_wrong(s, "the journal", wrong);
}

void source_close(struct source *s)
{
    if (s->copy >= 0)
        close(s->copy);
}
