#include "commands/milter/packet.h"

enum { NUMBER = 4 };

static uint32_t number_at(const char *p)
{
    const unsigned char *o = (const unsigned char *)p;

    return (uint32_t)o[0] << 24 | (uint32_t)o[1] << 16 | (uint32_t)o[2] << 8 | o[3];
}

static void put_number(char *p, uint32_t number)
{
    for (size_t i = 0; i < NUMBER; i++)
        p[i] = (char)(number >> (24 - 8 * i) & 0xff);
}

enum milter_taken milter_packet_take(struct span octets, size_t most, struct milter_packet *p,
                                     size_t *used)
{
    uint32_t length;

    *used = 0;
    if (octets.n < NUMBER)
        return MILTER_MORE;
    length = number_at(octets.p);
    if (length == 0 || length > most)
        return MILTER_BAD;
    *used = NUMBER + (size_t)length;
    if (octets.n < *used)
        return MILTER_MORE;
    p->letter = octets.p[NUMBER];
    p->data = span_first(span_from(octets, MILTER_PACKET_HEAD), length - 1);
    return MILTER_TAKEN;
}

bool milter_take_number(struct span *data, uint32_t *number)
{
    if (data->n < NUMBER)
        return false;
    *number = number_at(data->p);
    *data = span_from(*data, NUMBER);
    return true;
}

bool milter_take_string(struct span *data, struct span *string)
{
    const size_t end = span_find(*data, '\0');

    if (end == data->n)
        return false;
    *string = span_first(*data, end);
    *data = span_from(*data, end + 1);
    return true;
}

size_t milter_packet_begin(struct text *out, char letter)
{
    const size_t begun = out->n;

    milter_add_number(out, 0);
    text_addc(out, letter);
    return begun;
}

void milter_packet_end(struct text *out, size_t begun)
{
    if (!out->cut)
        put_number(out->p + begun, (uint32_t)(out->n - begun - NUMBER));
}

void milter_add_number(struct text *out, uint32_t number)
{
    char octets[NUMBER];

    put_number(octets, number);
    text_add(out, (struct span){.p = octets, .n = NUMBER});
}

void milter_add_string(struct text *out, struct span string)
{
    text_add(out, span_first(string, span_find(string, '\0')));
    text_addc(out, '\0');
}
