#include "base/number.h"

enum number_result number_parse(struct span s, uint64_t most, uint64_t *out)
{
    uint64_t value = 0;
    bool big = false;

    if (s.n == 0)
        return NUMBER_SYNTAX;
    for (size_t i = 0; i < s.n; i++) {
        uint64_t digit;

        if (!byte_is_digit(s.p[i]))
            return NUMBER_SYNTAX;
        digit = (uint64_t)(s.p[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            big = true;
        value = value * 10 + digit; /* unsigned: wraps, and `big` says so */
    }
    if (big || value > most)
        return NUMBER_TOO_BIG;
    *out = value;
    return NUMBER_OK;
}

struct unit {
    struct span name;
    uint64_t factor;
};

static enum number_result parse_with_unit(struct span s, const struct unit *units, size_t count,
                                          uint64_t most, uint64_t *out)
{
    uint64_t factor = 0, value = 0;
    enum number_result result;
    size_t digits = 0;

    while (digits < s.n && byte_is_digit(s.p[digits]))
        digits++;
    for (size_t i = 0; i < count; i++)
        if (span_eq_nocase(span_from(s, digits), units[i].name))
            factor = units[i].factor;
    if (factor == 0)
        return NUMBER_SYNTAX;
    result = number_parse(span_first(s, digits), most / factor, &value);
    if (result == NUMBER_OK)
        *out = value * factor;
    return result;
}

enum number_result number_parse_size(struct span s, uint64_t most, uint64_t *out)
{
    static const struct unit units[] = {
        {.name = {.p = "", .n = 0}, .factor = 1},
        {.name = {.p = "k", .n = 1}, .factor = 1 << 10},
        {.name = {.p = "m", .n = 1}, .factor = 1 << 20},
        {.name = {.p = "g", .n = 1}, .factor = 1 << 30},
    };

    return parse_with_unit(s, units, sizeof units / sizeof *units, most, out);
}

enum number_result number_parse_time(struct span s, uint64_t most, uint64_t *out)
{
    static const struct unit units[] = {
        {.name = {.p = "ms", .n = 2}, .factor = 1},
        {.name = {.p = "", .n = 0}, .factor = 1000},
        {.name = {.p = "s", .n = 1}, .factor = 1000},
        {.name = {.p = "m", .n = 1}, .factor = 60 * 1000},
        {.name = {.p = "h", .n = 1}, .factor = 60 * 60 * 1000},
        {.name = {.p = "d", .n = 1}, .factor = 24 * 60 * 60 * 1000},
    };

    return parse_with_unit(s, units, sizeof units / sizeof *units, most, out);
}
