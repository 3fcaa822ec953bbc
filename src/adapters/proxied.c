#include "adapters/proxied.h"

#include "base/number.h"
#include "base/text.h"
#include "syntax/network.h"

#include <arpa/inet.h>
#include <string.h>

static bool has_word(struct span list, struct span wanted)
{
    struct span word;

    while (span_word(&list, " \t,", &word))
        if (span_eq_nocase(word, wanted))
            return true;
    return false;
}

bool proxied_is_trusted(const struct config *c, const struct peer *p)
{
    return p->address.n > 0 ? network_list_has(c->trusted_proxies, p->address)
                            : has_word(c->trusted_proxies, SPAN("local"));
}

bool proxied_may_xclient(const struct config *c, const struct peer *p)
{
    return network_list_has(c->xclient_clients, p->proxied ? p->proxy : p->address);
}

static bool is_address(struct span s)
{
    char room[INET6_ADDRSTRLEN];
    struct network n;

    return s.n == 0 || (network_parse_address(s, &n) &&
                        span_eq(network_address(n.address, room, sizeof room), s));
}

static bool is_port(struct span s)
{
    uint64_t port;

    return s.n == 0 || (s.n <= 5 && number_parse(s, 65535, &port) == NUMBER_OK);
}

bool proxied_is_client(const struct proxied_client *client)
{
    return is_address(client->address) && is_port(client->port) &&
           (client->name.n == 0 || smtp_is_domain(client->name, false)) &&
           is_address(client->server_address) && is_port(client->server_port);
}

void proxied_take(struct peer *p, struct proxied *room, const struct proxied_client *client)
{
    char fresh[sizeof room->room] = "";
    struct text t = TEXT(fresh);
    struct proxied_client c = *client;

    if (!p->proxied) {
        struct text proxy = TEXT(room->proxy_room);

        text_add(&proxy, p->address);
        p->proxy = text_span(&proxy);
        p->proxied = true;
    }
    c.address = text_keep(&t, c.address);
    c.port = text_keep(&t, c.port);
    c.name = text_keep(&t, c.name);
    c.server_address = text_keep(&t, c.server_address);
    c.server_port = text_keep(&t, c.server_port);
    memcpy(room->room, fresh, t.n);
    p->address = (struct span){.p = room->room, .n = c.address.n};
    p->port = (struct span){.p = p->address.p + p->address.n, .n = c.port.n};
    p->name = (struct span){.p = p->port.p + p->port.n, .n = c.name.n};
    p->server_address = (struct span){.p = p->name.p + p->name.n, .n = c.server_address.n};
    p->server_port =
        (struct span){.p = p->server_address.p + p->server_address.n, .n = c.server_port.n};
    p->path = p->relay_suffix = SPAN("");
    p->relays = false;
}

void proxied_take_facts(struct peer *p, struct proxied *room, struct span facts,
                        const struct config *c)
{
    struct text t = TEXT(room->facts_room);

    text_add(&t, facts);
    if (!tls_facts_read(text_span(&t), &room->facts))
        return;
    p->proxy_tls = &room->facts;
    if (c->proxy_tls)
        p->tls = &room->facts;
}

void proxied_by_header(struct proxied_client *out, const struct proxy_header *h)
{
    *out = (struct proxied_client){.address = h->address,
                                   .port = h->port,
                                   .server_address = h->server_address,
                                   .server_port = h->server_port};
}

/* "192.0.2.1", "IPV6:2001:db8::1" (RFC 5321 4.1.3), as network_address writes them, in `room`. */
static bool read_address(struct span text, char *room, size_t n, struct span *out)
{
    const bool is_ipv6 = span_starts_nocase(text, SPAN("IPV6:"));
    struct network network;

    *out = (struct span){0};
    if (text.n == 0)
        return true;
    text = span_from(text, is_ipv6 ? sizeof "IPV6:" - 1 : 0);
    if (!network_parse_address(text, &network) || (span_find(text, ':') < text.n) != is_ipv6)
        return false;
    *out = network_address(network.address, room, n);
    return true;
}

bool proxied_by_xclient(struct proxied_client *out, const struct smtp_xclient *x,
                        const struct peer *p, struct proxied_names *names)
{
    *out = (struct proxied_client){.address = p->address,
                                   .port = p->port,
                                   .name = p->name,
                                   .server_address = p->server_address,
                                   .server_port = p->server_port};
    if (x->given & SMTP_XCLIENT_ADDR) {
        out->port = out->name = (struct span){0};
        if (!read_address(x->addr, names->address, sizeof names->address, &out->address))
            return false;
    }
    if (x->given & SMTP_XCLIENT_DESTADDR) {
        out->server_port = (struct span){0};
        if (!read_address(x->destaddr, names->server_address, sizeof names->server_address,
                          &out->server_address))
            return false;
    }
    if (x->given & SMTP_XCLIENT_PORT)
        out->port = x->port;
    if (x->given & SMTP_XCLIENT_NAME)
        out->name = x->name;
    if (x->given & SMTP_XCLIENT_DESTPORT)
        out->server_port = x->destport;
    return proxied_is_client(out);
}
