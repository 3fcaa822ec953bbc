#include "adapters/rules_tables.h"

#include "adapters/alias.h"
#include "adapters/lookup.h"
#include "syntax/idn.h"

bool rules_domain_listed(struct span list, struct span domain)
{
    struct span word;

    while (span_word(&list, " \t,", &word)) {
        if (span_eq_nocase(word, domain))
            return true;
        if (word.p[0] == '.' && domain.n > word.n &&
            span_eq_nocase(word, span_from(domain, domain.n - word.n)))
            return true;
    }
    return false;
}

/* What a look-up says for the record; the opinion that it could not be made. */
static enum smtp_opinion lost(struct rules_question *q, const struct table *t, const char *why)
{
    q->reply = *smtp_reply(SMTP_REPLY_NO_LOOKUP);
    q->source = t->source;
    q->said = span_of(why);
    return SMTP_DEFER;
}

static void found(struct rules_question *q, const struct table *t, const struct lookup *l)
{
    q->source = t->source;
    q->key = l->key;
    q->said = l->value;
}

/* What a look-up has come to, for the record. False: *opinion is all that there is to say. */
static bool has_found(struct rules_question *q, const struct table *t, enum table_result result,
                      const struct lookup *l, enum smtp_opinion *opinion)
{
    *opinion = result == TABLE_FAILED ? lost(q, t, l->wrong) : SMTP_NO_OPINION;
    q->source = t->source;
    if (result == TABLE_FOUND)
        found(q, t, l);
    return result == TABLE_FOUND;
}

/* The value is a reply: an opinion. */
static enum smtp_opinion reply_of(struct rules_question *q, const struct lookup *l,
                                  enum lookup_meaning *meaning)
{
    char bytes[2 * SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    struct smtp_reply reply;

    *meaning = lookup_read_value(l->value, &reply, &room);
    return *meaning == LOOKUP_REPLY ? rules_take_reply(q, &reply) : SMTP_NO_OPINION;
}

static enum smtp_opinion ask_domain_tables(struct rules_question *q)
{
    struct rules_sources *s = rules_sources(q->rules);
    struct arena *a = q->rules->session->transaction.arena;
    enum lookup_meaning meaning;
    enum smtp_opinion opinion;
    struct lookup l;

    for (size_t i = 0; i < s->domain_tables; i++)
        switch (lookup_domain(&s->domains[i], q->domain, a, &l)) {
        case TABLE_FAILED:
            q->whose = RULES_DOMAIN_LOST;
            return lost(q, &s->domains[i], l.wrong);
        case TABLE_FOUND:
            q->whose = RULES_DOMAIN_OURS;
            found(q, &s->domains[i], &l);
            opinion = reply_of(q, &l, &meaning);
            return opinion == SMTP_NO_OPINION ? SMTP_ACCEPT : opinion;
        case TABLE_NOT_FOUND:
            q->source = s->domains[i].source;
            break;
        }
    return SMTP_NO_OPINION;
}

enum smtp_opinion rules_domain(struct rules_question *q)
{
    const struct config *c = q->rules->config;
    enum smtp_opinion opinion = SMTP_NO_OPINION;

    q->whose = RULES_DOMAIN_FOREIGN;
    if (rules_domain_listed(c->domains, q->domain)) {
        q->whose = RULES_DOMAIN_OURS;
        opinion = SMTP_ACCEPT;
    } else if (c->asks && q->domain.n > 0) {
        opinion = ask_domain_tables(q);
    }
    return opinion;
}

bool rules_is_ours(struct rules_question *q)
{
    if (q->whose == RULES_DOMAIN_UNKNOWN)
        rules_domain(q);
    return q->whose == RULES_DOMAIN_OURS;
}

static enum table_result ask_address(struct rules_question *q, struct table *t,
                                     const struct smtp_mailbox *m, struct span domain,
                                     struct lookup *l)
{
    const struct config *c = q->rules->config;

    return lookup_address(t, m->local, domain, c->recipient_delimiter, c->local_part_case,
                          q->rules->session->transaction.arena, l);
}

static enum table_result ask_sender(struct rules_question *q, struct table *t, struct lookup *l)
{
    const struct smtp_mailbox *sender = &q->rules->session->transaction.reverse_path;
    char room[SMTP_DOMAIN_MAX + 1];
    struct text ascii = TEXT(room);

    /* Whom a table has under one of its domain's names, it has under the other. */
    if (!span_is_ascii(sender->domain)) {
        if (idn_to_ascii(q->rules->config->idn, sender->domain, &ascii) == IDN_MISSING) {
            *l = (struct lookup){.wrong = "a domain outside ASCII needs libidn2"};
            return TABLE_FAILED;
        }
    }
    return ask_address(q, t, sender, ascii.n > 0 ? text_span(&ascii) : sender->domain, l);
}

static bool names_user(struct span value, struct span user)
{
    struct span word;

    while (span_word(&value, " \t,", &word))
        if (span_eq_nocase(word, user))
            return true;
    return false;
}

static bool is_same_domain(struct idn *idn, struct span x, struct span y)
{
    char rooms[2][SMTP_DOMAIN_MAX + 1];
    struct text first = TEXT(rooms[0]), second = TEXT(rooms[1]);

    if (span_is_ascii(x) && span_is_ascii(y))
        return span_eq_nocase(x, y);
    return idn_to_ascii(idn, x, &first) == IDN_OK && idn_to_ascii(idn, y, &second) == IDN_OK &&
           span_eq(text_span(&first), text_span(&second));
}

/* Is the login the address itself, in whichever form its domain is written? */
static bool is_login(struct idn *idn, const struct smtp_mailbox *m, struct span user)
{
    const size_t at = m->address.n - m->domain.n;

    if (span_eq_nocase(m->address, user))
        return true;
    return m->domain.n > 0 && user.n > at &&
           span_eq_nocase(span_first(m->address, at), span_first(user, at)) &&
           is_same_domain(idn, m->domain, span_from(user, at));
}

/* Who may use the reverse-path: the value names the logins. A client that has logged in may use no
 * other: those, and the address that is its login. */
enum smtp_opinion rules_sender_login(struct rules_question *q)
{
    const struct smtp_session *s = q->rules->session;
    const struct smtp_mailbox *sender = &s->transaction.reverse_path;
    enum smtp_opinion opinion;
    struct table *t;
    struct lookup l;

    if (sender->address.n == 0 ||
        (q->trusted && !s->authenticated && !q->rules->config->check_relay_clients))
        return SMTP_NO_OPINION;
    t = &rules_sources(q->rules)->sender_login;
    if (!has_found(q, t, ask_sender(q, t, &l), &l, &opinion))
        return opinion != SMTP_NO_OPINION || !s->authenticated ||
                       is_login(q->rules->config->idn, sender, s->login->user)
                   ? opinion
                   : SMTP_REFUSE;
    return s->authenticated && names_user(l.value, s->login->user) ? SMTP_NO_OPINION : SMTP_REFUSE;
}

enum smtp_opinion rules_senders(struct rules_question *q)
{
    enum lookup_meaning meaning;
    enum smtp_opinion opinion;
    struct table *t = &rules_sources(q->rules)->senders;
    struct lookup l;

    if (!has_found(q, t, ask_sender(q, t, &l), &l, &opinion))
        return opinion;
    opinion = reply_of(q, &l, &meaning);
    /* Neither OK nor a reply: what was meant is not known. */
    if (meaning == LOOKUP_OK || meaning == LOOKUP_REPLY)
        return opinion;
    q->reply = *smtp_reply(SMTP_REPLY_NO_LOOKUP);
    return SMTP_DEFER;
}

/* Who is in the recipient's place. */
static enum smtp_opinion expand(struct rules_question *q, struct table *t, struct lookup *l)
{
    const struct config *c = q->rules->config;
    const struct smtp_transaction *transaction = &q->rules->session->transaction;
    struct smtp_mailbox from = *q->recipient;
    const struct alias_question question = {
        .table = t,
        .depth_max = c->alias_depth,
        .recipients_max = c->smtp.max_recipients,
        .delimiter = c->recipient_delimiter,
        .case_matters = c->local_part_case,
        .other_is_ok = t == &rules_sources(q->rules)->recipients,
        .own_domain = config_own_domain(c),
        .idn = c->idn,
    };
    struct smtp_reply reply;
    const char *why = NULL;
    size_t n = 0;

    if (from.domain.n > 0 && !span_eq(q->domain, from.domain))
        from.ascii = arena_copy(transaction->arena, q->domain); /* it outlives the question */
    switch (alias_expand(&question, &from, transaction->arena, &q->aliased, &reply, &why, l)) {
    case ALIAS_NONE:
        q->aliased = NULL;
        found(q, t, l);
        return SMTP_NO_OPINION;
    case ALIAS_REPLY:
        found(q, t, l);
        return rules_take_reply(q, &reply);
    case ALIAS_FAILED:
        return lost(q, t, why);
    case ALIAS_BAD:
        found(q, t, l);
        q->said = span_of(why);
        q->reply = *smtp_reply(SMTP_REPLY_NO_LOOKUP);
        return SMTP_DEFER;
    case ALIAS_FOUND:
        break;
    }
    found(q, t, l);
    for (const struct smtp_recipient *r = q->aliased; r != NULL; r = r->next)
        n++;
    /* The others come with the next message. */
    if (transaction->recipients > 0 && transaction->targets + n > c->smtp.max_recipients) {
        q->reply = *smtp_reply(SMTP_REPLY_TOO_MANY_RECIPIENTS);
        return SMTP_DEFER;
    }
    return SMTP_NO_OPINION;
}

enum smtp_opinion rules_aliases(struct rules_question *q)
{
    struct lookup l;

    if (q->aliased != NULL) /* by RELAYCLIENT: its domain is no longer ours */
        return SMTP_NO_OPINION;
    return expand(q, &rules_sources(q->rules)->aliases, &l);
}

enum smtp_opinion rules_recipients(struct rules_question *q)
{
    enum lookup_meaning meaning;
    enum smtp_opinion opinion;
    struct table *t;
    struct lookup l;

    if (q->aliased != NULL)
        return SMTP_NO_OPINION;
    t = &rules_sources(q->rules)->recipients;
    switch (ask_address(q, t, q->recipient, q->domain, &l)) {
    case TABLE_FAILED:
        return lost(q, t, l.wrong);
    case TABLE_NOT_FOUND:
        q->source = t->source;
        /* RFC 5321 4.5.1 */
        return span_eq_nocase(q->recipient->local, SPAN("postmaster")) ? SMTP_NO_OPINION
                                                                       : SMTP_REFUSE;
    case TABLE_FOUND:
        break;
    }
    found(q, t, &l);
    q->listed = true;
    q->exactly = l.key.n > 0 && l.key.p[0] != '@';
    opinion = reply_of(q, &l, &meaning);
    return meaning == LOOKUP_ADDRESSES ? expand(q, t, &l) : opinion;
}
