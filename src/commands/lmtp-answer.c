#include "commands/lmtp.h"

#include "smtp/result.h"

#include <stdio.h>

enum {
    STATUS_NO_USER = 67, /* sysexits(3), as smtpin-delivery(7) has them */
    STATUS_NO_HOST = 68,
    STATUS_REFUSED = 77,
    STATUS_FOR_GOOD = 100, /* qmail-command(8) */
};

/* A result as smtpin reads it from our line; `said` is what the server said, without the code. */
struct answer {
    struct smtp_reply reply;
    struct span said;
};

/* An odd code is 451 for this one alone. An enhanced code of another class than the code's goes, or
 * the line would be none (smtpin-delivery(7)); the reply's text is in *room. */
static struct answer answer_of(const struct lmtp_reply *r, struct text *room)
{
    const bool odd = r->code < 200 || (r->code >= 300 && r->code < 400);
    struct answer a = {.said = span_trim(span_from(span_of(r->line), 4))};
    char bytes[LMTP_REPLY_MAX + 8];
    struct text line = TEXT(bytes);

    if (a.said.n > 1 && byte_is_digit(a.said.p[0]) && a.said.p[1] == '.' &&
        (unsigned)(a.said.p[0] - '0') != r->code / 100)
        a.said = span_trim(span_from(a.said, span_find(a.said, ' ')));
    text_addn(&line, odd ? 451 : r->code, 3);
    text_addc(&line, ' ');
    text_add(&line, a.said);
    if (!smtp_result_of_line(&a.reply, text_span(&line), room)) {
        /* The code alone is a line in any case. */
        a.said = SPAN("");
        smtp_result_of_line(&a.reply, span_first(text_span(&line), 3), room);
    }
    return a;
}

static void print_each(const struct lmtp_reply *r)
{
    char bytes[SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    const struct answer a = answer_of(r, &room);
    const bool odd = a.reply.code / 100 != r->code / 100;

    printf("%u%s%.*s\n", odd ? 451 : r->code, a.said.n > 0 ? " " : "", SPAN_FORMAT(a.said));
}

/* The status that stands for this refusal, if the line is not looked at. */
static int status_of(const struct smtp_reply *refusal)
{
    if (span_eq(refusal->enhanced, SPAN("5.1.1")))
        return STATUS_NO_USER;
    if (span_eq(refusal->enhanced, SPAN("5.1.2")))
        return STATUS_NO_HOST;
    return span_starts_nocase(refusal->enhanced, SPAN("5.7.")) ? STATUS_REFUSED : STATUS_FOR_GOOD;
}

/* What fits all of them. Not all the same: 451, so that nobody who was refused counts as having it,
 * and nobody who has it as refused. *mixed: it is such a reply of our own. */
static struct lmtp_reply fitting(const struct lmtp_reply *result, size_t n, bool *mixed)
{
    const struct lmtp_reply *told = &result[0];
    bool good = false, later = false, bad = false;
    struct lmtp_reply own;

    for (size_t i = 0; i < n; i++) {
        const struct lmtp_reply *r = &result[i];

        if (lmtp_is_good(r)) {
            good = true;
        } else if (r->code < 500) {
            told = later ? told : r;
            later = true;
        } else {
            told = !later && r->code > told->code ? r : told;
            bad = true;
        }
    }
    *mixed = (good && (bad || later)) || (bad && later);
    if (!good || !bad || later)
        return *told;
    lmtp_say(&own, "451 4.3.0 The next server took the message for some recipients only");
    return own;
}

int lmtp_answer(const struct lmtp_reply *result, size_t n, enum lmtp_lines lines)
{
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    bool mixed;
    const struct lmtp_reply told = fitting(result, n, &mixed);
    const struct answer a = answer_of(&told, &room);
    int status = 0;

    /* Nobody knows who reads it: as lines where the first of them fits all. */
    if (lines == LMTP_LINES_READ || (lines == LMTP_LINES_UNKNOWN && !mixed))
        for (size_t i = 0; i < n; i++)
            print_each(&result[i]);
    else
        printf("%u %.*s %.*s\n", a.reply.code, SPAN_FORMAT(a.reply.enhanced),
               SPAN_FORMAT(a.reply.text));
    if (a.reply.code >= 400)
        status = a.reply.code < 500 ? LMTP_TEMPORARY : status_of(&a.reply);
    if (fflush(stdout) != 0 && lines == LMTP_LINES_READ)
        return LMTP_TEMPORARY;
    /* Else the status alone says it, should the lines not be read. */
    return lines == LMTP_LINES_READ ? 0 : status;
}
