#include "adapters/rules.h"

#include "syntax/idn.h"
#include "syntax/maildir.h"
#include "syntax/network.h"

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

static bool needs_idn(const struct smtp_mailbox *recipient)
{
    return recipient->utf8 && !span_is_ascii(recipient->domain);
}

bool rules_take_more(const struct smtp_mailbox *recipient)
{
    return needs_idn(recipient);
}

void rules_open(struct rules_question *q, const struct config *c, const struct peer *peer,
                const struct smtp_mailbox *recipient)
{
    struct text ascii = TEXT(q->room);
    enum idn_result result = IDN_OK;

    q->config = c;
    q->peer = peer;
    q->recipient = recipient;
    q->domain = recipient->domain;
    if (needs_idn(recipient))
        result = idn_to_ascii(recipient->domain, &ascii);
    if (ascii.n > 0)
        q->domain = text_span(&ascii);
    q->no_idn = result == IDN_MISSING;
}

static enum smtp_opinion relay_clients(const struct rules_question *q)
{
    return network_list_has(q->config->relay_clients, q->peer->address) ? SMTP_ACCEPT
                                                                        : SMTP_NO_OPINION;
}

/* An empty or half-written configuration says nothing of who may send what: nothing is refused for
 * good by it. */
static bool says_nothing(const struct config *c)
{
    return c->domains.n == 0 && c->relay_clients.n == 0;
}

/* What smtpin-maildir will never deliver to is refused where only this recipient hears of it. */
static enum smtp_opinion mailbox_name(const struct rules_question *q)
{
    return q->config->embedded && !says_nothing(q->config) && !maildir_is_name(q->recipient->local)
               ? SMTP_REFUSE
               : SMTP_NO_OPINION;
}

/* RFC 5321 4.5.1: postmaster is always there, without a domain and at each of ours. */
static enum smtp_opinion postmaster(const struct rules_question *q)
{
    const struct span domain = q->domain;

    if (!span_eq_nocase(q->recipient->local, SPAN("postmaster")))
        return SMTP_NO_OPINION;
    return domain.n == 0 || span_eq_nocase(domain, q->config->smtp.hostname) ||
                   rules_domain_listed(q->config->domains, domain)
               ? SMTP_ACCEPT
               : SMTP_NO_OPINION;
}

static enum smtp_opinion domains(const struct rules_question *q)
{
    return rules_domain_listed(q->config->domains, q->domain) ? SMTP_ACCEPT : SMTP_NO_OPINION;
}

/* It may be one of ours, under the name that is listed. */
static enum smtp_opinion no_idn(const struct rules_question *q)
{
    return q->no_idn ? SMTP_DEFER : SMTP_NO_OPINION;
}

static enum smtp_opinion no_domains(const struct rules_question *q)
{
    return says_nothing(q->config) ? SMTP_DEFER : SMTP_NO_OPINION;
}

/* The end of the chain: closed. */
static enum smtp_opinion relay(const struct rules_question *q)
{
    (void)q;
    return SMTP_REFUSE;
}

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

static const struct {
    enum smtp_opinion (*ask)(const struct rules_question *q);
    struct smtp_reply reply; /* code 0: the opinion's usual one */
} chain[] = {
    {.ask = mailbox_name,
     .reply = {.code = 550,
               .enhanced = TEXT_OF("5.1.1"),
               .text = TEXT_OF("No such mailbox here"),
               .rule = "mailbox_name"}},
    {.ask = relay_clients, .reply = {.rule = "relay_clients"}},
    {.ask = postmaster, .reply = {.rule = "postmaster"}},
    {.ask = domains, .reply = {.rule = "domains"}},
    {.ask = no_idn,
     .reply = {.code = 451,
               .enhanced = TEXT_OF("4.3.5"),
               .text = TEXT_OF("Domain can't be looked up; use its ASCII form"),
               .rule = "no_idn"}},
    {.ask = no_domains,
     .reply = {.code = 451,
               .enhanced = TEXT_OF("4.3.5"),
               .text = TEXT_OF("Not configured to receive mail"),
               .rule = "no_domains"}},
    {.ask = relay,
     .reply = {.code = 550,
               .enhanced = TEXT_OF("5.7.1"),
               .text = TEXT_OF("Relaying denied"),
               .rule = "relay"}},
};

const char *rules_ask(size_t i, const struct rules_question *q, struct smtp_verdict *out)
{
    if (i >= sizeof chain / sizeof *chain)
        return NULL;
    *out = (struct smtp_verdict){.opinion = chain[i].ask(q), .reply = chain[i].reply};
    return chain[i].reply.rule;
}

struct smtp_verdict rules_decide(const struct rules_question *q)
{
    struct smtp_verdict verdict = {.opinion = SMTP_NO_OPINION};

    for (size_t i = 0; verdict.opinion == SMTP_NO_OPINION; i++)
        if (rules_ask(i, q, &verdict) == NULL)
            return (struct smtp_verdict){.opinion = SMTP_REFUSE};
    return verdict;
}
