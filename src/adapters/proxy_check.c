#include "adapters/proxy_check.h"

#include "syntax/network.h"

static void complain(const struct config_report *report, const char *key, const char *what)
{
    config_complain(report, span_of(key), what);
}

/* Is there a network in it with all addresses? */
static bool has_everybody(struct span list)
{
    struct span word;
    struct network n;

    while (span_word(&list, " \t,", &word))
        if (network_parse(word, &n) &&
            (n.prefix == 0 || (n.prefix == 96 && network_is_ipv4(n.address))))
            return true;
    return false;
}

void proxy_check(const struct config *c, const struct config_report *report)
{
    if (c->proxy_protocol != 0 && c->trusted_proxies.n == 0)
        complain(report, "trusted_proxies",
                 "note: is not set: with proxy_protocol = required, every connection is closed");
    if (has_everybody(c->trusted_proxies))
        complain(report, "trusted_proxies",
                 "note: anybody who can connect can pretend to be any client");
    if (has_everybody(c->xclient_clients))
        complain(report, "xclient_clients",
                 "note: anybody who can connect can pretend to be any client");
    if (c->proxy_tls && c->proxy_protocol == 0)
        complain(report, "proxy_tls", "note: has no effect without proxy_protocol");
    if (c->smtp.xclient_login && c->xclient_clients.n == 0)
        complain(report, "xclient_login", "note: has no effect without xclient_clients");
    if (c->proxy_protocol != 0 && c->proxy_timeout < 3000)
        complain(report, "proxy_timeout",
                 "note: below 3 s, a header that was lost once on its way comes too late");
}
