#include "adapters/deliver.h"

#include "adapters/command.h"
#include "adapters/judge.h"
#include "io/clock.h"
#include "smtp/result.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SAID_MAX = 4096,
    COMPLAINED_MAX = 1024,
    RUN_MEMORY = 160 * 1024, /* words and environment of one of several runs */
};

static bool is_program(struct text *path)
{
    struct stat st;

    return access(text_string(path), X_OK) == 0 && stat(path->p, &st) == 0 &&
           (S_ISREG(st.st_mode) || (errno = EACCES, false));
}

const char *deliver_program(struct span name, struct text *room)
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

/* One run of the command. */
struct run {
    struct child_process process;
    struct command_run facts;
    struct arena arena; /* its words and environment */
    struct text said, complained;
    char complained_room[COMPLAINED_MAX];
    int message, envelope; /* descriptors of its own; -1: none */
};

static void add_descriptor(struct child *c, int from, int to)
{
    c->pass[c->passed++] = (struct child_descriptor){.from = from, .to = to};
}

static void not_started(struct run *r, int error)
{
    r->process = (struct child_process){.ended = true,
                                        .result = {.end = CHILD_NOT_STARTED, .status = error}};
}

/* A path is tried by being executed: nobody looks twice. */
static const char *program_of(const char *name, struct arena *a)
{
    struct text room = {.cap = PATH_MAX};

    if (strchr(name, '/') != NULL)
        return name;
    errno = ENOMEM;
    room.p = arena_get(a, room.cap);
    return room.p == NULL ? NULL : deliver_program(span_of(name), &room);
}

/* Starts it with the message on `message`. */
static void start(const struct deliver *d, struct run *r, int message)
{
    const struct config *config = d->facts.config;
    const bool qmail = config->deliver_format == CONFIG_FORMAT_QMAIL_QUEUE;
    struct child c = {.timeout = config->deliver_timeout,
                      .among_many = config->deliver_per == CONFIG_PER_RECIPIENT};

    c.argv = command_argv(&r->facts, &config->deliver, &r->arena);
    c.envp = command_environment(&r->facts, &r->arena);
    if (c.argv == NULL || c.envp == NULL) {
        not_started(r, ENOMEM);
        return;
    }
    c.program = program_of(c.argv[0], &r->arena);
    if (c.program == NULL || (qmail && (r->envelope = qmail_envelope(&r->facts)) < 0)) {
        not_started(r, errno);
        return;
    }
    add_descriptor(&c, message, 0);
    add_descriptor(&c, qmail ? r->envelope : CHILD_SAID, 1);
    add_descriptor(&c, CHILD_COMPLAINED, 2);
    if (qmail)
        add_descriptor(&c, CHILD_SAID, 6);
    child_start(&r->process, &c, &r->said, &r->complained);
}

/* A copy of the reply's text in the arena, so that it outlives the run; a full arena costs the
 * text. */
static void keep_reply(struct arena *a, struct smtp_reply *reply)
{
    reply->text = arena_copy(a, reply->text);
    reply->enhanced = arena_copy(a, reply->enhanced);
    if (reply->text.p == NULL || reply->enhanced.p == NULL) {
        reply->text = reply->code < 400 ? SPAN("OK") : SPAN("Delivery failed");
        reply->enhanced = reply->code < 400   ? SPAN("2.0.0")
                          : reply->code < 500 ? SPAN("4.3.0")
                                              : SPAN("5.3.0");
    }
}

/* qmail-queue's 82: its own text on descriptor 6, D for permanent, Z for temporary: the letter says
 * whether it is for good, not a code in the text. */
static struct smtp_reply qmail_custom(struct span said, struct text *room)
{
    const struct smtp_reply usual =
        said.n > 0 && said.p[0] == 'D' ? smtp_result_of_exit(NULL, 100) : smtp_result_of_failure();
    struct smtp_reply reply = usual;

    smtp_result_refine(&reply, span_from(said, 1), false, room);
    if (reply.code / 100 != usual.code / 100) {
        reply.code = usual.code;
        reply.enhanced = usual.enhanced;
    }
    return reply;
}

/* A success that has nothing to say says the message's id. */
static void add_id(struct smtp_reply *reply, struct span id, struct text *room)
{
    const size_t start = room->n;

    if (reply->code >= 400 || !span_eq(reply->text, SPAN("OK")))
        return;
    text_adds(room, "OK id=");
    text_add(room, id);
    reply->text = span_from(text_span(room), start);
}

struct smtp_reply deliver_answer(const struct config *config, const struct child_result *result,
                                 struct span said, struct span id, struct arena *a)
{
    const bool qmail = config->deliver_format == CONFIG_FORMAT_QMAIL_QUEUE;
    const unsigned status = (unsigned)result->status;
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    struct smtp_reply reply;

    if (result->end != CHILD_EXITED)
        return smtp_result_of_failure();
    if (qmail && status == 82) {
        reply = qmail_custom(said, &room);
        keep_reply(a, &reply);
        return reply;
    }
    reply =
        qmail ? smtp_result_of_qmail_queue(status) : smtp_result_of_exit(&config->exit_map, status);
    add_id(&reply, id, &room);
    smtp_result_refine(&reply, said, config->reply_codes, &room);
    keep_reply(a, &reply);
    return reply;
}

void deliver_take_lines(struct span said, struct span id, struct smtp_recipient *const *recipient,
                        size_t n, struct arena *a)
{
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    bool good = true;

    for (size_t i = 0; good && i < n; i++) {
        struct text room = TEXT(bytes);

        good =
            said.n > 0 && smtp_result_of_line(&recipient[i]->result, smtp_first_line(said), &room);
        if (good) {
            add_id(&recipient[i]->result, id, &room);
            keep_reply(a, &recipient[i]->result);
        }
        said = span_from(said, span_find(said, '\n') + 1);
    }
    for (size_t i = 0; (!good || said.n > 0) && i < n; i++)
        recipient[i]->result = smtp_result_of_failure();
}

/* What the run has done to its recipients, and what the log should say of it. */
static void settle(const struct deliver *d, struct run *r, struct smtp_recipient *const *recipient,
                   struct deliver_run *kept, struct deliver_report *report)
{
    const struct child_result *result = &r->process.result;
    const bool fine = result->end == CHILD_EXITED && result->status == 0;

    if (fine && d->facts.config->deliver_replies == 1) {
        /* Output that was cut has a line too few, or a last one that is none. */
        deliver_take_lines(r->said.cut ? SPAN("") : text_span(&r->said), d->facts.id, recipient,
                           r->facts.recipients, d->arena);
    } else {
        const struct smtp_reply reply =
            deliver_answer(d->facts.config, result, text_span(&r->said), d->facts.id, d->arena);

        for (size_t i = 0; i < r->facts.recipients; i++)
            recipient[i]->result = reply;
    }
    if (!fine || report->accepted + report->deferred + report->refused == 0)
        report->child = *result;
    for (size_t i = 0; i < r->facts.recipients; i++) {
        const unsigned code = recipient[i]->result.code;

        report->accepted += code < 400;
        report->deferred += code >= 400 && code < 500;
        report->refused += code >= 500;
    }
    /* Several, each after the other, take their time too. */
    report->waited = report->waited || r->process.looked || report->runs > 1;
    *kept =
        (struct deliver_run){.result = *result, .said = arena_copy(d->arena, text_span(&r->said))};
    if (report->complained.n == 0)
        report->complained = arena_copy(d->arena, smtp_first_line(text_span(&r->complained)));
    if (r->message >= 0)
        close(r->message);
    if (r->envelope >= 0)
        close(r->envelope);
    r->message = r->envelope = -1;
}

static struct command_run facts_of(const struct deliver *d, struct smtp_recipient *const *recipient,
                                   size_t n)
{
    return (struct command_run){
        .session = d->facts.session,
        .peer = d->facts.peer,
        .id = d->facts.id,
        .delimiter = d->facts.config->recipient_delimiter,
        .size = d->size,
        .digest = d->digest,
        .replies = command_replies(d->facts.config, d->facts.session),
        .recipient = (const struct smtp_recipient *const *)recipient,
        .recipients = n,
    };
}

/* One run for all. */
static void deliver_together(const struct deliver *d, struct smtp_recipient **recipient, size_t n,
                             struct deliver_run *kept, struct deliver_report *report)
{
    const bool each = d->facts.config->deliver_replies == 1;
    const size_t said = each ? n * SMTP_REPLY_LINE_MAX + SAID_MAX : SAID_MAX;
    struct run r = {.facts = facts_of(d, recipient, n), .message = -1, .envelope = -1};
    const size_t share = (d->arena->cap - d->arena->used) / 2, mark = d->arena->used;
    bool waited = false;

    r.arena = (struct arena){.base = arena_get(d->arena, share), .cap = share};
    r.said = (struct text){.p = arena_get(d->arena, said), .cap = said};
    r.complained = TEXT(r.complained_room);
    if (r.said.p == NULL || r.arena.base == NULL) {
        r.said.cap = 0;
        not_started(&r, ENOMEM);
    } else {
        start(d, &r, d->spool->fd);
    }
    while (!r.process.ended) {
        child_attend(&r.process, 1);
        if (!r.process.ended && !waited)
            d->lasts(d->context);
        waited = true;
    }
    /* Words and environment have served. What was said lies behind them, far enough not to be
     * reached by what is kept of it. */
    if (share >= 2 * said)
        d->arena->used = mark;
    settle(d, &r, recipient, &kept[0], report);
}

/* The recipient's own copy, and the command on it. */
static void start_one(const struct deliver *d, struct run *r, struct smtp_recipient **recipient)
{
    const struct config *config = d->facts.config;
    char room[HEAD_MAX];
    struct text head = TEXT(room);

    head_write(&head, &d->facts, config->trace_headers & ~deliver_common_fields(config),
               recipient[0]->mailbox.address);
    r->facts = facts_of(d, recipient, 1);
    r->said.n = r->complained.n = 0;
    r->envelope = -1;
    arena_reset(&r->arena);
    r->message = spool_copy(d->spool, text_span(&head));
    if (r->message < 0)
        not_started(r, errno);
    else
        start(d, r, r->message);
}

/* A run for each, `deliver_parallel` at once. The processes stand side by side for child_attend. */
static void deliver_each(const struct deliver *d, struct smtp_recipient **recipient, size_t n,
                         struct deliver_run *kept, struct deliver_report *report)
{
    /* The client waits for the last of them (RFC 5321 4.5.3.2.6: ten minutes, then it comes again,
     * and those who have the message get it twice): when the time of one run is over, no other
     * begins. */
    const uint64_t deadline = clock_now() + d->facts.config->deliver_timeout;
    const size_t most =
        d->facts.config->deliver_parallel < n ? d->facts.config->deliver_parallel : n;
    struct child_process process[CONFIG_PARALLEL_MAX] = {0};
    struct run *run = arena_get(d->arena, most * sizeof *run);
    size_t of[CONFIG_PARALLEL_MAX] = {0};
    size_t next = 0, done = 0;
    bool waited = false;

    for (size_t i = 0; run != NULL && i < most; i++) {
        run[i] = (struct run){.message = -1, .envelope = -1};
        run[i].said = (struct text){.p = arena_get(d->arena, SAID_MAX), .cap = SAID_MAX};
        run[i].complained = TEXT(run[i].complained_room);
        run[i].arena = (struct arena){.base = arena_get(d->arena, RUN_MEMORY), .cap = RUN_MEMORY};
        if (run[i].said.p == NULL || run[i].arena.base == NULL)
            run = NULL;
        of[i] = n; /* nobody's yet */
        process[i].ended = true;
    }
    while (run != NULL && done < n) {
        for (size_t i = 0; i < most; i++) {
            if (!process[i].ended)
                continue;
            if (of[i] < n) {
                run[i].process = process[i];
                settle(d, &run[i], recipient + of[i], &kept[of[i]], report);
                done++;
            }
            if (clock_left(deadline) == 0) {
                done += n - next;
                next = n;
            }
            of[i] = next < n ? next++ : n;
            if (of[i] < n) {
                start_one(d, &run[i], recipient + of[i]);
                process[i] = run[i].process;
            }
        }
        child_attend(process, most);
        for (size_t i = 0; !waited && i < most; i++) {
            waited = !process[i].ended;
            if (waited)
                d->lasts(d->context);
        }
    }
}

uint64_t deliver_common_fields(const struct config *c)
{
    return c->deliver_per == CONFIG_PER_RECIPIENT ? c->trace_headers & CONFIG_TRACE_RECEIVED
                                                  : c->trace_headers;
}

void deliver_all(const struct deliver *d, struct deliver_report *report)
{
    const struct config *config = d->facts.config;
    const struct smtp_transaction *t = d->transaction;
    struct smtp_recipient **recipient;
    struct deliver_run *kept;
    size_t n = 0;

    *report = (struct deliver_report){0};
    judge_header(d, report);
    recipient = arena_get(d->arena, t->recipients * sizeof(struct smtp_recipient *));
    kept = arena_get(d->arena, t->recipients * sizeof *kept);
    for (struct smtp_recipient *r = t->first; r != NULL && recipient != NULL && kept != NULL;
         r = r->next)
        if (r->result.code == 0)
            recipient[n++] = r;
    report->run = kept;
    report->runs = config->deliver_per == CONFIG_PER_RECIPIENT ? n : n > 0;
    for (size_t i = 0; i < n; i++)
        kept[i] = (struct deliver_run){.result = {.end = CHILD_NOT_STARTED, .status = ETIMEDOUT}};
    if (n > 0 && config->deliver_per == CONFIG_PER_RECIPIENT)
        deliver_each(d, recipient, n, kept, report);
    else if (n > 0)
        deliver_together(d, recipient, n, kept, report);
    /* What memory or time was missing for was not done. */
    for (struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        if (r->result.code == 0) {
            r->result = smtp_result_of_failure();
            report->deferred++;
        }
}
