#include "syntax/words.h"

/* One word off *line to the end of *out. \" is a quote that means nothing. */
static bool split_word(struct span *line, struct text *out)
{
    bool quoted = false;

    for (;;) {
        size_t n = 0;

        while (n < line->n && line->p[n] != '"' && line->p[n] != '\\' &&
               (quoted || !byte_is_blank(line->p[n])))
            n++;
        text_add(out, span_first(*line, n));
        *line = span_from(*line, n);
        if (line->n == 0 || byte_is_blank(line->p[0]))
            return !quoted;
        if (line->p[0] == '"') {
            quoted = !quoted;
        } else {
            if (line->n > 1 && line->p[1] == '"')
                *line = span_from(*line, 1);
            text_addc(out, line->p[0]);
        }
        *line = span_from(*line, 1);
    }
}

const char *words_split(struct span line, struct arena *a, struct words *out)
{
    /* All words, each with its terminator: never longer than the line and one more. */
    struct text all = {.p = arena_get(a, line.n + 2), .cap = line.n + 2};
    struct span *words = arena_get(a, WORDS_MAX * sizeof *words);
    size_t n = 0;

    if (all.p == NULL || words == NULL)
        return "is too long";
    for (line = span_trim(line); line.n > 0; line = span_trim(line)) {
        const size_t start = all.n;

        if (n == WORDS_MAX)
            return "has too many words";
        if (line.p[0] == '#')
            return "has a word that begins with '#', and no quotes";
        if (line.p[0] == '\'')
            return "has single quotes: only \"...\" keeps blanks together";
        if (!split_word(&line, &all))
            return "has a quote without an end";
        words[n] = (struct span){.p = all.p + start, .n = all.n - start};
        n++;
        text_addc(&all, '\0');
    }
    arena_shrink(a, words, n * sizeof *words);
    *out = (struct words){.word = words, .n = n, .macros = span_find(text_span(&all), '$') < all.n};
    return NULL;
}

void words_add(struct text *out, struct span word)
{
    bool quoted = word.n == 0 || word.p[0] == '#' || word.p[0] == '\'';
    size_t end = word.n; /* of what the quotes are around: a '\' before a quote would be its */

    for (size_t i = 0; i < word.n; i++)
        quoted = quoted || byte_is_blank(word.p[i]);
    while (end > 0 && word.p[end - 1] == '\\')
        end--;
    for (size_t i = 0; i < end; i++) {
        text_adds(out, quoted && i == 0 ? "\"" : "");
        text_adds(out, word.p[i] == '"' ? "\\" : "");
        text_addc(out, word.p[i]);
    }
    text_adds(out, quoted && end == 0 ? "\"\"" : quoted ? "\"" : "");
    text_add(out, span_from(word, end));
}
