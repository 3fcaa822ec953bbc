#include "syntax/network.h"

#include "base/number.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAPPED_PREFIX = 96 };

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

bool network_is_ipv4(const unsigned char address[16])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

struct span network_address(const unsigned char address[16], char *room, size_t n)
{
    const bool ipv4 = network_is_ipv4(address);

    return span_of(inet_ntop(ipv4 ? AF_INET : AF_INET6, address + (ipv4 ? sizeof mapped : 0), room,
                             (socklen_t)n));
}

bool network_of_socket(unsigned char address[16], const struct sockaddr_storage *a)
{
    memcpy(address, mapped, sizeof mapped);
    if (a->ss_family == AF_INET)
        memcpy(address + sizeof mapped, &((const struct sockaddr_in *)a)->sin_addr, 4);
    else if (a->ss_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)a)->sin6_addr, 16);
    return a->ss_family == AF_INET || a->ss_family == AF_INET6;
}

static bool parse_address(struct span text, unsigned char address[16], bool *is_ipv4)
{
    char room[INET6_ADDRSTRLEN];
    struct text terminated = TEXT(room);

    text_add(&terminated, text);
    text_string(&terminated);
    if (terminated.cut)
        return false;
    memcpy(address, mapped, sizeof mapped);
    *is_ipv4 = inet_pton(AF_INET, room, address + sizeof mapped) == 1;
    return *is_ipv4 || inet_pton(AF_INET6, room, address) == 1;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    const unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

bool network_parse(struct span text, struct network *out)
{
    const size_t slash = span_find(text, '/');
    unsigned char host[16] = {0};
    uint64_t prefix;
    bool is_ipv4;

    if (!parse_address(span_first(text, slash), out->address, &is_ipv4))
        return false;
    prefix = is_ipv4 ? 32 : 128;
    if (slash < text.n && number_parse(span_from(text, slash + 1), prefix, &prefix) != NUMBER_OK)
        return false;
    out->prefix = (unsigned)prefix + (is_ipv4 ? MAPPED_PREFIX : 0);
    for (unsigned bit = 0; bit < out->prefix; bit++)
        host[bit / 8] |= out->address[bit / 8] & (0x80U >> bit % 8);
    return memcmp(host, out->address, sizeof host) == 0;
}

bool network_parse_address(struct span text, struct network *out)
{
    return span_find(text, '/') == text.n && network_parse(text, out);
}

bool network_list_has(struct span list, struct span address)
{
    struct network client, listed;
    struct span word;

    if (list.n == 0 || !network_parse(address, &client) || client.prefix != 128)
        return false;
    while (span_word(&list, " \t,", &word))
        if (network_parse(word, &listed) &&
            same_bits(listed.address, client.address, listed.prefix))
            return true;
    return false;
}
