#include "commands/milter/hand_over.h"

#include "commands/milter/answer.h"
#include "smtp/result.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_MAX_OCTETS = 1024, /* of a reply line; smtpin reads less */
    TICK = 20,              /* milliseconds between two looks whether the command has ended */
};

static const char failed[] = "451 4.3.0 The message could not be handed over";

/* What a run of the command has printed, and its end. */
struct outcome {
    int status; /* as wait(2) has it */
    struct span said;
};

static _Noreturn void become(char *const *words)
{
    execvp(words[0], words);
    fprintf(stderr, "smtpin-milter: %s: %s\n", words[0], strerror(errno));
    _exit(ANSWER_TEMPORARY);
}

/* The message at its start, for the command: each run reads it anew. */
static bool pass_message(int message)
{
    return lseek(message, 0, SEEK_SET) == 0 &&
           (message == STDIN_FILENO || dup2(message, STDIN_FILENO) == STDIN_FILENO);
}

static void read_said(int fd, struct text *said)
{
    char piece[4096];
    ssize_t n;

    while ((n = read(fd, piece, sizeof piece)) > 0)
        text_add(said, (struct span){.p = piece, .n = (size_t)n});
}

/* Runs the command to its end. A process that it leaves behind may hold its output open: that is
 * not waited for. The runs are in smtpin's process group, and end with it. */
static bool run(char *const *words, int message, struct text *said, struct outcome *o)
{
    int ends[2];
    pid_t pid, ended = 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    pid = fork();
    if (pid == 0) {
        if (!pass_message(message) || dup2(ends[1], STDOUT_FILENO) < 0)
            _exit(ANSWER_TEMPORARY);
        become(words);
    }
    close(ends[1]);
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    while (pid > 0 && ended == 0) {
        struct pollfd p = {.fd = ends[0], .events = POLLIN};

        poll(&p, 1, TICK);
        ended = waitpid(pid, &o->status, WNOHANG);
        read_said(ends[0], said);
        if (ended == 0 && p.revents == POLLHUP) /* poll(2) would not wait any more */
            ended = waitpid(pid, &o->status, 0);
    }
    close(ends[0]);
    o->said = said->cut ? SPAN("") : text_span(said);
    return pid > 0 && ended == pid;
}

static const char *keep_reply(struct envelope *e, const struct smtp_reply *r)
{
    char room[LINE_MAX_OCTETS];
    struct text line = TEXT(room);
    struct span kept;

    text_addn(&line, r->code, 3);
    text_addc(&line, ' ');
    text_add(&line, r->enhanced);
    text_addc(&line, ' ');
    text_add(&line, r->text);
    kept = arena_copy(e->arena, text_span(&line));
    return kept.p == NULL ? failed : kept.p;
}

/* What the end of a run means for its recipients: a line for each, as smtpin would have it. */
static void settle(struct envelope *e, const struct outcome *o, bool each, const size_t *who,
                   size_t n, const char **line)
{
    const bool fine = WIFEXITED(o->status) && WEXITSTATUS(o->status) == 0;
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    struct span rest = o->said;
    struct smtp_reply r;
    bool good = true;

    if (!fine || !each) {
        r = WIFEXITED(o->status) ? smtp_result_of_exit(NULL, (unsigned)WEXITSTATUS(o->status))
                                 : smtp_result_of_failure();
        if (WIFEXITED(o->status))
            smtp_result_refine(&r, o->said, false, &room);
        for (size_t i = 0; i < n; i++)
            line[who[i]] = keep_reply(e, &r);
        return;
    }
    for (size_t i = 0; good && i < n; i++) {
        room.n = 0;
        good = rest.n > 0 && smtp_result_of_line(&r, smtp_first_line(rest), &room);
        line[who[i]] = good ? keep_reply(e, &r) : failed;
        rest = span_from(rest, span_find(rest, '\n') + 1);
    }
    for (size_t i = 0; (!good || rest.n > 0) && i < n; i++)
        line[who[i]] = failed;
}

/* One run, for these recipients. */
static void run_for(struct envelope *e, int message, bool each, const size_t *who, size_t n,
                    const char **line)
{
    const size_t most = (n + 8) * LINE_MAX_OCTETS;
    struct text said = {.p = arena_get(e->arena, most), .cap = most};
    const char *wrong;
    char **words = envelope_words(e, who, n, &wrong);
    struct outcome o;

    if (words == NULL)
        fprintf(stderr, "smtpin-milter: %s\n", wrong);
    if (said.p != NULL && words != NULL && envelope_set_environment(e, who, n) &&
        run(words, message, &said, &o))
        settle(e, &o, each, who, n, line);
}

static bool is_good(const char *line)
{
    return line[0] == '2';
}

/* Nobody waits for the reply of an added recipient: that it was not delivered is told to all who
 * are waited for, or the message would be lost for it. */
static void share_failures(const struct envelope *e, const char **line)
{
    const char *failure = NULL;

    for (size_t i = e->originals; i < e->n; i++)
        if (envelope_gets(&e->recipient[i]) && !is_good(line[i]) &&
            (failure == NULL || line[i][0] == '4'))
            failure = line[i];
    for (size_t i = 0; failure != NULL && i < e->originals; i++)
        if (is_good(line[i]))
            line[i] = failed;
}

/* The one answer for all: a refusal for good only if all are refused. */
static int answer_together(const struct envelope *e, const char **line)
{
    const char *told = line[0];

    for (size_t i = 1; i < e->originals; i++)
        if (line[i][0] != told[0])
            told = failed;
    return answer_all(told);
}

static int answer_lines(const struct envelope *e, const char **line)
{
    for (size_t i = 0; i < e->originals; i++)
        puts(line[i]);
    return fflush(stdout) == 0 ? 0 : ANSWER_TEMPORARY;
}

/* A command that has got several recipients takes several. One that has got one may take no more:
 * it runs for each. */
static int run_and_answer(struct envelope *e, int message, bool each, const size_t *who, size_t n)
{
    const char **line = arena_get(e->arena, e->n * sizeof *line);

    if (line == NULL)
        return answer_all(failed);
    for (size_t i = 0; i < e->n; i++) {
        const struct envelope_recipient *r = &e->recipient[i];

        line[i] = r->refusal.p != NULL ? r->refusal.p
                  : r->deleted         ? "250 2.1.5 Taken out by a filter"
                                       : failed;
    }
    if (n > 0 && e->originals > 1)
        run_for(e, message, each, who, n, line);
    else
        for (size_t i = 0; i < n; i++)
            run_for(e, message, each, &who[i], 1, line);
    share_failures(e, line);
    return each ? answer_lines(e, line) : answer_together(e, line);
}

int hand_over(struct envelope *e, int message, bool each)
{
    size_t *who = arena_get(e->arena, e->n * sizeof *who), n = 0;
    const char *wrong;
    char **words;

    for (size_t i = 0; who != NULL && i < e->n; i++)
        if (envelope_gets(&e->recipient[i]))
            who[n++] = i;
    if (who == NULL)
        return answer_all(failed);
    if (n > 0 && (envelope_same_recipients(e) || (!each && (n == 1 || e->originals > 1)))) {
        words = envelope_words(e, who, n, &wrong);
        if (words == NULL)
            fprintf(stderr, "smtpin-milter: %s\n", wrong);
        if (words == NULL || !envelope_set_environment(e, who, n) || !pass_message(message))
            return answer_all(failed);
        become(words);
    }
    return run_and_answer(e, message, each, who, n);
}
