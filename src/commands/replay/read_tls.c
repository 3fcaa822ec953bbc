#include "commands/replay/read_tls.h"

/* Words of the line, and the facts that they state. */
static const struct {
    struct span word, fact;
} words[] = {
    {{.p = "cipher", .n = 6}, {.p = "SSL_CIPHER_IANA", .n = 15}},
    {{.p = "group", .n = 5}, {.p = "SSL_GROUP", .n = 9}},
    {{.p = "sni", .n = 3}, {.p = "SSL_TLS_SNI", .n = 11}},
    {{.p = "client", .n = 6}, {.p = "SSL_CLIENT_NAME", .n = 15}},
};

bool read_tls_is_facts(struct span line, struct span *facts)
{
    const struct span name = span_trim(span_first(line, span_find(line, '=')));

    *facts = span_trim(span_from(line, span_find(line, '=') + 1));
    return span_eq(name, SPAN("tls")) && span_eq(span_first(*facts, 3), SPAN("TLS"));
}

/* Has the fact that value now? */
static bool is_set(struct tls_facts *f, struct span fact, struct span value)
{
    enum { SPANS = 5 };
    struct tls_facts with = *f;
    const struct span *before[SPANS] = {&f->protocol, &f->cipher_iana, &f->group, &f->sni,
                                        &f->name};
    const struct span *after[SPANS] = {&with.protocol, &with.cipher_iana, &with.group, &with.sni,
                                       &with.name};
    bool set = false;

    tls_facts_set(&with, fact, value);
    for (size_t i = 0; i < SPANS; i++)
        set = set || before[i]->p != after[i]->p;
    *f = with;
    return set;
}

static void read_word(struct reader *r, struct tls_facts *f, struct span word)
{
    const struct span name = span_first(word, span_find(word, '='));
    const struct span value = reader_unescape(r, span_from(word, name.n + 1), "");

    for (size_t i = 0; i < sizeof words / sizeof *words && r->wrong == NULL; i++)
        if (span_eq(name, words[i].word)) {
            if (!is_set(f, words[i].fact, value))
                r->wrong = "has a value that a fact of TLS can't have";
            return;
        }
    if (r->wrong == NULL)
        r->wrong = "has a word that is no fact of TLS (cipher=, group=, sni=, client=)";
}

static void begin_tls(struct reader *r)
{
    struct step *s = arena_get(r->a, sizeof *s), *before = r->starttls_end;

    if (s == NULL) {
        reader_too_large(r);
        return;
    }
    *s = (struct step){.kind = STEP_TLS, .line = before->line, .next = before->next};
    before->next = s;
    if (r->t->last == before)
        r->t->last = s;
    r->starttls_end = NULL;
    r->starttls = false;
}

void read_tls_facts(struct reader *r, struct span facts, bool at_top)
{
    struct told_tls *tls = &r->t->tls;
    struct span left = arena_copy(r->a, facts), word;

    if (left.p == NULL)
        reader_too_large(r);
    else if (tls->line > 0)
        r->wrong = "tells of the session's TLS again";
    else if (!at_top && r->starttls_end == NULL)
        r->wrong = "tells of TLS: only at the top, and behind the reply to STARTTLS";
    else if (!at_top && step_accepts_only(r->t->last, ACCEPT_END))
        r->wrong = "stands behind the end of the connection (S: end)";
    if (r->wrong != NULL)
        return;
    tls->line = r->line;
    span_word(&left, " \t", &word);
    if (!is_set(&tls->facts, SPAN("SSL_PROTOCOL"), word))
        r->wrong = "has a version that TLS can't have";
    while (r->wrong == NULL && span_word(&left, " \t", &word))
        read_word(r, &tls->facts, word);
    tls->facts.verify = tls->facts.name.n > 0 ? SPAN("SUCCESS") : SPAN("NONE");
    if (!at_top && r->wrong == NULL)
        begin_tls(r);
}

/* A line ends with CRLF alone, as for smtpin. */
static bool is_starttls(const struct text *sent)
{
    const struct span line = text_span(sent);

    return !sent->cut && line.n >= 2 && line.p[line.n - 1] == '\n' && line.p[line.n - 2] == '\r' &&
           span_eq_nocase(span_trim(span_first(line, line.n - 2)), SPAN("STARTTLS"));
}

void read_tls_sent(struct reader *r, struct span bytes)
{
    if (bytes.n > 0 && r->starttls_end != NULL)
        begin_tls(r);
    for (size_t i = 0; i < bytes.n; i++) {
        if (!r->in_sent_line)
            r->sent = TEXT(r->sent_room);
        text_addc(&r->sent, bytes.p[i]);
        r->in_sent_line = bytes.p[i] != '\n';
        r->starttls = !r->in_sent_line && is_starttls(&r->sent);
        r->t->starttls = r->t->starttls || r->starttls;
    }
}

void read_tls_expected(struct reader *r, struct step *s)
{
    if (r->starttls)
        r->starttls_end = s;
}
