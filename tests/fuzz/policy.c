/* The policy protocol. The first octet chooses: an answer of a server, whole and in pieces, with
 * more or less memory; or a request, of what clients have said. */
#include "adapters/policy.h"
#include "syntax/policy_server.h"

#include <stdlib.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { ATTRIBUTES = 29 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same_reply(const struct smtp_reply *a, const struct smtp_reply *b)
{
    return a->code == b->code && span_eq(a->enhanced, b->enhanced) && span_eq(a->text, b->text);
}

/* What a client would hear: one line, of a class that refuses, with an enhanced code of the same.
 */
static void try_reply(const struct smtp_reply *r)
{
    char room[SMTP_REPLY_LINE_MAX];
    struct text out = TEXT(room);

    promise(r->code >= 400 && r->code < 600 && r->code / 10 % 10 <= 5);
    promise(r->enhanced.n > 0 && (unsigned)(r->enhanced.p[0] - '0') == r->code / 100);
    promise(!span_has_control_but_tab(r->text) && span_is_ascii(r->text));
    smtp_reply_line(&out, r, true, true, SPAN(""));
    promise(!out.cut && out.n > 2 && span_count(text_span(&out), '\n') == 1);
}

static void try_action(struct span action, size_t memory)
{
    static char room[1 << 14], again_room[1 << 14];
    struct arena a = {.base = room, .cap = memory < sizeof room ? memory : sizeof room};
    struct arena b = {.base = again_room, .cap = sizeof again_room};
    struct policy_answer got, again;

    policy_read_action(action, &a, &got);
    policy_read_action(action, &b, &again);
    promise(a.used <= a.cap && again.said.p != NULL);
    promise(got.said.p == NULL || span_eq(got.said, again.said));
    promise(span_eq(again.said, span_trim(action)));
    promise(!span_has_control_but_tab(again.said) && again.text.n <= again.said.n);
    if (again.action == POLICY_DEFER_IF_PERMIT || again.action == POLICY_DEFER_IF_REJECT)
        promise(again.reply.code == 450);
    if (again.reply.code != 0 && again.action != POLICY_UNKNOWN)
        try_reply(&again.reply);
    /* With little memory, another answer is none at all, or has a usual text. */
    promise(got.action == again.action || got.action == POLICY_UNKNOWN);
    if (got.action == POLICY_REPLY)
        promise(got.reply.code == again.reply.code);
    /* What it is said to be, it is said to be again. */
    b.used = a.used = 0;
    a.cap = sizeof room;
    policy_read_action(again.said, &a, &got);
    promise(got.action == again.action && is_same_reply(&got.reply, &again.reply));
}

static void try_answer(struct span in, size_t memory)
{
    const size_t n = policy_answer_length(in);
    struct span action = SPAN("");
    const char *wrong;

    /* In pieces, its end is at the same place, and not found before. */
    for (size_t i = 0; i <= in.n && i < POLICY_ANSWER_MAX; i++)
        promise(policy_answer_length(span_first(in, i)) == (n > 0 && i >= n ? n : 0));
    if (n == 0)
        return;
    promise(in.p[n - 1] == '\n');
    wrong = policy_find_action(span_first(in, n), &action);
    if (wrong != NULL)
        return;
    promise(action.n == 0 || (action.p > in.p && action.p + action.n < in.p + n));
    try_action(action, memory);
}

/* Each attribute once, in one line; and an empty line, at the end. */
static void try_request(struct span in)
{
    const struct smtp_options options = {.lmtp = false};
    struct smtp_recipient recipient = {.result = {.code = 0}};
    struct smtp_session s = {.options = &options, .esmtp = true, .transactions = in.n};
    struct peer peer = {.address = in};
    char room[POLICY_REQUEST_MAX];
    struct policy_facts f = {.session = &s, .peer = &peer, .size = in.n};
    size_t lines = 0;
    struct span left, line;

    span_word(&in, "|", &s.helo);
    span_word(&in, "|", &s.transaction.reverse_path.address);
    span_word(&in, "|", &recipient.mailbox.address);
    span_word(&in, "|", &peer.name);
    span_word(&in, "|", &f.id);
    s.transaction.first = s.transaction.last = &recipient;
    s.transaction.recipients = 1;
    f.recipient = &recipient.mailbox;
    for (f.state = POLICY_CONNECT; f.state <= POLICY_END_OF_MESSAGE; f.state++) {
        struct text out = TEXT(room);

        policy_write(&out, &f);
        promise(!out.cut && policy_answer_length(text_span(&out)) == out.n);
        left = text_span(&out);
        for (lines = 0; span_word(&left, "\n", &line); lines++)
            promise(!span_has_control(line) && span_find(line, '=') < line.n);
        promise(lines == ATTRIBUTES);
    }
    if (policy_is_server(in) == NULL)
        promise(in.n <= POLICY_SERVER_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span in = {.p = (const char *)data + 1, .n = size - 1};

    if (size < 1)
        return 0;
    if (data[0] & 1)
        try_request(in);
    else
        try_answer(in, (size_t)data[0] * 16);
    return 0;
}
