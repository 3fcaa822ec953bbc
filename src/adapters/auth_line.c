#include "adapters/auth_line.h"

#include "base/base64.h"
#include "base/number.h"

bool auth_line_word(struct span *line, struct span *word)
{
    const size_t n = span_find(*line, '\t');

    if (line->p == NULL)
        return false;
    *word = span_first(*line, n);
    *line = n < line->n ? span_from(*line, n + 1) : (struct span){0};
    return true;
}

/* NAME, or NAME=VALUE. */
static bool has_name(struct span word, const char *name, struct span *value)
{
    const size_t n = span_find(word, '=');

    *value = span_from(word, n + 1);
    return span_eq(span_first(word, n), span_of(name));
}

/* `nologin` and `proxy`: the password is right, and the user has no login here all the same.
 * (Octets that would end a word are escaped by \001, a control octet, which no name of ours has.)
 */
static bool read_ok(struct span words, struct auth_line *out)
{
    struct span word, value;
    bool here = true;

    while (auth_line_word(&words, &word)) {
        if (has_name(word, "user", &value))
            out->user = value;
        else if (has_name(word, "nologin", &value) || has_name(word, "proxy", &value))
            here = false;
    }
    if (!here || !auth_is_user(out->user))
        out->user = (struct span){0};
    return true;
}

static bool read_fail(struct span words, struct auth_line *out)
{
    struct span word, value;

    out->why = AUTH_WRONG;
    while (auth_line_word(&words, &word)) {
        if (has_name(word, "temp", &value))
            out->why = AUTH_LATER;
        else if (has_name(word, "code", &value))
            out->why = span_eq(value, SPAN("temp_fail"))        ? AUTH_LATER
                       : span_eq(value, SPAN("invalid_base64")) ? AUTH_MALFORMED
                                                                : out->why;
    }
    return true;
}

static bool read_cont(struct span words, struct auth_line *out)
{
    struct span word, value;

    if (!auth_line_word(&words, &out->data) || out->data.n > AUTH_RESPONSE_MAX ||
        !base64_is(out->data))
        return false;
    while (auth_line_word(&words, &word))
        if (has_name(word, "channel_binding", &value))
            out->binding = value;
    return true;
}

bool auth_line_read(struct span line, struct auth_line *out)
{
    struct span command, id;

    *out = (struct auth_line){.kind = AUTH_LINE_OK};
    if (!auth_line_word(&line, &command) || !auth_line_word(&line, &id) ||
        number_parse(id, UINT32_MAX, &out->id) != NUMBER_OK)
        return false;
    if (span_eq(command, SPAN("OK")))
        return read_ok(line, out);
    if (span_eq(command, SPAN("FAIL"))) {
        out->kind = AUTH_LINE_FAIL;
        return read_fail(line, out);
    }
    if (span_eq(command, SPAN("CONT"))) {
        out->kind = AUTH_LINE_CONT;
        return read_cont(line, out);
    }
    out->kind = AUTH_LINE_CANCELLED;
    return span_eq(command, SPAN("CANCELLED"));
}

static bool is_mechanism(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];

        if (!byte_is_digit(c) && (c < 'A' || c > 'Z') && c != '-' && c != '_')
            return false;
    }
    return name.n > 0 && name.n <= AUTH_MECHANISM_MAX;
}

bool auth_line_mechanism(struct span words, struct auth_mechanism *out)
{
    struct span name, word;
    struct text t = {.p = out->name, .cap = AUTH_MECHANISM_MAX};
    bool ours;

    *out = (struct auth_mechanism){.plaintext = false};
    if (!auth_line_word(&words, &name) || !is_mechanism(name))
        return false;
    text_add(&t, name);
    out->channel_binding = name.n > 5 && span_eq(span_from(name, name.n - 5), SPAN("-PLUS"));
    ours = !span_eq(name, SPAN("ANONYMOUS"));
    while (auth_line_word(&words, &word)) {
        if (span_eq(word, SPAN("private")) || span_eq(word, SPAN("anonymous")))
            ours = false;
        else if (span_eq(word, SPAN("plaintext")))
            out->plaintext = true;
        else if (span_eq(word, SPAN("channel-binding")))
            out->channel_binding = true;
    }
    return ours;
}
