/* smtpin-milter: the message on stdin past milters, and then to the command that follows. See
 * smtpin-milter(1).
 *
 * Each filter hears the whole session at once, when the message is there. What it wants changed is
 * kept until its last word, so that a filter that fails has changed nothing; the message is written
 * anew once, behind the last filter, and only if there was a change. */
#include "commands/milter/answer.h"
#include "commands/milter/hand_over.h"
#include "commands/milter/options.h"
#include "io/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REASON_MAX = 400 };

static const char usage_text[] =
    "usage: smtpin-milter [OPTION]... FILTER... [OPTION... FILTER...]... [--] COMMAND [WORD]...\n"
    "Passes the message on standard input to each FILTER, and then to COMMAND.\n"
    "  FILTER                  inet:HOST:PORT or unix:/PATH\n"
    "Options for the filters behind them:\n"
    "  --default ANSWER        where the filter can't be asked: tempfail, accept or reject\n"
    "  --timeout TIME          to connect, and for each answer (30s)\n"
    "  --content-timeout TIME  for the answer to the message (4m)\n"
    "Options for all:\n"
    "  -h NAME                 our own name, macro j (this host's)\n"
    "  -r RECIPIENT            a recipient, where the command's last words don't say it\n"
    "  --limit NAME=NUMBER     body, header, packet, recipients or requests\n"
    "  --macro NAME=VALUE      a macro for all filters\n"
    "  --spool-dir DIRECTORY   for large messages (/var/tmp)\n"
    "Manual: smtpin-milter(1)\n";

/* All that a run needs. Of the arena, only the pages that are used exist. */
struct run {
    struct options o;
    struct arena arena;
    struct message message;
    struct envelope envelope;
    struct changes changes;
    struct spool spool;
    struct talk talk;
};

static bool make_arena(struct run *r)
{
    /* The header as it came and as it leaves, and fields as small as fields can be. */
    const size_t cap = 24 * (size_t)r->o.limits.of[LIMIT_HEADER] +
                       (size_t)r->o.limits.of[LIMIT_PACKET] + (32 << 20);
    void *p =
        mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    r->arena = (struct arena){.base = p, .cap = cap};
    return p != MAP_FAILED;
}

/* What the pieces share. False: no memory. */
static bool prepare(struct run *r)
{
    const struct limits *l = &r->o.limits;
    const size_t packet = (size_t)l->of[LIMIT_PACKET];

    r->message = (struct message){.arena = &r->arena,
                                  .header_max = l->of[LIMIT_HEADER],
                                  .id = span_of(getenv("SMTPIN_ID")),
                                  .dir = r->o.spool_dir,
                                  .fd = -1};
    r->envelope = (struct envelope){.arena = &r->arena,
                                    .recipients_max = l->of[LIMIT_RECIPIENTS],
                                    .command = {.word = r->o.command, .n = r->o.words}};
    r->spool = (struct spool){.buffer = arena_get(&r->arena, MESSAGE_BUFFER),
                              .cap = MESSAGE_BUFFER,
                              .memory = MESSAGE_BUFFER * 4,
                              .dir = r->o.spool_dir,
                              .fd = -1};
    r->changes = (struct changes){.arena = &r->arena,
                                  .most = (size_t)l->of[LIMIT_REQUESTS],
                                  .body_max = l->of[LIMIT_BODY],
                                  .spool = &r->spool};
    r->talk = (struct talk){.facts = &r->o.facts,
                            .message = &r->message,
                            .envelope = &r->envelope,
                            .changes = &r->changes,
                            .arena = &r->arena,
                            .packet_max = packet,
                            .requests = (size_t)l->of[LIMIT_REQUESTS],
                            .in = arena_get(&r->arena, packet + MILTER_PACKET_HEAD),
                            .out = {.p = arena_get(&r->arena, TALK_OUT), .cap = TALK_OUT},
                            .all_or_none = !answer_is_each()};
    return r->spool.buffer != NULL && r->talk.in != NULL && r->talk.out.p != NULL;
}

static int temporarily(const char *why)
{
    fprintf(stderr, "smtpin-milter: %s\n", why);
    return answer_all("451 4.3.0 The message could not be filtered");
}

/* Nothing is run, and the client hears that all is well. */
static int discard(const struct run *r)
{
    const size_t lines = answer_is_each() ? r->envelope.originals : 1;

    for (size_t i = 0; i < lines; i++)
        if (puts("250 2.0.0 OK") < 0)
            return ANSWER_TEMPORARY;
    return fflush(stdout) == 0 ? 0 : ANSWER_TEMPORARY;
}

/* Asks each filter. True: the message may go on. */
static bool ask(struct run *r, int *status)
{
    for (size_t i = 0; i < r->o.filters && envelope_count(&r->envelope) > 0; i++) {
        const struct filter *f = &r->o.filter[i];

        r->talk.filter = f;
        switch (talk_about(&r->talk)) {
        case TALK_DONE:
            break;
        case TALK_DISCARDED:
            *status = discard(r);
            return false;
        case TALK_REFUSED:
            *status = answer_all(r->talk.line);
            return false;
        case TALK_FAILED:
            if (f->otherwise == FILTER_ACCEPT)
                break;
            *status = answer_all(f->otherwise == FILTER_REJECT
                                     ? "550 5.7.0 Service unavailable"
                                     : "451 4.7.1 Service unavailable - try again later");
            return false;
        }
    }
    return true;
}

/* One line of text, whatever the filter has sent. */
static bool set_quarantine(struct span reason)
{
    char room[REASON_MAX + 1];
    struct text t = TEXT(room);

    if (reason.p == NULL)
        return true;
    reason = span_first(reason, REASON_MAX);
    for (size_t i = 0; i < reason.n; i++)
        text_addc(&t, byte_is_control(reason.p[i]) ? ' ' : reason.p[i]);
    if (t.n == 0)
        text_adds(&t, "yes");
    return setenv("SMTPIN_QUARANTINE", text_string(&t), 1) == 0;
}

static int filter(struct run *r)
{
    const char *wrong = envelope_read(&r->envelope, r->o.recipient, r->o.recipients);
    enum message_result result;
    int status, message;

    if (wrong != NULL)
        return temporarily(wrong);
    /* With deliver_format = qmail-queue, it is the envelope, which is not looked at here. */
    if ((fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return temporarily(
            "standard output can't be written: not with deliver_format = qmail-queue");
    r->message.binary = span_eq(span_of(getenv("SMTPIN_BODY")), SPAN("BINARYMIME"));
    result = message_open(&r->message, STDIN_FILENO);
    if (result == MESSAGE_TOO_LARGE) {
        fputs("smtpin-milter: the header is larger than it may be (--limit header)\n", stderr);
        return answer_all("552 5.3.4 Message header too large");
    }
    if (result != MESSAGE_OK)
        return temporarily(strerror(errno));
    r->changes.crlf = r->message.crlf;
    r->changes.binary = r->message.binary;
    if (!ask(r, &status))
        return status;
    message = message_finish(&r->message);
    if (message < 0 || !set_quarantine(r->talk.reason))
        return temporarily(strerror(errno));
    return hand_over(&r->envelope, message, answer_is_each());
}

/* With the options read. */
static int start(struct run *r)
{
    if (!make_arena(r) || !prepare(r))
        return temporarily(strerror(errno));
    return filter(r);
}

int main(int argc, char **argv)
{
    const char *word = NULL, *wrong;
    int status = ANSWER_USAGE;
    char **recipients;
    struct run *r;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(usage_text, stdout) < 0;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("smtpin-milter " SMTPIN_VERSION) < 0;
    recipients = calloc((size_t)argc + 1, sizeof *recipients);
    r = calloc(1, sizeof *r);
    if (r == NULL || recipients == NULL || !descriptors_fill_standard()) {
        free(recipients);
        free(r);
        return temporarily(strerror(errno));
    }
    r->o.recipient = recipients;
    wrong = options_read(&r->o, argc, argv, &word);
    if (wrong == NULL)
        status = start(r);
    else
        fprintf(stderr, "smtpin-milter: %s: %s\n%s", word, wrong, usage_text);
    free(recipients);
    free(r);
    return status;
}
