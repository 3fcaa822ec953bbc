#include "commands/replay/read_auth.h"

#include "adapters/auth_state.h"
#include "base/base64.h"
#include "commands/replay/read_told.h"

/* RFC 4422 3.1: in capitals here, as they are announced. */
static bool is_mechanism(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];

        if (!(c >= 'A' && c <= 'Z') && !byte_is_digit(c) && c != '-' && c != '_')
            return false;
    }
    return name.n <= AUTH_MECHANISM_MAX;
}

/* The last such line counts: a server's list holds for the whole session. */
static void mechanisms(struct reader *r, struct span list)
{
    struct text t = {.cap = list.n + 1};
    struct span word;
    size_t n = 0;

    t.p = arena_get(r->a, t.cap);
    if (t.p == NULL) {
        reader_too_large(r);
        return;
    }
    while (r->wrong == NULL && span_word(&list, " \t", &word)) {
        if (!is_mechanism(word))
            r->wrong = "has a mechanism that has not the form of one (such as SCRAM-SHA-256)";
        text_adds(&t, n++ > 0 ? " " : "");
        text_add(&t, word);
    }
    if (n > AUTH_MECHANISMS_N || t.n > AUTH_MECHANISMS_MAX)
        r->wrong = "has too many mechanisms";
    r->t->mechanisms = text_span(&t);
}

static void add(struct reader *r, enum told_end end, struct span says)
{
    struct told *t = read_told(r, TOLD_AUTH);

    if (t == NULL)
        return;
    t->end = end;
    t->has_end = true;
    t->says = says;
}

static void challenge(struct reader *r, struct span value)
{
    const struct span text = reader_unescape(r, value, "");

    if (r->wrong == NULL && BASE64_ENCODED(text.n) > AUTH_RESPONSE_MAX)
        r->wrong = "has a challenge that is too long";
    add(r, TOLD_GOES_ON, text);
}

static void user(struct reader *r, struct span value)
{
    const struct span name = reader_unescape(r, value, "");

    if (r->wrong == NULL && !auth_is_user(name))
        r->wrong = "wants a user's name (or mechanisms, challenge, wrong, malformed, later, hangs, "
                   "none)";
    add(r, TOLD_EXITS, name);
}

void read_auth(struct reader *r, struct span rest)
{
    static const struct {
        struct span word;
        enum told_end end;
    } ends[] = {
        {{.p = "wrong", .n = 5}, TOLD_WRONG},
        {{.p = "malformed", .n = 9}, TOLD_MALFORMED},
        {{.p = "later", .n = 5}, TOLD_LATER},
        {{.p = "hangs", .n = 5}, TOLD_HANGS},
    };
    const struct span name = span_first(rest, span_find(rest, ' '));
    const struct span value = span_trim(span_from(rest, name.n));

    r->t->told[TOLD_AUTH].checked = true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (span_eq(name, ends[i].word)) {
            read_nothing(r, value);
            add(r, ends[i].end, SPAN(""));
            return;
        }
    if (span_eq(name, SPAN("none")))
        read_nothing(r, value);
    else if (span_eq(name, SPAN("mechanisms")))
        mechanisms(r, value);
    else if (span_eq(name, SPAN("challenge")))
        challenge(r, value);
    else
        user(r, rest);
}
