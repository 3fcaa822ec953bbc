/* Who a proxy's client is, and who may say so. */
#include "adapters/proxied.h"
#include "unit.h"

static struct config config(const char *proxies, const char *clients)
{
    return (struct config){.trusted_proxies = span_of(proxies),
                           .xclient_clients = span_of(clients)};
}

Test(proxied, who_is_believed)
{
    static const struct {
        const char *address, *proxies;
        bool trusted;
    } cases[] = {
        {"10.0.0.1", "10.0.0.0/8", true},
        {"10.0.0.1", "local, 10.0.0.1", true},
        {"10.0.0.1", "local", false},
        {"10.0.0.1", "", false},
        {"", "10.0.0.0/8", false},
        {"", "10.0.0.0/8 LOCAL", true},
        {"", "", false},
        {"", "0.0.0.0/0 ::/0", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct config c = config(cases[i].proxies, cases[i].proxies);
        const struct peer p = {.address = span_of(cases[i].address)};

        cr_expect_eq(proxied_is_trusted(&c, &p), cases[i].trusted, "%zu", i);
        cr_expect_eq(proxied_may_xclient(&c, &p), cases[i].trusted && p.address.n > 0, "%zu", i);
    }
}

Test(proxied, what_is_a_client)
{
    static const struct {
        const char *address, *port, *name;
        bool good;
    } cases[] = {
        {"", "", "", true},
        {"198.51.100.7", "65535", "c.example", true},
        {"2001:db8::7", "", "", true},
        {"2001:DB8::7", "", "", false},
        {"::ffff:198.51.100.7", "", "", false},
        {"198.51.100.7/32", "", "", false},
        {"198.51.100.0/24", "", "", false},
        {"[198.51.100.7]", "", "", false},
        {"c.example", "", "", false},
        {"198.51.100.7", "65536", "", false},
        {"198.51.100.7", "-1", "", false},
        {"198.51.100.7", "000001", "", false},
        {"198.51.100.7", "", "-", false},
        {"198.51.100.7", "", "a b", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct proxied_client c = {.address = span_of(cases[i].address),
                                   .port = span_of(cases[i].port),
                                   .name = span_of(cases[i].name)};

        cr_expect_eq(proxied_is_client(&c), cases[i].good, "%zu", i);
        c = (struct proxied_client){.server_address = c.address, .server_port = c.port};
        cr_expect(proxied_is_client(&c) || !cases[i].good, "%zu", i);
    }
}

/* Nothing of the proxy's own is left but its address. */
Test(proxied, taken_over)
{
    static struct proxied room;
    struct config c = config("10.0.0.1", "10.0.0.1");
    struct peer p = {.address = SPAN("10.0.0.1"),
                     .port = SPAN("1"),
                     .name = SPAN("proxy.example"),
                     .path = SPAN("/run/x"),
                     .relays = true,
                     .relay_suffix = SPAN("@x"),
                     .cookie = SPAN("7")};
    char address[] = "198.51.100.7", port[] = "40000";
    const struct proxied_client client = {.address = span_of(address), .port = span_of(port)};

    proxied_take(&p, &room, &client);
    memset(address, 'x', sizeof address);
    memset(port, 'x', sizeof port);
    cr_expect_span(p.address, "198.51.100.7", "address");
    cr_expect_span(p.port, "40000", "port");
    cr_expect_span(p.name, "", "name");
    cr_expect_span(p.path, "", "path");
    cr_expect_span(p.cookie, "7", "cookie");
    cr_expect_span(p.proxy, "10.0.0.1", "proxy");
    cr_expect(p.proxied);
    cr_expect_not(p.relays);
    cr_expect_eq(p.relay_suffix.n, 0);
    cr_expect(proxied_may_xclient(&c, &p), "the proxy may, whoever its client is");
    c.xclient_clients = SPAN("198.51.100.7");
    cr_expect_not(proxied_may_xclient(&c, &p));
    /* Again, from what it is now. */
    proxied_take(&p, &room,
                 &(struct proxied_client){.address = SPAN("2001:db8::7"),
                                          .port = p.address,
                                          .name = p.port,
                                          .server_address = p.proxy});
    cr_expect_span(p.address, "2001:db8::7", "address");
    cr_expect_span(p.port, "198.51.100.7", "port");
    cr_expect_span(p.name, "40000", "name");
    cr_expect_span(p.server_address, "10.0.0.1", "server");
    cr_expect_span(p.proxy, "10.0.0.1", "the first one stays");
}

Test(proxied, facts)
{
    static struct proxied room;
    const struct span facts = SPAN("SSL_PROTOCOL=TLSv1.3\0SSL_TLS_SNI=mx.example.org\0");
    struct config c = config("", "");
    struct peer p = {.relays = false};

    proxied_take_facts(&p, &room, SPAN(""), &c);
    cr_expect_null(p.proxy_tls);
    proxied_take_facts(&p, &room, facts, &c);
    cr_expect_null(p.tls, "for the log alone");
    cr_assert_not_null(p.proxy_tls);
    cr_expect_span(p.proxy_tls->sni, "mx.example.org", "sni");
    c.proxy_tls = true;
    proxied_take_facts(&p, &room, facts, &c);
    cr_expect_eq(p.tls, p.proxy_tls);
}

Test(proxied, by_xclient)
{
    const struct peer p = {.address = SPAN("10.0.0.1"),
                           .port = SPAN("1"),
                           .name = SPAN("p.example"),
                           .server_address = SPAN("10.0.0.2"),
                           .server_port = SPAN("25")};
    struct proxied_names names;
    struct proxied_client c;
    struct smtp_xclient x = {.given = SMTP_XCLIENT_PORT, .port = SPAN("2")};

    cr_assert(proxied_by_xclient(&c, &x, &p, &names));
    cr_expect_span(c.address, "10.0.0.1", "address");
    cr_expect_span(c.port, "2", "port");
    cr_expect_span(c.name, "p.example", "name");
    x = (struct smtp_xclient){.given = SMTP_XCLIENT_ADDR, .addr = SPAN("ipv6:2001:DB8::0:7")};
    cr_assert(proxied_by_xclient(&c, &x, &p, &names));
    cr_expect_span(c.address, "2001:db8::7", "address");
    cr_expect_span(c.port, "", "another address has another port");
    cr_expect_span(c.name, "", "and another name");
    cr_expect_span(c.server_port, "25", "server_port");
    x = (struct smtp_xclient){.given = SMTP_XCLIENT_DESTADDR, .destaddr = SPAN("10.0.0.3")};
    cr_assert(proxied_by_xclient(&c, &x, &p, &names));
    cr_expect_span(c.server_address, "10.0.0.3", "server");
    cr_expect_span(c.server_port, "", "server_port");
}
