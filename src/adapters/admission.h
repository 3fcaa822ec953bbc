/* Who is connected to a listening smtpin, and whether one more may come: counts for each socket and
 * each source. No system calls; the memory is the caller's. Nobody is told here: listen.c and
 * refusals.h do that. */
#ifndef SMTPIN_ADAPTERS_ADMISSION_H
#define SMTPIN_ADAPTERS_ADMISSION_H

#include "base/span.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* A connection: the socket it came in on, and from where. */
struct admission_guest {
    unsigned socket;
    bool local;                /* no network address: no source to count */
    unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct admission_seat {
    pid_t pid; /* of the process that serves it */
    struct admission_guest guest;
};

struct admission {
    struct admission_seat *seat; /* `cap` of them; the first n are taken */
    size_t n, cap;
};

enum admission_verdict {
    ADMISSION_OPEN,
    ADMISSION_FULL,        /* max_connections, of its socket, or the table */
    ADMISSION_SOURCE_FULL, /* max_connections_per_source */
};

/* One IPv4 address is one source, and so is an IPv6 network of 64 bits, which is what a single
 * client is usually given (RFC 6177). A most_per_source of 0 is no
 * limit. */
bool admission_same_source(const struct admission_guest *a, const struct admission_guest *b);
enum admission_verdict admission_ask(const struct admission *a, const struct admission_guest *guest,
                                     uint64_t most, uint64_t most_per_source);
/* After ADMISSION_OPEN. */
void admission_enter(struct admission *a, const struct admission_guest *guest, pid_t pid);
/* The client of that process is this one, which was not known when it came in (`socket` is not
 * looked at): is there room for one more of its source? It is counted from then on. */
enum admission_verdict admission_move(struct admission *a, pid_t pid,
                                      const struct admission_guest *guest,
                                      uint64_t most_per_source);
/* Of that process, if there is one. */
struct admission_seat *admission_find(const struct admission *a, pid_t pid);
/* The process has ended: false when it was nobody's; else who it was for. */
bool admission_leave(struct admission *a, pid_t pid, struct admission_guest *out);
/* Where a guest comes from, out of what accept(2) says of it. */
void admission_place(struct admission_guest *g, const struct sockaddr_storage *a);
/* The address in words, in `room` of INET6_ADDRSTRLEN bytes; empty when it is local. */
struct span admission_address(const struct admission_guest *g, char *room, size_t n);

#endif
