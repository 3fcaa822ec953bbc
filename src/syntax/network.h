/* IP addresses and networks as text: "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". IPv4 addresses
 * mapped into IPv6 count as IPv4. No name is looked up. */
#ifndef SMTPIN_SYNTAX_NETWORK_H
#define SMTPIN_SYNTAX_NETWORK_H

#include "base/span.h"

#include <sys/socket.h>

struct network {
    unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned prefix;           /* 0 to 128 */
};

/* The address in words, as inet_ntop(3) writes it, in `room` of INET6_ADDRSTRLEN bytes and more;
 * IPv4 as IPv4. */
struct span network_address(const unsigned char address[16], char *room, size_t n);
bool network_is_ipv4(const unsigned char address[16]);
/* Out of a socket's address; false when it is no network's. */
bool network_of_socket(unsigned char address[16], const struct sockaddr_storage *a);
/* False when it is neither; host bits behind the prefix are a mistake too. */
bool network_parse(struct span text, struct network *out);
/* The same of an address, which has no prefix. */
bool network_parse_address(struct span text, struct network *out);
/* Is the address (one without a prefix) in one of the listed networks (apart by blanks and
 * commas)? */
bool network_list_has(struct span list, struct span address);

#endif
