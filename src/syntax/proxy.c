#include "syntax/proxy.h"

#include "base/number.h"
#include "base/text.h"
#include "syntax/network.h"
#include "syntax/proxy_tlv.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    V1_MIN = 15,  /* "PROXY UNKNOWN\r\n" */
    V1_MAX = 107, /* with CR and LF */
    V2_FIXED = 16,
    LOCAL = 0,
    PROXY = 1,
};

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

enum { SIGNATURE = sizeof signature - 1 };

static enum proxy_result is_wrong(struct proxy_header *h, const char *why)
{
    h->wrong = why;
    return PROXY_WRONG;
}

static enum proxy_result needs(struct proxy_header *h, size_t octets)
{
    h->needs = octets;
    return PROXY_MORE;
}

static void keep_end(struct text *room, const unsigned char address[16], unsigned number,
                     struct span *kept, struct span *port)
{
    char words[INET6_ADDRSTRLEN], digits[8];
    struct text n = TEXT(digits);

    text_addn(&n, number, 1);
    *kept = text_keep(room, network_address(address, words, sizeof words));
    *port = (struct span){0};
    if (number > 0)
        *port = text_keep(room, text_span(&n));
}

/* Version 1: a line, whose fields are apart by one blank each. */

static bool take_field(struct span *line, struct span *field)
{
    *field = span_first(*line, span_find(*line, ' '));
    *line = span_from(*line, field->n + 1);
    return field->n > 0;
}

static bool read_address(struct span text, bool is_ipv4, struct network *n)
{
    return network_parse_address(text, n) && (span_find(text, ':') == text.n) == is_ipv4;
}

static bool read_port(struct span text, uint64_t *port)
{
    return text.n <= 5 && number_parse(text, 65535, port) == NUMBER_OK;
}

static enum proxy_result read_line(struct span line, struct proxy_header *h)
{
    struct span left = span_from(line, sizeof "PROXY " - 1), family, from, to, from_port, to_port;
    struct text room = TEXT(h->room);
    struct network source, destination;
    uint64_t source_port, destination_port;
    bool is_ipv4;

    if (!take_field(&left, &family))
        return is_wrong(h, "proxy_family");
    /* Whatever stands behind it says nothing. */
    if (span_eq(family, SPAN("UNKNOWN")))
        return PROXY_HEADER;
    is_ipv4 = span_eq(family, SPAN("TCP4"));
    if (!is_ipv4 && !span_eq(family, SPAN("TCP6")))
        return is_wrong(h, "proxy_family");
    if (!take_field(&left, &from) || !take_field(&left, &to) || !take_field(&left, &from_port) ||
        !take_field(&left, &to_port) || left.p != line.p + line.n ||
        to_port.p + to_port.n != line.p + line.n || !read_address(from, is_ipv4, &source) ||
        !read_address(to, is_ipv4, &destination) || !read_port(from_port, &source_port) ||
        !read_port(to_port, &destination_port))
        return is_wrong(h, "proxy_address");
    keep_end(&room, source.address, (unsigned)source_port, &h->address, &h->port);
    keep_end(&room, destination.address, (unsigned)destination_port, &h->server_address,
             &h->server_port);
    return PROXY_HEADER;
}

static enum proxy_result read_version_1(struct span octets, struct proxy_header *h)
{
    const struct span most = span_first(octets, V1_MAX);
    const size_t end = span_find(most, '\n');

    h->version = 1;
    if (end == most.n) {
        if (octets.n >= V1_MAX)
            return is_wrong(h, "proxy_long");
        /* A CR and a LF are still to come, or the LF alone. */
        return needs(h, octets.n < V1_MIN - 2            ? V1_MIN
                        : octets.p[octets.n - 1] == '\r' ? octets.n + 1
                                                         : octets.n + 2);
    }
    h->octets = end + 1;
    if (end == 0 || octets.p[end - 1] != '\r' ||
        span_find(span_first(octets, end), '\r') != end - 1)
        return is_wrong(h, "proxy_line");
    return read_line(span_first(octets, end - 1), h);
}

/* Version 2. */

static unsigned two_octets(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* Of the family: how many octets the addresses take; 0: it is none that there is here. What is no
 * stream is no connection of SMTP's. */
static size_t size_of_addresses(unsigned family)
{
    switch (family) {
    case 0x11: /* TCP over IPv4 */
        return 12;
    case 0x21: /* TCP over IPv6 */
        return 36;
    case 0x31: /* a local socket */
        return 216;
    default:
        return 0;
    }
}

static void read_ends(const char *p, unsigned family, struct proxy_header *h)
{
    const size_t n = family == 0x11 ? 4 : 16;
    unsigned char source[16] = {[10] = 0xff, [11] = 0xff}, destination[16];
    struct text room = TEXT(h->room);

    memcpy(destination, source, sizeof destination);
    memcpy(source + 16 - n, p, n);
    memcpy(destination + 16 - n, p + n, n);
    keep_end(&room, source, two_octets(p + 2 * n), &h->address, &h->port);
    keep_end(&room, destination, two_octets(p + 2 * n + 2), &h->server_address, &h->server_port);
}

static enum proxy_result read_version_2(struct span octets, struct proxy_header *h)
{
    unsigned command, family;
    struct span header, values;
    struct text facts = TEXT(h->facts_room);
    size_t n;

    h->version = 2;
    if (octets.n < V2_FIXED)
        return needs(h, V2_FIXED);
    command = (unsigned char)octets.p[SIGNATURE];
    family = (unsigned char)octets.p[SIGNATURE + 1];
    h->octets = V2_FIXED + two_octets(octets.p + SIGNATURE + 2);
    if (command >> 4 != 2)
        return is_wrong(h, "proxy_version");
    if ((command & 15) > PROXY)
        return is_wrong(h, "proxy_command");
    if (h->octets > PROXY_HEADER_MAX)
        return is_wrong(h, "proxy_long");
    n = size_of_addresses(family);
    if ((command & 15) == PROXY && family != 0 && n == 0)
        return is_wrong(h, "proxy_family");
    if ((command & 15) == PROXY && V2_FIXED + n > h->octets)
        return is_wrong(h, "proxy_length");
    if (octets.n < h->octets)
        return needs(h, h->octets);
    /* The connection is the proxy's own: what else stands there is to be ignored. */
    if ((command & 15) == LOCAL)
        return PROXY_HEADER;
    header = span_first(octets, h->octets);
    values = span_from(header, V2_FIXED + n);
    h->wrong = proxy_read_values(header, values, &facts);
    if (h->wrong != NULL)
        return PROXY_WRONG;
    h->facts = text_span(&facts);
    if (family == 0x11 || family == 0x21)
        read_ends(header.p + V2_FIXED, family, h);
    return PROXY_HEADER;
}

static bool begins(struct span octets, struct span with)
{
    const size_t n = octets.n < with.n ? octets.n : with.n;

    return n == 0 || memcmp(octets.p, with.p, n) == 0;
}

enum proxy_result proxy_read(struct span octets, struct proxy_header *out)
{
    const struct span v2 = {.p = signature, .n = SIGNATURE};

    out->octets = out->needs = 0;
    out->wrong = NULL;
    out->version = 0;
    out->address = out->port = out->server_address = out->server_port = out->facts =
        (struct span){0};
    if (octets.n == 0)
        return needs(out, V1_MIN); /* the shorter one of the two */
    if (begins(octets, SPAN("PROXY ")))
        return read_version_1(octets, out);
    return begins(octets, v2) ? read_version_2(octets, out) : is_wrong(out, "proxy_none");
}
