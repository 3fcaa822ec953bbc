#include "adapters/admission.h"

#include "syntax/network.h"

#include <string.h>

enum { IPV6_SOURCE = 8 }; /* octets of a /64 */

void admission_place(struct admission_guest *g, const struct sockaddr_storage *a)
{
    g->local = !network_of_socket(g->address, a);
}

struct span admission_address(const struct admission_guest *g, char *room, size_t n)
{
    return g->local ? SPAN("") : network_address(g->address, room, n);
}

bool admission_same_source(const struct admission_guest *a, const struct admission_guest *b)
{
    const bool ipv4 = network_is_ipv4(a->address);

    return !a->local && !b->local && ipv4 == network_is_ipv4(b->address) &&
           memcmp(a->address, b->address, ipv4 ? sizeof a->address : IPV6_SOURCE) == 0;
}

enum admission_verdict admission_ask(const struct admission *a, const struct admission_guest *guest,
                                     uint64_t most, uint64_t most_per_source)
{
    uint64_t all = 0, same = 0;

    for (size_t i = 0; i < a->n; i++) {
        if (a->seat[i].guest.socket != guest->socket)
            continue;
        all++;
        same += admission_same_source(&a->seat[i].guest, guest);
    }
    if (all >= most || a->n == a->cap)
        return ADMISSION_FULL;
    if (most_per_source > 0 && same >= most_per_source)
        return ADMISSION_SOURCE_FULL;
    return ADMISSION_OPEN;
}

void admission_enter(struct admission *a, const struct admission_guest *guest, pid_t pid)
{
    a->seat[a->n++] = (struct admission_seat){.pid = pid, .guest = *guest};
}

struct admission_seat *admission_find(const struct admission *a, pid_t pid)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->seat[i].pid == pid)
            return &a->seat[i];
    return NULL;
}

enum admission_verdict admission_move(struct admission *a, pid_t pid,
                                      const struct admission_guest *guest, uint64_t most_per_source)
{
    struct admission_seat *own = admission_find(a, pid);
    uint64_t same = 0;

    if (own == NULL)
        return ADMISSION_OPEN;
    for (size_t i = 0; i < a->n; i++)
        same += &a->seat[i] != own && a->seat[i].guest.socket == own->guest.socket &&
                admission_same_source(&a->seat[i].guest, guest);
    own->guest.local = true;
    if (most_per_source > 0 && same >= most_per_source)
        return ADMISSION_SOURCE_FULL;
    own->guest.local = guest->local;
    memcpy(own->guest.address, guest->address, sizeof own->guest.address);
    return ADMISSION_OPEN;
}

bool admission_leave(struct admission *a, pid_t pid, struct admission_guest *out)
{
    struct admission_seat *own = admission_find(a, pid);

    if (own == NULL)
        return false;
    *out = own->guest;
    *own = a->seat[--a->n];
    return true;
}
