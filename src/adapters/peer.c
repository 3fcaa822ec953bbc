#include "adapters/peer.h"

#include "adapters/manager.h"
#include "base/number.h"
#include "base/text.h"
#include "io/environment.h"
#include "syntax/network.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

/* The super-servers' variables, in pairs; xinetd and inetutils-inetd know no port. */
static const struct {
    const char *address, *port;
    bool may_be_path; /* of a client on a local socket */
} variables[] = {
    {"TCPREMOTEIP", "TCPREMOTEPORT",
     false},                              /* tcpserver, tcpsvd, s6, and UCSPI proxies before us */
    {"REMOTE_ADDR", "REMOTE_PORT", true}, /* systemd */
    {"SOCAT_PEERADDR", "SOCAT_PEERPORT", false},
    {"REMOTE_HOST", NULL, false},
};

/* An address from outside, in brackets or not, with a zone (RFC 4007 11: fe80::1%eth0) or not, as
 * inet_ntop(3) writes it; IPv4-mapped IPv6, in whatever form, as IPv4. */
static bool take_address(struct peer *p, struct span text)
{
    struct network n;

    if (text.n > 1 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        text = span_first(span_from(text, 1), text.n - 2);
    text = span_first(text, span_find(text, '%'));
    if (!network_parse(text, &n) || n.prefix != 128)
        return false;
    p->address = network_address(n.address, p->room, sizeof p->room);
    return true;
}

static bool is_port(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_digit(s.p[i]))
            return false;
    return s.n > 0 && s.n <= 5;
}

/* Of a client on a local socket, systemd's REMOTE_ADDR is the path that the client has bound: which
 * may look like any address. */
static void from_manager(struct peer *p, const struct sockaddr_storage *from, bool *local)
{
    const struct span cookie = span_of(environment_get("SO_COOKIE"));
    uint64_t number;

    *local = from != NULL && from->ss_family == AF_UNIX;
    if (*local)
        p->path = span_of(environment_get("REMOTE_ADDR"));
    if (number_parse(cookie, UINT64_MAX, &number) == NUMBER_OK)
        p->cookie = cookie;
}

static bool from_environment(struct peer *p, bool local)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *address, *port;

        if (local && variables[i].may_be_path)
            continue;
        address = environment_get(variables[i].address);
        if (address == NULL || !take_address(p, span_of(address)))
            continue;
        port = variables[i].port == NULL ? NULL : environment_get(variables[i].port);
        if (is_port(span_of(port)))
            p->port = span_of(port);
        return true;
    }
    return false;
}

static unsigned port_of(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)a)->sin_port);
    return a->ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)a)->sin6_port) : 0;
}

/* Address and port, in that room. */
static void show_socket(const struct sockaddr_storage *a, char *room, size_t size,
                        struct span *address, struct span *number)
{
    unsigned char octets[16];
    struct text port;

    if (!network_of_socket(octets, a))
        return;
    *address = network_address(octets, room, size);
    port = (struct text){.p = room + address->n + 1, .cap = size - address->n - 1};
    text_addn(&port, port_of(a), 1);
    *number = text_span(&port);
}

static void from_socket(struct peer *p, const struct sockaddr_storage *from)
{
    if (from != NULL)
        show_socket(from, p->room, sizeof p->room, &p->address, &p->port);
}

void peer_find_server(struct peer *p, int fd)
{
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof a;

    if (getsockname(fd, (struct sockaddr *)&a, &n) == 0)
        show_socket(&a, p->server_room, sizeof p->server_room, &p->server_address, &p->server_port);
}

unsigned peer_own_port(int fd)
{
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof a;
    uint64_t port;

    if (getsockname(fd, (struct sockaddr *)&a, &n) == 0 && port_of(&a) != 0)
        return port_of(&a);
    return number_parse(span_of(environment_get("TCPLOCALPORT")), 65535, &port) == NUMBER_OK
               ? (unsigned)port
               : 0;
}

void peer_find(struct peer *p, const struct sockaddr_storage *from, bool environment,
               const struct config *c)
{
    const struct span name = environment ? span_of(environment_get("TCPREMOTEHOST")) : SPAN("");

    bool local = false;

    *p = (struct peer){.name = SPAN("")};
    if (environment) {
        const char *relay = environment_get("RELAYCLIENT");

        p->relays = relay != NULL;
        p->relay_suffix = span_of(relay);
    }
    if (environment && manager_started_this())
        from_manager(p, from, &local);
    if (c->client_address.n > 0)
        take_address(p, c->client_address);
    else if (!environment || !from_environment(p, local))
        from_socket(p, from);
    if (c->client_name.n > 0)
        p->name = c->client_name;
    else if (smtp_is_domain(name, false))
        p->name = name;
}
