/* Packets that carry descriptors, on a local socket (SOCK_SEQPACKET). Knows nothing of what they
 * say. */
#ifndef SMTPIN_IO_PASS_H
#define SMTPIN_IO_PASS_H

#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

enum { PASS_DESCRIPTORS_MAX = 4 };

/* Connects to the local socket of that path, without a wait. -1: errno says why. */
int pass_connect(const char *path);
/* Sends one packet, and n descriptors (0 to PASS_DESCRIPTORS_MAX) with it; they stay open here.
 * False: errno says why. It does not wait, and raises no SIGPIPE. */
bool pass_send(int fd, struct span packet, const int *descriptors, size_t n);
/* Receives one packet until the deadline (on the clock of clock_now). Its octets, at most `cap`,
 * are in `room`; those descriptors that came, at most n, are in `descriptors` and close-on-exec,
 * the others are -1. Any descriptor too many is closed. Returns the octets; 0: the other end has
 * closed; -1: errno says why (ETIMEDOUT: the deadline has passed; EMSGSIZE: the packet is longer
 * than `cap`; ECANCELED: `stop`, where that is not -1, is readable). */
ptrdiff_t pass_receive(int fd, char *room, size_t cap, int *descriptors, size_t n, int stop,
                       uint64_t deadline);

#endif
