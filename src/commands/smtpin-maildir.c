/* smtpin-maildir: a message on stdin into Maildirs, one for each recipient, all or none or each for
 * itself.
 *
 * Exit status 0 means that the message and its name are on the disk: written to tmp/, flushed,
 * linked into new/, the directory flushed too. (Where a line for each recipient is read, each line
 * says so of its own.) See smtpin-maildir(1). */
#include "base/number.h"
#include "commands/copy.h"
#include "commands/maildir_file.h"
#include "commands/maildir_find.h"
#include "commands/maildir_mark.h"
#include "commands/maildir_quota.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct maildir_answer for_some = {
    MAILDIR_TEMPORARY, "451 4.1.1 No such mailbox here for one of the recipients"};
static const struct maildir_answer full = {MAILDIR_TEMPORARY, "452 4.2.2 Mailbox full"};
static const struct maildir_answer stopped = {MAILDIR_TEMPORARY,
                                              "451 4.3.0 Delivery was interrupted"};

/* A run: what goes in, and what becomes of each recipient. */
struct run {
    struct maildir_options o;
    char **recipient;
    struct maildir_target *target;
    struct maildir_answer *answer;
    unsigned n;
    int from; /* the message */
    uint64_t size;
};

static const char usage_text[] =
    "usage: smtpin-maildir [-nr] [-l domain/user | -l user] [-d DELIMITER] [-q SIZE] "
    "DIRECTORY RECIPIENT...\n"
    "Stores the message on standard input in the Maildir of each recipient, below DIRECTORY.\n"
    "  -n            make no Maildir; a recipient without one is an unknown user\n"
    "  -r            deliver to each recipient separately, instead of to all or none\n"
    "  -l            where a Maildir is: domain/user (the default) or user\n"
    "  -d DELIMITER  characters that begin an address extension (+)\n"
    "  -q SIZE       a quota for each Maildir, such as 500M\n"
    "Manual: smtpin-maildir(1)\n";

static int usage(void)
{
    fputs(usage_text, stderr);
    return MAILDIR_USAGE;
}

static struct maildir_answer find(const struct run *r, unsigned i)
{
    struct maildir_target *t = &r->target[i];
    unsigned first = 0;
    const struct maildir_answer answer = maildir_find(&r->o, r->recipient[i], t);

    /* Several recipients may share a Maildir, and what is known of its size. */
    while (first < i && strcmp(r->target[first].maildir, t->maildir) != 0)
        first++;
    t->usage = &r->target[first].own_usage;
    return answer;
}

/* Everything but the name in new/. */
static struct maildir_answer prepare(const struct run *r, unsigned i)
{
    struct maildir_target *t = &r->target[i];
    const struct maildir_answer answer = maildir_make(&r->o, t);

    if (answer.status != 0)
        return answer;
    maildir_sweep(t);
    if (!maildir_quota_take(&r->o, t, r->size))
        return full;
    return maildir_write(&r->o, t, r->from);
}

static struct maildir_answer publish(const struct run *r, unsigned i)
{
    const struct maildir_answer answer = maildir_publish(&r->o, &r->target[i], r->from);

    if (answer.status == 0)
        maildir_quota_stored(&r->target[i]);
    return answer;
}

static void undo(const struct run *r, unsigned i)
{
    maildir_undo(&r->target[i]);
    maildir_quota_undo(&r->target[i]);
}

static struct maildir_answer undo_all(const struct run *r, struct maildir_answer answer)
{
    for (unsigned i = 0; i < r->n; i++)
        undo(r, i);
    return answer;
}

/* One answer for recipients with an answer each. A client that hears 5yz bounces the message for
 * all, and one that hears 250 does not come again, so either is said only when it is true of all.
 */
static struct maildir_answer merge(const struct maildir_answer *answer, unsigned n)
{
    unsigned delivered = 0, refused = 0;

    for (unsigned i = 0; i < n; i++) {
        if (answer[i].status == MAILDIR_TEMPORARY)
            return answer[i];
        delivered += answer[i].status == 0;
        refused += answer[i].status != 0;
    }
    return delivered > 0 && refused > 0 ? for_some : answer[0];
}

/* All or none: each recipient's copy is in its tmp/ before any is in new/. */
static struct maildir_answer deliver_all(struct run *r)
{
    struct maildir_answer answer;

    for (unsigned i = 0; i < r->n; i++)
        r->answer[i] = find(r, i);
    answer = merge(r->answer, r->n);
    for (unsigned i = 0; answer.status == 0 && i < r->n; i++)
        answer = prepare(r, i);
    for (unsigned i = 0; answer.status == 0 && i < r->n; i++)
        answer = publish(r, i);
    return answer.status == 0 ? answer : undo_all(r, answer);
}

/* Each for itself. */
static struct maildir_answer deliver_each(struct run *r)
{
    for (unsigned i = 0; i < r->n; i++) {
        struct maildir_answer *answer = &r->answer[i];

        *answer = find(r, i);
        if (answer->status != 0 || maildir_mark_find(&r->o, &r->target[i]))
            continue;
        *answer = prepare(r, i);
        if (answer->status == 0)
            *answer = publish(r, i);
        if (answer->status != 0)
            undo(r, i);
    }
    return merge(r->answer, r->n);
}

static bool is_mixed(const struct maildir_answer *answer, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        if (answer[i].status != answer[0].status)
            return true;
    return false;
}

/* Delivers, and says what has come of it. */
static int deliver(struct run *r)
{
    struct maildir_answer answer = r->o.each ? deliver_each(r) : deliver_all(r);
    const bool delivered = answer.status == 0;
    /* Where it is not known what is read, as lines when the first of them fits all. */
    const bool lines =
        r->n > 1 && (r->o.lines || (r->o.each && r->o.unknown && !is_mixed(r->answer, r->n)));

    if (copy_must_end()) {
        /* Whoever asked us to end tells the client to come again. */
        undo_all(r, stopped);
        puts(stopped.line);
        fflush(stdout);
        return stopped.status;
    }
    for (unsigned i = 0; lines && i < r->n; i++)
        puts(r->answer[i].line);
    if (!lines && (r->o.each || !delivered))
        puts(answer.line);
    if (fflush(stdout) != 0)
        return undo_all(r, stopped).status;
    /* The client will hear 250 and not come again, so that the same octets are another message. */
    for (unsigned i = 0; delivered && i < r->n; i++)
        maildir_mark_remove(&r->o, &r->target[i]);
    return lines && r->o.lines ? 0 : answer.status;
}

static int start(struct run *r)
{
    off_t size;

    r->target = calloc(r->n, sizeof *r->target);
    r->answer = calloc(r->n, sizeof *r->answer);
    r->from = r->target == NULL || r->answer == NULL ? -1 : copy_input();
    size = r->from < 0 ? -1 : lseek(r->from, 0, SEEK_END);
    if (size < 0) {
        const struct maildir_answer answer =
            maildir_temporary("message", "451 4.3.0 Message can't be read");

        puts(answer.line);
        return answer.status;
    }
    r->size = (uint64_t)size;
    for (unsigned i = 0; i < r->n; i++) {
        r->target[i].number = i;
        r->target[i].fd = -1;
    }
    copy_hold_signals();
    return deliver(r);
}

/* '/' and ':' mean something in a Maildir name, and ',' is ours. */
static void set_host(struct maildir_options *o)
{
    if (gethostname(o->host, sizeof o->host - 1) < 0 || o->host[0] == '\0')
        strcpy(o->host, "localhost");
    for (char *c = o->host; *c != '\0'; c++)
        if (*c == '/' || *c == ':' || *c == ',' || byte_is_control(*c))
            *c = '_';
}

/* What becomes of our output (smtpin-delivery(7)), and with it whether the client may hear 451
 * although some recipients have the message: only then are there marks. Where they would be needed
 * and can't be made, it is all or none: the client must not come again for those who have it. */
static void set_replies(struct maildir_options *o, unsigned recipients)
{
    const char *replies = getenv("SMTPIN_REPLIES"), *digest = getenv("SMTPIN_DIGEST");
    const bool merged = replies != NULL && strcmp(replies, "merged") == 0;
    const bool separate = replies != NULL && strcmp(replies, "each") == 0;
    const bool one = replies != NULL && strcmp(replies, "one") == 0;

    o->lines = merged || separate;
    o->each = o->each || o->lines;
    o->unknown = replies == NULL;
    if (o->each && !separate && recipients > 1 && digest != NULL &&
        strlen(digest) >= MAILDIR_DIGEST && strspn(digest, "0123456789abcdef") == strlen(digest))
        memcpy(o->digest, digest, MAILDIR_DIGEST);
    else if (one && recipients > 1)
        o->each = false;
}

int main(int argc, char **argv)
{
    struct idn idn = {0};
    struct run r = {
        .o = {.with_domain = true, .create = true, .delimiter = SPAN("+"), .idn = &idn}};
    int option, status;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(usage_text, stdout) < 0;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("smtpin-maildir " SMTPIN_VERSION) < 0;
    while ((option = getopt(argc, argv, "+nrl:d:q:")) != -1) {
        if (option == 'n')
            r.o.create = false;
        else if (option == 'r')
            r.o.each = true;
        else if (option == 'l' && strcmp(optarg, "user") == 0)
            r.o.with_domain = false;
        else if (option == 'd')
            r.o.delimiter = span_of(optarg);
        else if (option == '?' || (option == 'l' && strcmp(optarg, "domain/user") != 0) ||
                 (option == 'q' &&
                  number_parse_size(span_of(optarg), (uint64_t)1 << 50, &r.o.quota) != NUMBER_OK))
            return usage();
    }
    if (argc - optind < 2 || strlen(argv[optind]) >= PATH_MAX)
        return usage();
    r.o.root = argv[optind];
    r.recipient = argv + optind + 1;
    r.n = (unsigned)(argc - optind - 1);
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is EFBIG */
    signal(SIGPIPE, SIG_IGN); /* nobody to tell: what is stored is taken back */
    set_host(&r.o);
    set_replies(&r.o, r.n);
    status = start(&r);
    idn_end(&idn);
    free(r.target);
    free(r.answer);
    return status;
}
