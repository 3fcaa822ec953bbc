#include "adapters/seat.h"
#include "backend/record.h"
#include "io/clock.h"
#include "listen.h"
#include "listen_state.h"
#include "syntax/network.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { ANSWERS_AT_ONCE = 16 }; /* before connections are looked at again */

bool listen_is_proxy(const struct config *c, const struct admission_guest *guest)
{
    char room[INET6_ADDRSTRLEN];
    struct span address;

    if (c->proxy_protocol == 0 && c->xclient_clients.n == 0)
        return false;
    address = admission_address(guest, room, sizeof room);
    return (c->proxy_protocol != 0 && network_list_has(c->trusted_proxies, address)) ||
           network_list_has(c->xclient_clients, address);
}

static bool has_proxies(const struct listening *l)
{
    for (size_t i = 0; i < l->given->setup->listeners; i++)
        if (l->now->config[i].proxy_protocol != 0 || l->now->config[i].xclient_clients.n > 0)
            return true;
    return false;
}

void listen_open_seats(struct listening *l)
{
    int ends[2];

    if (l->asked >= 0 || !has_proxies(l))
        return;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        record_mistake(l->given->log, "setup", 0, SPAN("proxy_protocol"), strerror(errno));
        return;
    }
    l->asked = ends[0];
    l->asking = ends[1];
}

static enum seat_answer answer_to(struct listening *l, const struct seat_question *q)
{
    const struct admission_seat *own = admission_find(&l->guests, q->pid);
    struct admission_guest guest = {.local = q->local};
    const struct config *c;

    if (own == NULL)
        return SEAT_OPEN;
    c = &l->now->config[own->guest.socket];
    memcpy(guest.address, q->address, sizeof guest.address);
    if (listen_has_penalty(l, c, &guest))
        return SEAT_PENALTY;
    return admission_move(&l->guests, q->pid, &guest, c->max_connections_per_source) ==
                   ADMISSION_SOURCE_FULL
               ? SEAT_SOURCE_FULL
               : SEAT_OPEN;
}

void listen_answer_seats(struct listening *l)
{
    struct seat_question q;

    for (int i = 0; i < ANSWERS_AT_ONCE && seat_take(l->asked, &q); i++) {
        const enum seat_answer answer = answer_to(l, &q);

        l->rejected += answer != SEAT_OPEN;
        l->news = l->news || answer != SEAT_OPEN;
        seat_give(&q, answer);
    }
}
