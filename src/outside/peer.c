#include "outside/peer.h"

#include "base/number.h"
#include "base/text.h"
#include "outside/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

union address {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    struct sockaddr_storage storage;
};

/* The super-servers' variables, in pairs; xinetd and inetutils-inetd know no port. */
static const struct {
    const char *address, *port;
} variables[] = {
    {"TCPREMOTEIP", "TCPREMOTEPORT"}, /* tcpserver, tcpsvd, s6, and UCSPI proxies before us */
    {"REMOTE_ADDR", "REMOTE_PORT"},   /* systemd */
    {"SOCAT_PEERADDR", "SOCAT_PEERPORT"},
    {"REMOTE_HOST", NULL},
};

/* An address from outside as we write it: without brackets, IPv4-mapped IPv6 as IPv4. */
static bool take_address(struct peer *p, struct span text)
{
    struct text t = TEXT(p->room);
    struct network n;

    if (text.n > 1 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        text = span_first(span_from(text, 1), text.n - 2);
    if (span_starts_nocase(text, SPAN("::ffff:")) && span_find(text, '.') < text.n)
        text = span_from(text, 7);
    if (text.n >= sizeof p->room || !network_parse(text, &n))
        return false;
    text_add(&t, text);
    text_string(&t);
    p->address = text_span(&t);
    return true;
}

static bool is_port(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_digit(s.p[i]))
            return false;
    return s.n > 0 && s.n <= 5;
}

static bool from_environment(struct peer *p)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *address = getenv(variables[i].address);
        const char *port = variables[i].port == NULL ? NULL : getenv(variables[i].port);

        if (address == NULL || !take_address(p, span_of(address)))
            continue;
        if (is_port(span_of(port)))
            p->port = span_of(port);
        return true;
    }
    return false;
}

static void from_socket(struct peer *p, int fd)
{
    union address a = {.any.sa_family = AF_UNSPEC};
    socklen_t n = sizeof a;
    char text[INET6_ADDRSTRLEN] = "";
    struct text port;
    unsigned number = 0;

    if (getpeername(fd, &a.any, &n) < 0) {
        p->gone = errno == ENOTCONN;
        return;
    }
    if (a.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a.ip4.sin_addr, text, sizeof text);
        number = ntohs(a.ip4.sin_port);
    } else if (a.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a.ip6.sin6_addr, text, sizeof text);
        number = ntohs(a.ip6.sin6_port);
    }
    if (text[0] == '\0' || !take_address(p, span_of(text)))
        return;
    port = (struct text){.p = p->room + p->address.n + 1, .cap = sizeof p->room - p->address.n - 1};
    text_addn(&port, number, 1);
    p->port = text_span(&port);
}

unsigned peer_own_port(int fd)
{
    const char *said = getenv("TCPLOCALPORT");
    union address a = {.any.sa_family = AF_UNSPEC};
    socklen_t n = sizeof a;
    uint64_t port;

    if (getsockname(fd, &a.any, &n) == 0 && a.any.sa_family == AF_INET)
        return ntohs(a.ip4.sin_port);
    if (a.any.sa_family == AF_INET6)
        return ntohs(a.ip6.sin6_port);
    return number_parse(span_of(said), 65535, &port) == NUMBER_OK ? (unsigned)port : 0;
}

void peer_find(struct peer *p, int fd, bool environment, const struct config *c)
{
    const struct span name = environment ? span_of(getenv("TCPREMOTEHOST")) : SPAN("");

    *p = (struct peer){.name = SPAN("")};
    if (c->client_address.n > 0)
        take_address(p, c->client_address);
    else if (!environment || !from_environment(p))
        from_socket(p, fd);
    if (c->client_name.n > 0)
        p->name = c->client_name;
    else if (smtp_is_domain(name, false))
        p->name = name;
}
