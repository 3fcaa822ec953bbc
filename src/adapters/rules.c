#include "adapters/rules.h"

#include "syntax/idn.h"
#include "syntax/maildir.h"
#include "syntax/network.h"
#include "syntax/table_source.h"

#include <assert.h>
#include <stddef.h>

static bool needs_idn(const struct smtp_mailbox *recipient)
{
    return recipient->utf8 && !span_is_ascii(recipient->domain);
}

bool rules_take_more(const struct rules *r, const struct smtp_mailbox *recipient)
{
    return r->config->asks || r->peer->relay_suffix.n > 0 || needs_idn(recipient);
}

/* An empty or half-written configuration says nothing of who may send what: nothing is refused for
 * good by it. */
static bool says_nothing(const struct config *c)
{
    return c->domains.n == 0 && c->relay_clients.n == 0;
}

/* Networks, and whom tcpserver's rules let relay (RELAYCLIENT). */
static enum smtp_opinion relay_clients(struct rules_question *q)
{
    q->trusted = rules_trusts(q->rules);
    return q->trusted ? SMTP_ACCEPT : SMTP_NO_OPINION;
}

/* RFC 6409 3.3: who has logged in may send anywhere. */
static enum smtp_opinion authenticated(struct rules_question *q)
{
    q->trusted = q->trusted || q->rules->session->authenticated;
    return q->rules->session->authenticated ? SMTP_ACCEPT : SMTP_NO_OPINION;
}

/* RFC 5321 4.5.1: postmaster is always there, without a domain and at each of ours. */
static bool is_postmaster(struct rules_question *q)
{
    return span_eq_nocase(q->recipient->local, SPAN("postmaster")) &&
           (q->recipient->domain.n == 0 ||
            span_eq_nocase(q->domain, q->rules->config->smtp.hostname) || rules_is_ours(q));
}

static enum smtp_opinion postmaster(struct rules_question *q)
{
    return is_postmaster(q) ? SMTP_ACCEPT : SMTP_NO_OPINION;
}

/* It may be one of ours, under the name that is listed. */
static enum smtp_opinion no_idn(struct rules_question *q)
{
    return q->no_idn ? SMTP_DEFER : SMTP_NO_OPINION;
}

static enum smtp_opinion no_domains(struct rules_question *q)
{
    return says_nothing(q->rules->config) ? SMTP_DEFER : SMTP_NO_OPINION;
}

/* The end of the first part: closed. */
static enum smtp_opinion relay(struct rules_question *q)
{
    (void)q;
    return SMTP_REFUSE;
}

/* qmail appends the value of RELAYCLIENT to each recipient. Without an '@' it goes on with the
 * domain; else the address becomes a local-part. */
static enum smtp_opinion relay_suffix(struct rules_question *q)
{
    const struct smtp_mailbox *r = q->recipient;
    const struct span suffix = q->rules->peer->relay_suffix;
    const size_t at = span_find(suffix, '@');
    char local_bytes[SMTP_ADDRESS_MAX + 256], domain_bytes[2 * SMTP_DOMAIN_MAX];
    struct text local = TEXT(local_bytes), domain = TEXT(domain_bytes);
    struct smtp_mailbox mailbox;

    text_add(&local, at == suffix.n ? r->local : r->address);
    text_add(&local, at == suffix.n ? SPAN("") : span_first(suffix, at));
    text_add(&domain, at == suffix.n ? r->domain : SPAN(""));
    text_add(&domain, at == suffix.n ? suffix : span_from(suffix, at + 1));
    if (local.cut || domain.cut ||
        smtp_mailbox_of(text_span(&local), text_span(&domain), q->rules->session->transaction.arena,
                        &mailbox) != SMTP_PATH_OK ||
        !rules_alias_to(q, &mailbox)) {
        q->said = suffix;
        return SMTP_DEFER;
    }
    return SMTP_NO_OPINION;
}

/* RFC 5321 3.7: we never relay by the percent hack or a bang path; a command behind us might
 * (Postfix allow_untrusted_routing, Exim's restricted local-parts). Who is listed so is no route.
 */
static enum smtp_opinion routing(struct rules_question *q)
{
    const struct span local = q->recipient->local;
    const size_t bang = span_find(local, '!');
    size_t at = local.n;

    if (q->trusted || q->exactly || q->aliased != NULL)
        return SMTP_NO_OPINION;
    /* host!user */
    if (bang + 1 < local.n && smtp_is_domain(span_first(local, bang), false))
        return SMTP_REFUSE;
    /* user%host, "user@host" */
    while (at > 0 && local.p[at - 1] != '%' && local.p[at - 1] != '@')
        at--;
    return at > 1 && smtp_is_domain(span_from(local, at), false) ? SMTP_REFUSE : SMTP_NO_OPINION;
}

/* What smtpin-maildir will never deliver to is refused where only this recipient hears of it. */
static enum smtp_opinion mailbox_name(struct rules_question *q)
{
    return q->aliased == NULL && !maildir_is_name(q->recipient->local) ? SMTP_REFUSE
                                                                       : SMTP_NO_OPINION;
}

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }
#define REPLY(name, c, e, t)                                                                       \
    .reply = {.code = (c), .enhanced = TEXT_OF(e), .text = TEXT_OF(t), .rule = (name)}

/* When a rule is asked, besides that no rule before has refused. */
enum when {
    GATE = 1,      /* only while nothing says that mail may go there */
    OURS = 2,      /* only for a domain of ours */
    STRANGERS = 4, /* not of clients that may relay, unless check_relay_clients */
    LISTED = 8,    /* for VRFY too */
};

static const struct link {
    enum smtp_opinion (*ask)(struct rules_question *q);
    unsigned when;
    /* Of a setting, a span or words, its length in struct config: where it is empty, the rule is
     * not asked. 0: it always is. */
    size_t set;
    struct smtp_reply reply; /* code 0: the opinion's usual one */
} chain[] = {
    {.ask = relay_clients, .when = GATE, .reply = {.rule = "relay_clients"}},
    {.ask = authenticated, .when = GATE, .reply = {.rule = "authenticated"}},
    {.ask = postmaster, .when = GATE | LISTED, .reply = {.rule = "postmaster"}},
    {.ask = rules_domain, .when = GATE | LISTED, .reply = {.rule = "domains"}},
    {.ask = no_idn,
     .when = GATE,
     REPLY("no_idn", 451, "4.3.5", "Domain can't be looked up; use its ASCII form")},
    {.ask = no_domains,
     .when = GATE,
     REPLY("no_domains", 451, "4.3.5", "Not configured to receive mail")},
    {.ask = relay, .when = GATE, REPLY("relay", 550, "5.7.1", "Relaying denied")},
    {.ask = relay_suffix, REPLY("relay_suffix", 451, "4.3.5", "Recipient can't be rewritten")},
    {.ask = rules_sender_login,
     .set = offsetof(struct config, sender_login.n),
     REPLY("sender_login", 550, "5.7.1", "Sender address belongs to another user")},
    {.ask = rules_senders,
     .when = STRANGERS,
     .set = offsetof(struct config, senders.n),
     .reply = {.rule = "senders"}},
    {.ask = rules_aliases,
     .when = OURS | LISTED,
     .set = offsetof(struct config, aliases.n),
     .reply = {.rule = "aliases"}},
    {.ask = rules_recipients,
     .when = OURS | LISTED,
     .set = offsetof(struct config, recipients.n),
     REPLY("recipients", 550, "5.1.1", "No such user here")},
    {.ask = routing,
     .when = OURS,
     REPLY("routing", 550, "5.7.1", "Routed addresses are not accepted")},
    {.ask = mailbox_name, REPLY("mailbox_name", 550, "5.1.1", "No such mailbox here")},
    {.ask = rules_check_client,
     .when = STRANGERS,
     .set = offsetof(struct config, check_client.n),
     .reply = {.rule = "check_client"}},
    {.ask = rules_check_sender,
     .when = STRANGERS,
     .set = offsetof(struct config, check_sender.n),
     .reply = {.rule = "check_sender"}},
    {.ask = rules_check_recipient,
     .when = OURS,
     .set = offsetof(struct config, check_recipient.n),
     .reply = {.rule = "check_recipient"}},
    {.ask = rules_policy,
     .when = STRANGERS,
     .set = offsetof(struct config, policy.n),
     .reply = {.rule = "policy"}},
};

enum { RULES = sizeof chain / sizeof *chain };

static_assert(RULES < 8 * sizeof(unsigned), "a bit for each");

static bool is_set(const struct link *rule, const struct rules *r)
{
    if (rule->ask == relay_suffix)
        return r->peer->relay_suffix.n > 0;
    if (rule->ask == authenticated)
        return r->config->smtp.auth || r->config->smtp.xclient_login;
    if (rule->ask == mailbox_name)
        return r->config->embedded;
    return rule->set == 0 ||
           *(const size_t *)(const void *)((const char *)r->config + rule->set) > 0;
}

/* A message may have thousands of recipients: what is set is found once. */
static unsigned find_set(const struct rules *r)
{
    unsigned set = 0;

    for (size_t i = 0; i < RULES; i++)
        if (is_set(&chain[i], r))
            set |= 1U << i;
    return set;
}

void rules_ask_about(struct rules_question *q, struct rules *r,
                     const struct smtp_mailbox *recipient)
{
    struct text ascii = TEXT(q->room);
    enum idn_result result = IDN_OK;

    if (r->set == 0)
        r->set = find_set(r);
    q->rules = r;
    q->recipient = recipient;
    q->only_listed = false;
    q->domain = recipient->domain.n > 0 ? recipient->domain : config_own_domain(r->config);
    if (needs_idn(recipient))
        result = idn_to_ascii(r->config->idn, recipient->domain, &ascii);
    if (ascii.n > 0)
        q->domain = text_span(&ascii);
    q->no_idn = result == IDN_MISSING;
    q->gate = NULL;
    q->trusted = false;
    q->whose = RULES_DOMAIN_UNKNOWN;
    q->listed = q->exactly = false;
    q->aliased = NULL;
}

/* For a recipient of theirs, with what is known so far. */
static bool is_asked(const struct link *rule, const struct rules_question *q)
{
    if (rule->when & GATE)
        return q->gate == NULL && !(q->only_listed && !(rule->when & LISTED));
    return !(q->only_listed && !(rule->when & LISTED)) &&
           !(rule->when & STRANGERS && q->trusted && !q->rules->config->check_relay_clients);
}

bool rules_applies(size_t i, const struct rules_question *q)
{
    return i < RULES && q->rules->set & 1U << i && is_asked(&chain[i], q);
}

static void forget_answer(struct rules_question *q)
{
    q->reply.code = 0;
    q->source = q->key = q->said = SPAN("");
}

static enum smtp_opinion ask(const struct link *rule, struct rules_question *q)
{
    enum smtp_opinion opinion;

    forget_answer(q);
    if (rule->when & OURS && !rules_is_ours(q)) {
        if (q->whose != RULES_DOMAIN_LOST)
            return SMTP_NO_OPINION;
        /* A client that may send anywhere, to what may be ours. */
        q->reply = *smtp_reply(SMTP_REPLY_NO_LOOKUP);
        return SMTP_DEFER;
    }
    if (rule->when & OURS)
        forget_answer(q); /* what a table of domains has said is not this rule's */
    opinion = rule->ask(q);
    if (rule->when & GATE && opinion == SMTP_ACCEPT)
        q->gate = rule->reply.rule;
    return opinion;
}

static struct smtp_reply reply_of(const struct link *rule, const struct rules_question *q)
{
    struct smtp_reply reply = q->reply.code != 0 ? q->reply : rule->reply;

    if (reply.rule == NULL)
        reply.rule = rule->reply.rule;
    return reply;
}

const char *rules_ask(size_t i, struct rules_question *q, struct smtp_verdict *out)
{
    if (i >= RULES)
        return NULL;
    q->reply.code = 0;
    out->opinion = rules_applies(i, q) ? ask(&chain[i], q) : SMTP_NO_OPINION;
    out->reply = reply_of(&chain[i], q);
    return chain[i].reply.rule;
}

struct smtp_verdict rules_decide(struct rules_question *q)
{
    for (unsigned left = q->rules->set; left != 0; left &= left - 1) {
        const struct link *rule = &chain[__builtin_ctz(left)];
        enum smtp_opinion opinion;

        if (!is_asked(rule, q))
            continue;
        opinion = ask(rule, q);
        if (opinion == SMTP_REFUSE || opinion == SMTP_DEFER) {
            const struct smtp_reply reply = reply_of(rule, q);

            rules_keep_last(q->rules, reply.rule, q->source, q->key, q->said);
            return (struct smtp_verdict){.opinion = opinion, .reply = reply};
        }
    }
    if (q->only_listed && !q->listed && q->aliased == NULL)
        return (struct smtp_verdict){.opinion = SMTP_NO_OPINION};
    return (struct smtp_verdict){.opinion = SMTP_ACCEPT, .reply = {.rule = q->gate}};
}

/* Whatever it was, it was decided without knowing who is meant. */
__attribute__((noinline)) static void decide_later(struct rules *r, struct smtp_verdict *verdict)
{
    for (const struct link *rule = chain; rule < chain + RULES; rule++)
        if (rule->ask == no_idn)
            *verdict = (struct smtp_verdict){.opinion = SMTP_DEFER, .reply = rule->reply};
    rules_keep_last(r, NULL, SPAN(""), SPAN(""), SPAN(""));
}

struct smtp_verdict rules_decide_for(struct rules *r, enum smtp_subject about,
                                     struct smtp_recipient *recipient)
{
    struct arena *a = r->session->transaction.arena;
    struct idn *const idn = r->config->idn;
    const size_t mark = a->used;
    struct rules_question question;
    struct smtp_verdict verdict;

    if (idn != NULL && idn->failed)
        idn->failed = false;
    if (recipient == NULL) {
        verdict = rules_decide_step(r, about);
    } else {
        rules_ask_about(&question, r, &recipient->mailbox);
        question.only_listed = about == SMTP_ABOUT_USER;
        verdict = rules_decide(&question);
        rules_give_aliases(&question, recipient);
        /* What was looked up on the way to a yes has served: a message may have thousands of them.
         */
        if (verdict.opinion == SMTP_ACCEPT && recipient->aliased == NULL)
            a->used = mark;
        /* It is not asked again: what has been decided is about this domain. */
        if (needs_idn(&recipient->mailbox) && span_is_ascii(question.domain))
            recipient->mailbox.ascii = arena_copy(a, question.domain);
    }
    if (idn != NULL && idn->failed)
        decide_later(r, &verdict);
    return verdict;
}
