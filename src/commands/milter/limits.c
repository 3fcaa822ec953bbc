#include "commands/milter/limits.h"

#include "base/number.h"

#define KIBI ((uint64_t)1024)

static const struct {
    struct tag name;
    uint64_t usual, least, most;
} rows[LIMITS] = {
    [LIMIT_BODY] = {TAG("body"), 128 * KIBI *KIBI, 0, KIBI *KIBI *KIBI *KIBI},
    [LIMIT_HEADER] = {TAG("header"), KIBI *KIBI, KIBI, 64 * KIBI *KIBI},
    [LIMIT_PACKET] = {TAG("packet"), KIBI *KIBI, KIBI, 64 * KIBI *KIBI},
    [LIMIT_RECIPIENTS] = {TAG("recipients"), 1000, 0, 100000},
    [LIMIT_REQUESTS] = {TAG("requests"), 1000, 1, 100000},
};

struct limits limits_usual(void)
{
    struct limits l;

    for (enum limit i = 0; i < LIMITS; i++)
        l.of[i] = rows[i].usual;
    return l;
}

const char *limits_set(struct limits *l, struct span setting)
{
    const struct span name = span_first(setting, span_find(setting, '='));
    uint64_t value;

    for (enum limit i = 0; i < LIMITS; i++) {
        if (!span_eq(tag_span(&rows[i].name), name))
            continue;
        if (number_parse_size(span_from(setting, name.n + 1), rows[i].most, &value) != NUMBER_OK ||
            value < rows[i].least)
            return "is no number that this limit may have";
        l->of[i] = value;
        return NULL;
    }
    return "is no limit";
}
