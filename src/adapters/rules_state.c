#include "adapters/rules_state.h"

#include "syntax/network.h"
#include "syntax/table_source.h"

bool rules_trusts(const struct rules *r)
{
    return r->peer->relays || network_list_has(r->config->relay_clients, r->peer->address);
}

bool rules_is_near(const struct rules *r)
{
    return r->peer->address.n == 0 || rules_trusts(r) ||
           network_list_has(SPAN("127.0.0.0/8 ::1"), r->peer->address);
}

void rules_keep_last(struct rules *r, const char *rule, struct span source, struct span key,
                     struct span said)
{
    struct rules_sources *s = r->sources;

    /* What nobody was asked about touches no memory. */
    if (source.n + key.n + said.n == 0 && (s == NULL || s->last == NULL))
        return;
    s = rules_sources(r);
    s->last = source.n + key.n + said.n == 0 ? NULL : rule;
    s->last_source = TEXT(s->last_room[0]);
    s->last_key = TEXT(s->last_room[1]);
    s->last_said = TEXT(s->last_room[2]);
    text_add(&s->last_source, span_first(source, RULES_LAST_MAX));
    text_add(&s->last_key, span_first(key, RULES_LAST_MAX));
    text_add(&s->last_said, span_first(said, RULES_LAST_MAX));
}

bool rules_last(const struct rules *r, const char *rule, struct span *source, struct span *key,
                struct span *said)
{
    const struct rules_sources *s = r->sources;

    if (s == NULL || s->last == NULL || !span_eq(span_of(s->last), span_of(rule)))
        return false;
    *source = text_span(&s->last_source);
    *key = text_span(&s->last_key);
    *said = text_span(&s->last_said);
    return true;
}

static void open_table(const struct config *c, struct table *t, struct span source)
{
    table_open(t, source);
    t->idn = c->idn;
}

/* A table that is not set is not even touched. */
static void open_if_set(const struct config *c, struct table *t, struct span source)
{
    if (source.n > 0)
        open_table(c, t, source);
}

static void close_if_set(struct table *t, struct span source)
{
    if (source.n > 0)
        table_close(t);
}

struct rules_sources *rules_sources(struct rules *r)
{
    struct rules_sources *s = r->sources;
    const struct config *c = r->config;
    struct span left = c->domains, word;

    if (s->open)
        return s;
    s->open = true;
    s->domain_tables = s->servers = 0;
    open_if_set(c, &s->recipients, c->recipients);
    open_if_set(c, &s->aliases, c->aliases);
    open_if_set(c, &s->senders, c->senders);
    open_if_set(c, &s->sender_login, c->sender_login);
    while (span_word(&left, " \t,", &word))
        if (table_is_source(word) == NULL)
            open_table(c, &s->domains[s->domain_tables++], word);
    left = c->policy;
    while (span_word(&left, " \t,", &word))
        policy_open(&s->server[s->servers++], word);
    return s;
}

void rules_close(struct rules *r)
{
    struct rules_sources *s = r->sources;

    if (s == NULL || !(r->config->asks || r->config->policy.n > 0) || !s->open)
        return;
    close_if_set(&s->recipients, r->config->recipients);
    close_if_set(&s->aliases, r->config->aliases);
    close_if_set(&s->senders, r->config->senders);
    close_if_set(&s->sender_login, r->config->sender_login);
    for (size_t i = 0; i < s->domain_tables; i++)
        table_close(&s->domains[i]);
    for (size_t i = 0; i < s->servers; i++)
        policy_close(&s->server[i]);
    s->open = false;
}

bool rules_alias_to(struct rules_question *q, const struct smtp_mailbox *mailbox)
{
    struct smtp_recipient *r = arena_get(q->rules->session->transaction.arena, sizeof *r);

    if (r == NULL)
        return false;
    *r = (struct smtp_recipient){.mailbox = *mailbox};
    q->aliased = r;
    return true;
}

void rules_give_aliases(const struct rules_question *q, struct smtp_recipient *recipient)
{
    recipient->aliased = q->aliased;
    for (struct smtp_recipient *r = q->aliased; r != NULL; r = r->next)
        r->of = recipient;
}

enum smtp_opinion rules_take_reply(struct rules_question *q, const struct smtp_reply *reply)
{
    struct arena *a = q->rules->session->transaction.arena;

    q->reply = *reply;
    q->reply.rule = NULL; /* the rule's own name */
    q->reply.enhanced = arena_copy(a, reply->enhanced);
    q->reply.text = arena_copy(a, reply->text);
    if (q->reply.enhanced.p == NULL || q->reply.text.p == NULL)
        q->reply = *smtp_reply(SMTP_REPLY_NO_MEMORY);
    return q->reply.code >= 500 ? SMTP_REFUSE : SMTP_DEFER;
}

void rules_tell(struct rules *r, struct span source, const struct smtp_mailbox *recipient,
                const char *what, struct span text)
{
    if (r->note != NULL)
        r->note(r->context,
                &(struct rules_note){.source = source,
                                     .recipient = recipient == NULL ? SPAN("") : recipient->address,
                                     .what = what,
                                     .text = text});
}
