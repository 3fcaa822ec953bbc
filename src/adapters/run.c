#include "adapters/run.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(struct text *path)
{
    struct stat st;

    return access(text_string(path), X_OK) == 0 && stat(path->p, &st) == 0 &&
           (S_ISREG(st.st_mode) || (errno = EACCES, false));
}

const char *run_program(struct span name, struct text *room)
{
    struct span left = SPAN(COMMAND_PATH), directory;

    if (span_find(name, '/') < name.n) {
        text_add(room, name);
        return is_program(room) ? room->p : NULL;
    }
    while (span_word(&left, ":", &directory)) {
        room->n = 0;
        text_add(room, directory);
        text_addc(room, '/');
        text_add(room, name);
        if (is_program(room))
            return room->p;
    }
    return NULL;
}

/* qmail's addresses have no quoting; the last @ parts them. */
static void add_qmail_address(struct text *t, const struct smtp_mailbox *m)
{
    text_add(t, m->local);
    if (m->domain.n > 0) {
        text_addc(t, '@');
        text_add(t, m->domain);
    }
    text_addc(t, '\0');
}

/* qmail-queue(8) reads the envelope from descriptor 1: F sender NUL, T recipient NUL ..., NUL. A
 * file in memory holds it whole, so that no reader can make us wait. */
static int qmail_envelope(const struct command_run *run)
{
    const int fd = memfd_create("smtpin envelope", MFD_CLOEXEC);
    char room[4096];
    struct text t = TEXT(room);

    text_addc(&t, 'F');
    add_qmail_address(&t, &run->session->transaction.reverse_path);
    for (size_t i = 0; fd >= 0 && i <= run->recipients; i++) {
        if (i < run->recipients) {
            text_addc(&t, 'T');
            add_qmail_address(&t, &run->recipient[i]->mailbox);
        } else {
            text_addc(&t, '\0');
        }
        if (t.n <= sizeof room / 2 && i < run->recipients)
            continue;
        if (t.cut || write(fd, t.p, t.n) != (ssize_t)t.n) {
            close(fd);
            return -1;
        }
        t.n = 0;
    }
    if (fd >= 0 && lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void add_descriptor(struct child *c, int from, int to)
{
    c->pass[c->passed++] = (struct child_descriptor){.from = from, .to = to};
}

void run_not_started(struct run *r, int error)
{
    r->process = (struct child_process){.ended = true,
                                        .result = {.end = CHILD_NOT_STARTED, .status = error}};
}

/* A path is tried by being executed: nobody looks twice. */
static const char *program_of(const char *name, struct arena *a)
{
    struct text room = {.cap = PATH_MAX};
    struct span word;

    if (name[0] == '/')
        return name;
    word = span_of(name);
    if (span_find(word, '/') < word.n)
        return name;
    errno = ENOMEM;
    room.p = arena_get(a, room.cap);
    return room.p == NULL ? NULL : run_program(word, &room);
}

void run_start(struct run *r, const struct run_how *how, int input)
{
    struct child c = {.timeout = how->timeout, .among_many = how->among_many, .rules = how->rules};

    if (how->rules < 0) {
        run_not_started(r, how->error);
        return;
    }
    c.argv = command_argv(&r->facts, how->words, &r->arena);
    c.envp = command_environment(&r->facts, &r->arena);
    if (c.argv == NULL || c.envp == NULL) {
        run_not_started(r, ENOMEM);
        return;
    }
    c.program = program_of(c.argv[0], &r->arena);
    if (c.program == NULL || (how->qmail && (r->envelope = qmail_envelope(&r->facts)) < 0)) {
        run_not_started(r, errno);
        return;
    }
    add_descriptor(&c, input, 0);
    add_descriptor(&c, how->qmail ? r->envelope : CHILD_SAID, 1);
    add_descriptor(&c, CHILD_COMPLAINED, 2);
    if (how->qmail)
        add_descriptor(&c, CHILD_SAID, 6);
    child_start(&r->process, &c, &r->said, &r->complained);
}

void run_close(struct run *r)
{
    if (r->message >= 0)
        close(r->message);
    if (r->envelope >= 0)
        close(r->envelope);
    r->message = r->envelope = -1;
}
