#include "outside/deliver.h"

#include "smtp/result.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAID_MAX = 4096, COMPLAINED_MAX = 1024 };

static bool is_program(struct text *path)
{
    struct stat st;

    return access(text_string(path), X_OK) == 0 && stat(path->p, &st) == 0 &&
           (S_ISREG(st.st_mode) || (errno = EACCES, false));
}

const char *deliver_program(struct span name, struct text *room)
{
    struct span left = SPAN(MACRO_PATH), directory;

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

/* qmail-queue(8) reads the envelope from descriptor 1: F sender NUL, T recipient NUL ..., NUL. A
 * file in memory holds it whole, so that no reader can make us wait. */
static int qmail_envelope(const struct macro_run *run)
{
    const int fd = memfd_create("smtpin envelope", MFD_CLOEXEC);
    const struct smtp_recipient *r = run->first;
    char room[4096];
    struct text t = TEXT(room);

    text_addc(&t, 'F');
    text_add(&t, run->session->transaction.reverse_path.address);
    text_addc(&t, '\0');
    for (size_t i = 0; fd >= 0 && i <= run->recipients; i++) {
        if (i < run->recipients) {
            text_addc(&t, 'T');
            text_add(&t, r->mailbox.address);
            r = r->next;
        }
        text_addc(&t, '\0');
        if (t.cut || (t.n > sizeof room / 2 || i == run->recipients)) {
            if (t.cut || write(fd, t.p, t.n) != (ssize_t)t.n) {
                close(fd);
                return -1;
            }
            t.n = 0;
        }
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

static struct smtp_reply not_started(struct deliver_report *report)
{
    report->child = (struct child_result){.end = CHILD_NOT_STARTED, .status = errno};
    return smtp_result_of_failure();
}

static struct smtp_reply answer(const struct deliver *d, struct deliver_report *report,
                                struct span said)
{
    const bool qmail = d->config->deliver_format == CONFIG_FORMAT_QMAIL_QUEUE;
    const unsigned status = (unsigned)report->child.status;
    struct text room = {.p = arena_get(d->arena, SMTP_RESULT_TEXT_MAX),
                        .cap = SMTP_RESULT_TEXT_MAX};
    struct smtp_reply reply, usual;

    if (report->child.end != CHILD_EXITED)
        return smtp_result_of_failure();
    reply = qmail ? smtp_result_of_qmail_queue(status) : smtp_result_of_exit(status);
    if (room.p == NULL)
        return reply;
    if (reply.code < 400) {
        text_adds(&room, "OK id=");
        text_add(&room, d->run.id);
        reply.text = text_span(&room);
    }
    /* qmail-queue's 82: its own text on descriptor 6, D for permanent, Z for temporary. */
    if (qmail && status == 82 && said.n > 0 && said.p[0] == 'D')
        reply = smtp_result_of_exit(100);
    usual = reply;
    smtp_result_refine(&reply, qmail && status == 82 ? span_from(said, 1) : said, &room);
    /* There the letter, not a code in the text, says whether it is for good. */
    if (qmail && status == 82 && reply.code / 100 != usual.code / 100) {
        reply.code = usual.code;
        reply.enhanced = usual.enhanced;
    }
    return reply;
}

struct smtp_reply deliver_message(const struct deliver *d, struct deliver_report *report)
{
    const bool qmail = d->config->deliver_format == CONFIG_FORMAT_QMAIL_QUEUE;
    char path[PATH_MAX], said_room[SAID_MAX], complained_room[COMPLAINED_MAX];
    struct text program = TEXT(path), said = TEXT(said_room), complained = TEXT(complained_room);
    struct child c = {.timeout = d->config->deliver_timeout};
    int envelope = -1;

    *report = (struct deliver_report){0};
    c.argv = macro_argv(&d->run, &d->config->deliver, d->arena);
    c.envp = macro_environment(&d->run, d->arena);
    errno = ENOMEM;
    if (c.argv == NULL || c.envp == NULL)
        return not_started(report);
    c.program = deliver_program(span_of(c.argv[0]), &program);
    if (c.program == NULL)
        return not_started(report);
    add_descriptor(&c, d->message, 0);
    if (qmail) {
        envelope = qmail_envelope(&d->run);
        if (envelope < 0)
            return not_started(report);
        add_descriptor(&c, envelope, 1);
        add_descriptor(&c, CHILD_COMPLAINED, 2);
        add_descriptor(&c, CHILD_SAID, 6);
    } else {
        add_descriptor(&c, CHILD_SAID, 1);
        add_descriptor(&c, CHILD_COMPLAINED, 2);
    }
    report->child = child_run(&c, &said, &complained);
    if (envelope >= 0)
        close(envelope);
    report->said = arena_copy(d->arena, smtp_first_line(text_span(&said)));
    report->complained = arena_copy(d->arena, smtp_first_line(text_span(&complained)));
    return answer(d, report, text_span(&said));
}
