/* Packets of the milter protocol: four octets of length, a letter, and as many octets less one.
 * What comes from a filter is hostile until it has been looked at. No I/O. */
#ifndef SMTPIN_COMMANDS_MILTER_PACKET_H
#define SMTPIN_COMMANDS_MILTER_PACKET_H

#include "base/text.h"

#include <stdint.h>

enum {
    MILTER_PACKET_HEAD = 5, /* length and letter */
    MILTER_CHUNK = 65535,   /* of the body in one packet: the most that libmilter takes */
};

struct milter_packet {
    char letter;
    struct span data;
};

enum milter_taken {
    MILTER_TAKEN,
    MILTER_MORE, /* it has not come whole */
    MILTER_BAD,  /* its length is 0, or more than is allowed */
};

/* The first packet of `octets`; `most` octets, with its letter, may be in it. *used: how many
 * octets of `octets` it is; with MILTER_MORE, how many it will be (0: not known yet). */
enum milter_taken milter_packet_take(struct span octets, size_t most, struct milter_packet *p,
                                     size_t *used);
/* Takes a number of four octets, or a text that a NUL ends, off what is left of a packet. False:
 * there is none. */
bool milter_take_number(struct span *data, uint32_t *number);
bool milter_take_string(struct span *data, struct span *string);

/* Writes a packet: what is added between the two is in it. Where there is no room, `cut` is set. */
size_t milter_packet_begin(struct text *out, char letter);
void milter_packet_end(struct text *out, size_t begun);
void milter_add_number(struct text *out, uint32_t number);
/* With its NUL. The string ends at a NUL of its own: what is behind that is left out. */
void milter_add_string(struct text *out, struct span string);

#endif
