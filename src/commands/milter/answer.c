#include "commands/milter/answer.h"

#include "smtp/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool answer_is_each(void)
{
    const char *replies = getenv("SMTPIN_REPLIES");

    return replies != NULL && (strcmp(replies, "each") == 0 || strcmp(replies, "merged") == 0);
}

/* A line of a reply of several: without its code and enhanced code. */
static struct span without_codes(struct span line)
{
    struct span rest, word;

    if (line.n < 4 || !byte_is_digit(line.p[0]) || !byte_is_digit(line.p[1]) ||
        !byte_is_digit(line.p[2]) || (line.p[3] != ' ' && line.p[3] != '-'))
        return line;
    line = rest = span_from(line, 4);
    if (!span_word(&rest, " ", &word) || word.n < 5 || word.p[1] != '.')
        return line;
    for (size_t i = 0; i < word.n; i++)
        if (word.p[i] != '.' && !byte_is_digit(word.p[i]))
            return line;
    return rest;
}

/* All of it as one line. libmilter doubles each '%', which sendmail takes for a format's. */
static void add_as_line(struct text *out, struct span text)
{
    bool first = true;

    while (text.n > 0) {
        const struct span line = span_first(text, span_find_line_end(text));
        const struct span more = span_trim(first ? line : without_codes(line));

        if (!first && more.n > 0)
            text_addc(out, ' ');
        for (size_t i = 0; i < more.n; i++) {
            text_addc(out, more.p[i]);
            i += more.p[i] == '%' && i + 1 < more.n && more.p[i + 1] == '%';
        }
        first = false;
        text = span_from(text, line.n + 1);
    }
}

void answer_line(char *room, size_t cap, unsigned code, struct span text)
{
    struct text line = {.p = room, .cap = cap - 1};
    char bytes[2 * SMTP_RESULT_TEXT_MAX], words[SMTP_RESULT_TEXT_MAX];
    struct text clean = TEXT(bytes), given = TEXT(words);
    struct smtp_reply reply;

    text_addn(&given, code, 3);
    text_addc(&given, ' ');
    add_as_line(&given, text);
    if (!smtp_result_of_words(&reply, text_span(&given), &clean))
        /* Its two codes are of two classes: the first one counts. */
        reply = (struct smtp_reply){.code = code < 500 ? 451 : 554,
                                    .enhanced = code < 500 ? SPAN("4.7.1") : SPAN("5.7.1"),
                                    .text = SPAN("Refused by a filter")};
    /* No line of DATA's has these, and the connection is not ours. */
    if (reply.code == 421 || reply.code == 521)
        reply.code = reply.code == 421 ? 451 : 554;
    text_addn(&line, reply.code, 3);
    text_addc(&line, ' ');
    text_add(&line, reply.enhanced);
    text_addc(&line, ' ');
    text_add(&line, reply.text);
    line.p[line.n] = '\0';
}

int answer_all(const char *line)
{
    if (puts(line) < 0 || fflush(stdout) != 0)
        return ANSWER_TEMPORARY;
    return line[0] == '5' ? ANSWER_FOR_GOOD : line[0] == '4' ? ANSWER_TEMPORARY : 0;
}
