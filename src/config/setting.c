/* The settings: what each one's value must look like, and where it goes. */
#include "config/setting.h"

#include "base/number.h"
#include "syntax/idn.h"
#include "syntax/macro.h"
#include "syntax/network.h"

#include <assert.h>
#include <string.h>

enum { DAY = 24 * 60 * 60 * 1000 };

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

struct unit {
    const char *name;
    uint64_t of;
};

/* In the largest unit that it is a whole number of; the last unit is 1. */
static void add_in_units(struct text *out, uint64_t number, const struct unit *unit)
{
    while (number == 0 ? unit->of != 1 : number % unit->of != 0)
        unit++;
    text_addn(out, number / unit->of, 1);
    text_adds(out, unit->name);
}

/* What is wrong with a value, in the arena. */
static const char *keep_mistake(struct text *out, struct arena *a)
{
    text_addc(out, '\0');
    return out->cut || arena_get(a, out->n) == NULL ? "is out of its range" : out->p;
}

static struct text begin_mistake(const struct arena *a, const char *begin)
{
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};

    text_adds(&out, begin);
    return out;
}

static const char *out_of_range(const struct setting *k, const char *wants,
                                const struct unit *units, struct arena *a)
{
    struct text out = begin_mistake(a, wants);

    text_adds(&out, k->most == UINT64_MAX ? ", at least " : " from ");
    add_in_units(&out, k->least, units);
    if (k->most != UINT64_MAX) {
        text_adds(&out, " to ");
        add_in_units(&out, k->most, units);
    }
    return keep_mistake(&out, a);
}

static const char *set_number(const struct setting *k, void *field, struct span value,
                              struct arena *a)
{
    static const struct unit units[] = {{"", 1}};
    uint64_t number;

    if (number_parse(value, k->most, &number) != NUMBER_OK || number < k->least)
        return out_of_range(k, "wants a number", units, a);
    *(uint64_t *)field = number;
    return NULL;
}

static const char *set_size(const struct setting *k, void *field, struct span value,
                            struct arena *a)
{
    static const struct unit units[] = {
        {"G", (uint64_t)1 << 30}, {"M", (uint64_t)1 << 20}, {"K", (uint64_t)1 << 10}, {"", 1}};
    uint64_t number;

    if (number_parse_size(value, k->most, &number) != NUMBER_OK || number < k->least)
        return out_of_range(k, "wants a size (octets, or with K, M or G)", units, a);
    *(uint64_t *)field = number;
    return NULL;
}

static const char *set_time(const struct setting *k, void *field, struct span value,
                            struct arena *a)
{
    static const struct unit units[] = {
        {"d", DAY}, {"h", DAY / 24}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}};
    uint64_t number;

    if (number_parse_time(value, k->most, &number) != NUMBER_OK || number < k->least)
        return out_of_range(k, "wants a time (seconds, or with ms, s, m, h or d)", units, a);
    *(uint64_t *)field = number;
    return NULL;
}

static const char *set_bool(const struct setting *k, void *field, struct span value,
                            struct arena *a)
{
    (void)k;
    (void)a;
    if (span_eq_nocase(value, SPAN("yes")))
        *(bool *)field = true;
    else if (span_eq_nocase(value, SPAN("no")))
        *(bool *)field = false;
    else
        return "neither yes nor no";
    return NULL;
}

static const char *set_normalize(const struct setting *k, void *field, struct span value,
                                 struct arena *a)
{
    (void)k;
    (void)a;
    if (!span_eq_nocase(value, SPAN("normalize")) && !span_eq_nocase(value, SPAN("refuse")))
        return "neither refuse nor normalize";
    *(bool *)field = span_eq_nocase(value, SPAN("normalize"));
    return NULL;
}

/* The place of a word in a list of names, or -1. */
static int name_index(const char *names, struct span word)
{
    for (int i = 0;; i++) {
        size_t n = 0;

        while (names[n] != ' ' && names[n] != '\0')
            n++;
        if (span_eq_nocase((struct span){.p = names, .n = n}, word))
            return i;
        if (names[n] == '\0')
            return -1;
        names += n + 1;
    }
}

static const char *no_choice(const struct setting *k, const char *begin, struct arena *a)
{
    struct text out = begin_mistake(a, begin);

    text_adds(&out, k->names);
    return keep_mistake(&out, a);
}

static const char *set_choice(const struct setting *k, void *field, struct span value,
                              struct arena *a)
{
    const int i = name_index(k->names, value);

    if (i < 0)
        return no_choice(k, "wants one of: ", a);
    *(uint64_t *)field = (uint64_t)i;
    return NULL;
}

static const char *set_flags(const struct setting *k, void *field, struct span value,
                             struct arena *a)
{
    uint64_t flags = 0;
    struct span word;

    while (span_word(&value, " \t,", &word)) {
        const int i = name_index(k->names, word);

        if (i < 0)
            return no_choice(k, "has a word that is none of: ", a);
        flags |= (uint64_t)1 << i;
    }
    *(uint64_t *)field = flags;
    return NULL;
}

static const char *set_text(const struct setting *k, void *field, struct span value,
                            struct arena *a)
{
    (void)a;
    if (value.n < k->least || value.n > k->most)
        return "too short or too long";
    *(struct span *)field = value;
    return NULL;
}

static const char *set_directory(const struct setting *k, void *field, struct span value,
                                 struct arena *a)
{
    if (value.n > 0 && value.p[0] != '/')
        return "not an absolute path";
    return set_text(k, field, value, a);
}

static const char *set_hostname(const struct setting *k, void *field, struct span value,
                                struct arena *a)
{
    if (value.n > 0 && !smtp_is_domain(value, false))
        return "not a domain name";
    return set_text(k, field, value, a);
}

/* A list with octets outside ASCII, with A-labels in the place of U-labels. Where these can't be
 * had it stays as it is: each is compared as it is written. */
static const char *set_idn_domains(struct span *field, struct span value, struct arena *a)
{
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};
    struct span left = value, word;

    while (span_word(&left, " \t,", &word)) {
        const bool below = word.p[0] == '.';

        text_adds(&out, out.n > 0 ? " " : "");
        text_adds(&out, below ? "." : "");
        switch (idn_to_ascii(span_from(word, below), &out)) {
        case IDN_OK:
            break;
        case IDN_NONE:
            return "has a word that is no internationalized domain name";
        case IDN_MISSING:
            *field = value;
            return NULL;
        }
    }
    if (out.cut || arena_get(a, out.n) == NULL)
        return "is too long";
    *field = text_span(&out);
    return NULL;
}

static const char *set_domains(const struct setting *k, void *field, struct span value,
                               struct arena *a)
{
    struct span left = value, word;

    while (span_word(&left, " \t,", &word)) {
        if (word.p[0] == '*')
            return "has a '*': .example.org stands for every domain below example.org";
        if (!smtp_is_literal(word) &&
            !smtp_is_domain(word.p[0] == '.' ? span_from(word, 1) : word, true))
            return "has a word that is no domain";
    }
    return span_is_ascii(value) ? set_text(k, field, value, a)
                                : set_idn_domains((struct span *)field, value, a);
}

static const char *set_networks(const struct setting *k, void *field, struct span value,
                                struct arena *a)
{
    struct span left = value, word;
    struct network n;

    while (span_word(&left, " \t,", &word))
        if (!network_parse(word, &n))
            return "has a word that is no address or network";
    return set_text(k, field, value, a);
}

static const char *set_address(const struct setting *k, void *field, struct span value,
                               struct arena *a)
{
    struct network n;

    if (value.n > 0 && (span_find(value, '/') < value.n || !network_parse(value, &n)))
        return "not an IP address";
    return set_text(k, field, value, a);
}

/* load.c has taken it already, before it read the file. */
static const char *check_socket(const struct setting *k, void *field, struct span value,
                                struct arena *a)
{
    (void)k;
    (void)field;
    (void)a;
    return config_is_socket_name(value) ? NULL : "not the name of a socket";
}

static const char *set_command(const struct setting *k, void *field, struct span value,
                               struct arena *a)
{
    struct words words;
    const char *wrong = words_split(value, a, &words);

    (void)k;
    /* The program is the administrator's to choose, not the client's. */
    if (wrong == NULL &&
        (words.n == 0 || words.word[0].n == 0 || (words.macros && macro_has_any(words.word[0]))))
        wrong = "wants a program first, without macros";
    for (size_t i = 0; wrong == NULL && words.macros && i < words.n; i++)
        wrong = macro_check(words.word[i]);
    if (wrong == NULL)
        *(struct words *)field = words;
    return wrong;
}

static const char *set_exit_map(const struct setting *k, void *field, struct span value,
                                struct arena *a)
{
    struct smtp_exit_map map = {{0}};

    (void)k;
    (void)a;
    if (!smtp_exit_map_add(&map, value))
        return "has a word that is no row (status:code) and no preset (qmail, sysexits)";
    *(struct smtp_exit_map *)field = map;
    return NULL;
}

#define KEY(key, function, place)                                                                  \
    .name = TEXT_OF(key), .set = (function), .field = offsetof(struct config, place)

static const struct setting keys[] = {
    {KEY("bare_line_ends", set_normalize, smtp.normalize), .only_section = true},
    {KEY("client_address", set_address, client_address), .most = 64},
    {KEY("client_name", set_hostname, client_name), .most = SMTP_DOMAIN_MAX},
    {KEY("command_timeout", set_time, command_timeout), .least = 1, .most = DAY},
    {KEY("data_timeout", set_time, data_timeout), .least = 1, .most = DAY},
    {KEY("deliver", set_command, deliver), .reaches_out = true},
    {KEY("deliver_format", set_choice, deliver_format), .names = "command qmail-queue"},
    {KEY("deliver_parallel", set_number, deliver_parallel), .least = 1,
     .most = CONFIG_PARALLEL_MAX},
    {KEY("deliver_per", set_choice, deliver_per), .names = "message recipient"},
    {KEY("deliver_replies", set_choice, deliver_replies), .names = "one each"},
    {KEY("deliver_through", set_command, through), .reaches_out = true},
    {KEY("deliver_timeout", set_time, deliver_timeout), .least = 1, .most = DAY},
    {KEY("digest", set_choice, digest), .names = "auto always never"},
    {KEY("domains", set_domains, domains), .most = CONFIG_FILE_MAX},
    {KEY("drain_timeout", set_time, drain_timeout), .least = 1, .most = DAY},
    {KEY("exit_map", set_exit_map, exit_map)},
    {KEY("fixed_id", set_hostname, fixed_id), .most = 32},
    {KEY("fixed_time", set_number, fixed_time), .most = (uint64_t)1 << 40},
    {KEY("header_end", set_choice, header_end), .names = "accept refuse"},
    {KEY("helo_required", set_bool, smtp.helo_required)},
    {KEY("hostname", set_hostname, smtp.hostname), .most = SMTP_DOMAIN_MAX},
    {KEY("line_ending", set_choice, line_ending), .names = "lf crlf"},
    {KEY("listen_idle", set_time, listen_idle), .most = 30 * (uint64_t)DAY},
    {KEY("log", set_choice, log), .names = "auto journal stderr syslog none"},
    {KEY("maildir", set_directory, maildir), .reaches_out = true, .least = 1, .most = 3000},
    {KEY("maildir_layout", set_choice, maildir_layout), .names = "domain/user user"},
    {KEY("max_commands", set_number, smtp.max_commands), .least = 1, .most = UINT64_MAX},
    {KEY("max_connections", set_number, max_connections), .least = 1,
     .most = CONFIG_CONNECTIONS_MAX},
    {KEY("max_connections_per_source", set_number, max_connections_per_source),
     .most = CONFIG_CONNECTIONS_MAX},
    {KEY("max_errors", set_number, smtp.max_errors), .least = 1, .most = UINT64_MAX},
    {KEY("max_message_size", set_size, smtp.max_message_size), .least = 65536,
     .most = (uint64_t)1 << 62},
    {KEY("max_received", set_number, smtp.max_received), .least = 1, .most = 10000},
    /* RFC 5321 4.5.3.1.8: at least 100 */
    {KEY("max_recipients", set_number, smtp.max_recipients), .least = 100, .most = 1000000},
    {KEY("max_refused_recipients", set_number, smtp.max_refused_recipients), .least = 1,
     .most = UINT64_MAX},
    /* RFC 5321 4.5.3.1.6: at least 1000 */
    {KEY("max_text_line", set_size, smtp.max_text_line), .least = 1000, .most = (uint64_t)1 << 62},
    {KEY("max_transactions", set_number, smtp.max_transactions), .least = 1, .most = UINT64_MAX},
    {KEY("min_data_rate", set_size, min_data_rate), .most = 1 << 30},
    {KEY("partial", set_choice, partial), .names = "defer single"},
    {KEY("protocol", set_choice, protocol), .names = "smtp lmtp"},
    {KEY("recipient_delimiter", set_text, recipient_delimiter), .most = 8},
    {KEY("relay_clients", set_networks, relay_clients), .most = CONFIG_FILE_MAX},
    {KEY("reply_codes", set_bool, reply_codes)},
    {KEY("sandbox", set_choice, sandbox), .names = "auto yes no"},
    {KEY("session_timeout", set_time, session_timeout), .least = 1, .most = 30 * (uint64_t)DAY},
    {KEY("smtputf8", set_bool, smtp.smtputf8)},
    {KEY("socket", check_socket, socket), .only_override = true},
    {KEY("spool_dir", set_directory, spool_dir), .reaches_out = true, .least = 1, .most = 3000},
    {KEY("spool_memory", set_size, spool_memory), .most = 1 << 30},
    {KEY("tolerate", set_flags, smtp.tolerate.kinds),
     .names = "blank dots underscore helo unqualified"},
    {KEY("trace", set_directory, trace), .reaches_out = true, .most = 3000},
    {KEY("trace_headers", set_flags, trace_headers), .names = "return-path delivered-to received"},
    {KEY("trace_messages", set_bool, trace_messages)},
    {KEY("trace_size", set_size, trace_size), .least = 4096, .most = (uint64_t)1 << 40},
    {KEY("user", set_text, user), .reaches_out = true, .most = 64},
};

static_assert(sizeof keys / sizeof *keys <= SETTING_MAX, "each has its number");

size_t setting_number(const struct setting *k)
{
    return (size_t)(k - keys);
}

/* The table is in order (tests/static.sh looks). To halve it by whole names would compare again and
 * again what keys have in common at their beginning: by the first letter alone, then row by row. */
const struct setting *setting_find(struct span name)
{
    const struct setting *k = keys, *const end = keys + sizeof keys / sizeof *keys;

    if (name.n == 0)
        return NULL;
    for (size_t left = sizeof keys / sizeof *keys; left > 0;) {
        const size_t half = left / 2;

        if (k[half].name.p[0] < name.p[0]) {
            k += half + 1;
            left -= half + 1;
        } else {
            left = half;
        }
    }
    for (; k < end && k->name.p[0] == name.p[0]; k++)
        if (k->name.n == name.n && span_eq(k->name, name))
            return k;
    return NULL;
}
