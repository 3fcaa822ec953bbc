#include "sandbox/packet.h"

#include <string.h>

void packet_put_number(struct text *out, uint64_t number)
{
    text_add(out, (struct span){.p = (const char *)&number, .n = sizeof number});
}

void packet_put(struct text *out, struct span s)
{
    packet_put_number(out, s.n);
    text_add(out, s);
}

static struct span take(struct packet *p, size_t n)
{
    const struct span s = span_first(p->left, n);

    p->wrong = p->wrong || s.n < n;
    p->left = span_from(p->left, n);
    return p->wrong ? SPAN("") : s;
}

uint64_t packet_number(struct packet *p)
{
    uint64_t number = 0;
    const struct span s = take(p, sizeof number);

    if (s.n == sizeof number)
        memcpy(&number, s.p, sizeof number);
    return number;
}

uint64_t packet_number_up_to(struct packet *p, uint64_t most)
{
    const uint64_t number = packet_number(p);

    p->wrong = p->wrong || number > most;
    return p->wrong ? 0 : number;
}

struct span packet_text(struct packet *p, size_t most)
{
    return take(p, packet_number_up_to(p, most));
}

bool packet_is_good(const struct packet *p)
{
    return !p->wrong && p->left.n == 0;
}
