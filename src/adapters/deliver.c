#include "adapters/deliver.h"

#include "adapters/command.h"
#include "adapters/confine.h"
#include "adapters/judge.h"
#include "adapters/outcome.h"
#include "adapters/run.h"
#include "io/clock.h"
#include "smtp/result.h"

#include <errno.h>
#include <unistd.h>

/* What the run has done to its recipients, and what the log should say of it. */
static void settle(const struct deliver *d, struct run *r, struct smtp_recipient *const *recipient,
                   struct deliver_run *kept, struct deliver_report *report)
{
    const struct child_result *result = &r->process.result;
    const bool fine = result->end == CHILD_EXITED && result->status == 0;

    if (fine && d->facts.config->deliver_replies == 1) {
        /* Output that was cut has a line too few, or a last one that is none. */
        if (!outcome_take_lines(r->said.cut ? SPAN("") : text_span(&r->said), d->facts.id,
                                recipient, r->facts.recipients, d->arena))
            report->note = "reply_lines";
    } else {
        const struct smtp_reply reply =
            outcome_reply(d->facts.config, result, text_span(&r->said), d->facts.id, d->arena);

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
    run_close(r);
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
        .hold = d->hold,
        .replies = command_replies(d->facts.config, d->facts.session),
        .recipient = (const struct smtp_recipient *const *)recipient,
        .recipients = n,
    };
}

/* The same for each run of a message. */
static struct run_how how_of(const struct config *c, const char **note)
{
    const int rules = confine_open(c, note);

    return (struct run_how){
        .rules = rules,
        .error = errno,
        .words = &c->deliver,
        .timeout = c->deliver_timeout,
        .qmail = c->deliver_format == CONFIG_FORMAT_QMAIL_QUEUE,
        .among_many = c->deliver_per == CONFIG_PER_RECIPIENT,
    };
}

/* One run for all. */
static void deliver_together(const struct deliver *d, const struct run_how *how,
                             struct smtp_recipient **recipient, size_t n, struct deliver_run *kept,
                             struct deliver_report *report)
{
    const bool each = d->facts.config->deliver_replies == 1;
    const size_t said = each ? n * SMTP_REPLY_LINE_MAX + RUN_SAID_MAX : RUN_SAID_MAX;
    struct run r = {.facts = facts_of(d, recipient, n), .message = -1, .envelope = -1};
    const size_t share = (d->arena->cap - d->arena->used) / 2, mark = d->arena->used;
    bool waited = false;

    r.arena = (struct arena){.base = arena_get(d->arena, share), .cap = share};
    r.said = (struct text){.p = arena_get(d->arena, said), .cap = said};
    r.complained = TEXT(r.complained_room);
    if (r.said.p == NULL || r.arena.base == NULL) {
        r.said.cap = 0;
        run_not_started(&r, ENOMEM);
    } else {
        run_start(&r, how, d->spool->fd);
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
static void start_one(const struct deliver *d, const struct run_how *how, struct run *r,
                      struct smtp_recipient **recipient)
{
    const struct config *config = d->facts.config;
    struct head_facts facts = d->facts;
    char room[HEAD_MAX];
    struct text head = TEXT(room);

    facts.prepended = SPAN(""); /* it stands with Received: */
    head_write(&head, &facts, config->trace_headers & ~deliver_common_fields(config), recipient[0]);
    r->facts = facts_of(d, recipient, 1);
    r->said.n = r->complained.n = 0;
    r->envelope = -1;
    arena_reset(&r->arena);
    r->message = spool_copy(d->spool, text_span(&head));
    if (r->message < 0)
        run_not_started(r, errno);
    else
        run_start(r, how, r->message);
}

/* A run for each, `deliver_parallel` at once. The processes stand side by side for child_attend. */
static void deliver_each(const struct deliver *d, const struct run_how *how,
                         struct smtp_recipient **recipient, size_t n, struct deliver_run *kept,
                         struct deliver_report *report)
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
        run[i].said = (struct text){.p = arena_get(d->arena, RUN_SAID_MAX), .cap = RUN_SAID_MAX};
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
                start_one(d, how, &run[i], recipient + of[i]);
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
    recipient = arena_get(d->arena, t->targets * sizeof(struct smtp_recipient *));
    kept = arena_get(d->arena, t->targets * sizeof *kept);
    for (struct smtp_recipient *r = smtp_first_target(t);
         r != NULL && recipient != NULL && kept != NULL; r = smtp_next_target(r))
        if (r->result.code == 0)
            recipient[n++] = r;
    report->run = kept;
    report->runs = config->deliver_per == CONFIG_PER_RECIPIENT ? n : n > 0;
    for (size_t i = 0; i < n; i++)
        kept[i] = (struct deliver_run){.result = {.end = CHILD_NOT_STARTED, .status = ETIMEDOUT}};
    if (n > 0) {
        const struct run_how how = how_of(config, &report->note);

        if (config->deliver_per == CONFIG_PER_RECIPIENT)
            deliver_each(d, &how, recipient, n, kept, report);
        else
            deliver_together(d, &how, recipient, n, kept, report);
        if (how.rules > 0)
            close(how.rules);
    }
    /* What memory or time was missing for was not done. */
    for (struct smtp_recipient *r = smtp_first_target(t); r != NULL; r = smtp_next_target(r))
        if (r->result.code == 0) {
            r->result = smtp_result_of_failure();
            report->deferred++;
        }
}
