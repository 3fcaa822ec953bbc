/* The values of settings: how each is written. */
#include "config/unit.h"
#include "config/value.h"

/* The name in that place. */
static struct span name_at(const char *names, uint64_t place)
{
    struct span left = span_of(names), name = SPAN("");

    for (uint64_t i = 0; i <= place; i++)
        span_word(&left, " ", &name);
    return name;
}

static void show_flags(const char *names, uint64_t flags, struct text *out)
{
    struct span left = span_of(names), name;
    const char *between = "";

    for (uint64_t bit = 1; span_word(&left, " ", &name); bit <<= 1) {
        if ((flags & bit) == 0)
            continue;
        text_adds(out, between);
        text_add(out, name);
        between = " ";
    }
}

static void show_exit_map(const struct smtp_exit_map *map, struct text *out)
{
    const char *between = "";

    for (size_t i = 0; i < sizeof map->code / sizeof *map->code; i++) {
        if (map->code[i] == 0)
            continue;
        text_adds(out, between);
        text_addn(out, i, 1);
        text_addc(out, ':');
        text_addn(out, map->code[i], 1);
        between = " ";
    }
}

/* Of the command's own words: those of deliver_through are in front of them. */
static void show_command(const struct config *c, const struct words *words, struct text *out)
{
    for (size_t i = words == &c->deliver ? c->through.n : 0; i < words->n; i++) {
        words_add(out, words->word[i]);
        if (i + 1 < words->n)
            text_addc(out, ' ');
    }
}

void value_show(const struct setting *k, const struct config *c, struct text *out)
{
    const void *field = (const char *)c + k->field;

    switch (k->kind) {
    case VALUE_NUMBER:
        unit_add(out, *(const uint64_t *)field, unit_ones);
        break;
    case VALUE_SIZE:
        unit_add(out, *(const uint64_t *)field, unit_octets);
        break;
    case VALUE_TIME:
        unit_add(out, *(const uint64_t *)field, unit_times);
        break;
    case VALUE_BOOL:
        text_adds(out, *(const bool *)field ? "yes" : "no");
        break;
    case VALUE_NORMALIZE:
        text_adds(out, *(const bool *)field ? "normalize" : "refuse");
        break;
    case VALUE_CHOICE:
        text_add(out, name_at(k->names, *(const uint64_t *)field));
        break;
    case VALUE_FLAGS:
        show_flags(k->names, *(const uint64_t *)field, out);
        break;
    case VALUE_TEXT:
    case VALUE_DIRECTORY:
    case VALUE_HOSTNAME:
    case VALUE_DOMAINS:
    case VALUE_NETWORKS:
    case VALUE_CONFINE:
    case VALUE_ADDRESS:
    case VALUE_TABLE:
    case VALUE_SERVERS:
    case VALUE_OPINION:
    case VALUE_CERTIFICATES:
    case VALUE_TLS_OPTIONS:
    case VALUE_SOCKET:
        text_add(out, *(const struct span *)field);
        break;
    case VALUE_COMMAND:
        show_command(c, field, out);
        break;
    case VALUE_AUTH:
        text_add(out, ((const struct config_auth *)field)->value);
        break;
    case VALUE_EXIT_MAP:
        show_exit_map(field, out);
        break;
    }
}
