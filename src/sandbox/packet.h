/* A request of the worker, or an answer of the monitor, as octets: numbers of eight octets, texts
 * with their length before them. Who reads one does not trust it: what is not there reads as
 * nothing, and the packet is wrong. */
#ifndef SMTPIN_SANDBOX_PACKET_H
#define SMTPIN_SANDBOX_PACKET_H

#include "base/text.h"

enum {
    PACKET_MAX = 136 * 1024,
};

struct packet {
    struct span left; /* to be read */
    bool wrong;       /* it ended too early */
};

void packet_put_number(struct text *out, uint64_t number);
void packet_put(struct text *out, struct span s);

uint64_t packet_number(struct packet *p);
/* A number of at most `most`. */
uint64_t packet_number_up_to(struct packet *p, uint64_t most);
/* A text of at most `most` octets, within the packet. */
struct span packet_text(struct packet *p, size_t most);
/* Read to its end, and nothing was wrong. */
bool packet_is_good(const struct packet *p);

#endif
