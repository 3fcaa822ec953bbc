#include "config/unit.h"

const struct unit unit_ones[] = {{"", 1}};
const struct unit unit_octets[] = {
    {"G", (uint64_t)1 << 30}, {"M", (uint64_t)1 << 20}, {"K", (uint64_t)1 << 10}, {"", 1}};
const struct unit unit_times[] = {
    {"d", 24 * 60 * 60 * 1000}, {"h", 60 * 60 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}};

void unit_add(struct text *out, uint64_t number, const struct unit *unit)
{
    while (number == 0 ? unit->of != 1 : number % unit->of != 0)
        unit++;
    text_addn(out, number / unit->of, 1);
    text_adds(out, unit->name);
}
