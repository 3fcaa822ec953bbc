#include "adapters/check.h"

#include "adapters/recorder.h"
#include "adapters/run.h"
#include "smtp/result.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    STATUS_DATA_ERROR = 65, /* sysexits(3) */
    STATUS_NO_USER = 67,
    STATUS_NO_PERMISSION = 77,
    STATUS_NO_OPINION = 99, /* qmail-command(8) */
    STATUS_PERMANENT = 100,
};

static const struct {
    struct span name;
    const char *rule;
} kinds[] = {
    [CHECK_CLIENT] = {{.p = "client", .n = 6}, "check_client"},
    [CHECK_SENDER] = {{.p = "sender", .n = 6}, "check_sender"},
    [CHECK_RECIPIENT] = {{.p = "recipient", .n = 9}, "check_recipient"},
};

static struct smtp_reply deferral(void)
{
    struct smtp_reply reply = *smtp_reply(SMTP_REPLY_DEFERRED);

    reply.code = 451;
    reply.enhanced = SPAN("4.3.0");
    return reply;
}

/* 65 and 100 are 554 after a message. Before it, RFC 5321 4.3.2 has 550 for both MAIL and RCPT ("no
 * access, or command rejected for policy reasons", 4.2.3), and no 554: that would say that a
 * transaction has failed, and the other recipients' has not. Their enhanced codes are about a
 * message, too (5.6.0) or about this system (5.3.0). What is true of both is 5.7.1, "message
 * refused" by a filter (RFC 3463 3.8). 67 says that a recipient does not exist (5.1.1), which makes
 * senders strike it off their lists: of a client or a sender that would be false. */
static struct smtp_verdict verdict_of(enum check_kind kind, const struct child_result *child)
{
    const unsigned status = child->end == CHILD_EXITED ? (unsigned)child->status : ~0U;

    switch (status) {
    case 0:
        return (struct smtp_verdict){.opinion = SMTP_ACCEPT};
    case STATUS_NO_OPINION:
        return (struct smtp_verdict){.opinion = SMTP_NO_OPINION};
    case STATUS_NO_USER:
        if (kind == CHECK_RECIPIENT)
            return (struct smtp_verdict){SMTP_REFUSE, smtp_result_of_exit(NULL, status)};
        return (struct smtp_verdict){SMTP_REFUSE, *smtp_reply(SMTP_REPLY_REFUSED)};
    case STATUS_NO_PERMISSION:
        return (struct smtp_verdict){SMTP_REFUSE, smtp_result_of_exit(NULL, status)};
    case STATUS_DATA_ERROR:
    case STATUS_PERMANENT:
        return (struct smtp_verdict){SMTP_REFUSE, *smtp_reply(SMTP_REPLY_REFUSED)};
    default:
        return (struct smtp_verdict){SMTP_DEFER, deferral()};
    }
}

/* The command's own words, within the class that its status has decided: which class they are of is
 * seen from what they would make of the reply. A basic code counts exactly as written (RCPT has
 * more of them than a delivery has); an enhanced code alone leaves the basic one as it is. */
static void add_words(struct smtp_reply *reply, struct span said, struct text *room)
{
    struct smtp_reply refined = *reply, whole;
    struct span line = smtp_first_line(said);

    while (line.n > 0 && (byte_is_blank(line.p[0]) || byte_is_control(line.p[0])))
        line = span_from(line, 1);
    smtp_result_refine(&refined, line, true, room);
    if (refined.code / 100 != reply->code / 100)
        return;
    if (!smtp_result_of_words(&whole, line, room)) {
        reply->enhanced = refined.enhanced;
        reply->text = refined.text;
    } else if (whole.code == reply->code) {
        smtp_result_add_words(reply, span_from(line, 4), room);
    } else {
        *reply = whole;
    }
}

/* A copy of the reply's words in the arena. In a full one, they stay those of the status. */
static void keep_words(struct smtp_reply *reply, const struct smtp_reply *usual, struct arena *a)
{
    const struct span text = arena_copy(a, reply->text);
    const struct span enhanced = arena_copy(a, reply->enhanced);

    if (text.p == NULL || enhanced.p == NULL) {
        *reply = *usual;
        return;
    }
    reply->text = text;
    reply->enhanced = enhanced;
}

/* The line of an alias: its address, maybe empty, in *address. */
static bool is_alias(struct span line, struct span *address)
{
    struct span word;

    *address = line;
    if (!span_word(address, " \t", &word) || !span_eq_nocase(word, SPAN("recipient")))
        return false;
    *address = span_trim(*address);
    return true;
}

/* An address is what RCPT takes, with its brackets or without. */
static bool read_address(struct span printed, struct arena *a, struct span *out)
{
    char bytes[2 * SMTP_ADDRESS_MAX];
    const bool bare = printed.n == 0 || printed.p[0] != '<';
    struct text path = TEXT(bytes);
    struct smtp_mailbox mailbox;
    struct span rest;

    text_adds(&path, bare ? "<" : "");
    text_add(&path, printed);
    text_adds(&path, bare ? ">" : "");
    rest = text_span(&path);
    if (path.cut || smtp_forward_path(&rest, a, &mailbox, NULL) != SMTP_PATH_OK || rest.n > 0)
        return false;
    *out = mailbox.address;
    return true;
}

/* False: whom the message is for is not certain. */
static bool find_alias(const struct text *said, struct arena *a, struct span *out)
{
    struct span left = text_span(said), line, address;

    while (span_word(&left, "\n", &line)) {
        line.n -= line.p[line.n - 1] == '\r';
        if (!is_alias(line, &address))
            continue;
        if (out->n > 0 || !read_address(address, a, out))
            return false;
    }
    return !said->cut;
}

static void run(const struct check *q, struct run *r)
{
    const struct run_how how = {.words = q->command, .timeout = q->timeout};

    r->message = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (r->message < 0)
        run_not_started(r, errno);
    else
        run_start(r, &how, r->message);
    while (!r->process.ended)
        child_attend(&r->process, 1);
    run_close(r);
}

void check_ask(const struct check *q, struct check_result *out)
{
    char bytes[RUN_SAID_MAX], words[3 * SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(words); /* of the reply's words, until they are kept */
    struct smtp_verdict *verdict = &out->verdict;
    struct run r = {
        .facts = {.session = q->session,
                  .peer = q->peer,
                  .id = q->id,
                  .delimiter = q->config->recipient_delimiter,
                  .size = q->session->transaction.declared_size,
                  .replies = SPAN("one"),
                  .check = kinds[q->kind].name,
                  .recipient = &q->recipient,
                  .recipients = q->recipient != NULL},
        .arena = arena_behind(q->arena, q->arena->cap),
        .said = TEXT(bytes),
        .message = -1,
        .envelope = -1,
    };

    r.complained = TEXT(r.complained_room);
    run(q, &r);
    if (q->recorder != NULL)
        recorder_check(q->recorder, &r.process.result, text_span(&r.said));
    *out = (struct check_result){.child = r.process.result,
                                 .verdict = verdict_of(q->kind, &r.process.result)};
    if (verdict->opinion == SMTP_ACCEPT && q->kind == CHECK_RECIPIENT &&
        !find_alias(&r.said, q->arena, &out->recipient)) {
        out->bad_output = true;
        out->recipient = (struct span){0};
        *verdict = (struct smtp_verdict){SMTP_DEFER, deferral()};
    } else if (verdict->reply.code != 0) {
        const struct smtp_reply usual = verdict->reply;

        if (r.process.result.end == CHILD_EXITED)
            add_words(&verdict->reply, text_span(&r.said), &room);
        keep_words(&verdict->reply, &usual, q->arena);
    }
    verdict->reply.rule = kinds[q->kind].rule;
    out->said = arena_copy(q->arena, smtp_first_line(text_span(&r.said)));
    out->complained = arena_copy(q->arena, smtp_first_line(text_span(&r.complained)));
}
