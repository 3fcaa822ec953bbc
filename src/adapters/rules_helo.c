#include "adapters/rules_helo.h"

#include "syntax/network.h"

#include <string.h>

static bool is_literal(struct span name)
{
    return name.n > 1 && name.p[0] == '[' && name.p[name.n - 1] == ']';
}

/* The address that the connection came in on, as a literal (RFC 5321 4.1.3) or, as some write it,
 * bare. A host with several addresses knows of this one alone. */
static bool is_own_address(const struct rules *r, struct span name)
{
    static const struct span ipv6 = {.p = "IPv6:", .n = 5};
    struct network own, said;

    if (is_literal(name))
        name = span_first(span_from(name, 1), name.n - 2);
    if (span_starts_nocase(name, ipv6))
        name = span_from(name, ipv6.n);
    return network_parse(r->peer->server_address, &own) && network_parse(name, &said) &&
           said.prefix == 128 && memcmp(own.address, said.address, sizeof own.address) == 0;
}

/* `hostname` is in ASCII, and so is the name of a client that keeps to RFC 6531 3.7.1: a U-label is
 * never the same name. */
static bool is_us(const struct rules *r, struct span name)
{
    return span_eq_nocase(name, r->config->smtp.hostname) || is_own_address(r, name);
}

static bool is_bare(struct span name)
{
    return !is_literal(name) && span_find(name, '.') == name.n;
}

struct smtp_verdict rules_helo(struct rules *r)
{
    struct span name = r->session->helo;
    struct smtp_verdict verdict = {.opinion = SMTP_NO_OPINION};

    if (name.n == 0 || r->config->smtp.lmtp || r->session->authenticated || rules_is_near(r))
        return verdict;
    /* A proxy that has not said yet who its client is speaks for itself. */
    if (r->session->xclient != NULL && !r->peer->proxied)
        return verdict;
    if (name.p[name.n - 1] == '.') /* `tolerate` lets it through */
        name.n--;
    if (r->config->helo_is_us == 1 && is_us(r, name))
        verdict.reply = *smtp_reply(SMTP_REPLY_HELO_IS_US);
    else if (r->config->helo_bare_name == 1 && is_bare(name))
        verdict.reply = *smtp_reply(SMTP_REPLY_HELO_BARE_NAME);
    else
        return verdict;
    verdict.opinion = SMTP_REFUSE;
    rules_keep_last(r, verdict.reply.rule, SPAN(""), r->session->helo, SPAN(""));
    return verdict;
}
