#include "adapters/policy.h"

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

/* access(5). FILTER and BCC are what smtpin can't do. */
static const struct {
    struct span word;
    enum policy_action action;
    unsigned code; /* of the reply that it may have; 0: none */
} words[] = {
    {TEXT_OF("OK"), POLICY_OK, 0},
    {TEXT_OF("DUNNO"), POLICY_DUNNO, 0},
    {TEXT_OF("REJECT"), POLICY_REPLY, 554},
    {TEXT_OF("DEFER"), POLICY_REPLY, 450},
    {TEXT_OF("DEFER_IF_PERMIT"), POLICY_DEFER_IF_PERMIT, 450},
    {TEXT_OF("DEFER_IF_REJECT"), POLICY_DEFER_IF_REJECT, 450},
    {TEXT_OF("PREPEND"), POLICY_PREPEND, 0},
    {TEXT_OF("REDIRECT"), POLICY_REDIRECT, 0},
    {TEXT_OF("DISCARD"), POLICY_DISCARD, 0},
    {TEXT_OF("HOLD"), POLICY_HOLD, 0},
    {TEXT_OF("WARN"), POLICY_WARN, 0},
    {TEXT_OF("INFO"), POLICY_INFO, 0},
};

size_t policy_answer_length(struct span in)
{
    size_t line = 0;

    while (line < in.n) {
        const size_t end = span_find(span_from(in, line), '\n');

        if (line + end == in.n)
            return 0;
        if (end == 0 || (end == 1 && in.p[line] == '\r'))
            return line + end + 1;
        line += end + 1;
    }
    return 0;
}

const char *policy_find_action(struct span answer, struct span *action)
{
    const char *wrong = "answers without an action";
    struct span line;

    while (span_word(&answer, "\n", &line)) {
        if (line.p[line.n - 1] == '\r')
            line.n--;
        if (span_has_control_but_tab(line))
            return "answers with a control character";
        if (wrong != NULL && span_starts_nocase(line, SPAN("action="))) {
            *action = span_from(line, 7);
            wrong = NULL;
        }
    }
    return wrong;
}

/* A name is printable octets but the colon. */
bool policy_is_field(struct span s)
{
    const size_t colon = span_find(s, ':');

    if (colon == 0 || colon == s.n || s.n > POLICY_FIELD_MAX)
        return false;
    for (size_t i = 0; i < colon; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

static void read_reply(struct policy_answer *out, unsigned code, struct text *room)
{
    out->reply = *smtp_reply(code >= 500 ? SMTP_REPLY_REFUSED : SMTP_REPLY_DEFERRED);
    out->reply.code = code;
    smtp_result_add_words(&out->reply, out->text, room);
}

static void read_kept(struct policy_answer *out, struct text *room)
{
    size_t end = 0;

    while (end < out->said.n && !byte_is_blank(out->said.p[end]))
        end++;
    if (smtp_result_of_words(&out->reply, out->said, room)) {
        out->action = POLICY_REPLY;
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!span_eq_nocase(words[i].word, span_first(out->said, end)))
            continue;
        out->text = span_trim(span_from(out->said, end));
        out->action = words[i].action;
        if (words[i].code != 0)
            read_reply(out, words[i].code, room);
        return;
    }
}

void policy_read_action(struct span action, struct arena *a, struct policy_answer *out)
{
    const struct span kept = arena_copy(a, span_trim(action));
    struct text room = {.p = arena_get(a, 2 * SMTP_RESULT_TEXT_MAX),
                        .cap = 2 * SMTP_RESULT_TEXT_MAX};

    *out = (struct policy_answer){.action = POLICY_UNKNOWN, .text = kept, .said = kept};
    if (kept.p == NULL || room.p == NULL)
        return;
    read_kept(out, &room);
    arena_shrink(a, room.p, room.n);
}
