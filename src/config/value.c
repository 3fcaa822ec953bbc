/* The values of settings: what each kind of value must look like. */
#include "config/value.h"

#include "base/number.h"
#include "config/unit.h"
#include "syntax/confine.h"
#include "syntax/idn.h"
#include "syntax/macro.h"
#include "syntax/network.h"
#include "syntax/policy_server.h"
#include "syntax/table_source.h"

#include <assert.h>
#include <string.h>

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
    unit_add(&out, k->least, units);
    if (k->most != UINT64_MAX) {
        text_adds(&out, " to ");
        unit_add(&out, k->most, units);
    }
    return keep_mistake(&out, a);
}

/* A number, a size or a time: `parse` knows which, `wants` and `units` say it. */
static const char *set_in_units(const struct setting *k, uint64_t *field, struct span value,
                                struct arena *a, __typeof__(number_parse) *parse, const char *wants,
                                const struct unit *units)
{
    uint64_t number;

    if (parse(value, k->most, &number) != NUMBER_OK || number < k->least)
        return out_of_range(k, wants, units, a);
    *field = number;
    return NULL;
}

static const char *set_bool(bool *field, struct span value)
{
    if (span_eq_nocase(value, SPAN("yes")))
        *field = true;
    else if (span_eq_nocase(value, SPAN("no")))
        *field = false;
    else
        return "must be yes or no";
    return NULL;
}

static const char *set_normalize(bool *field, struct span value)
{
    if (!span_eq_nocase(value, SPAN("normalize")) && !span_eq_nocase(value, SPAN("refuse")))
        return "must be refuse or normalize";
    *field = span_eq_nocase(value, SPAN("normalize"));
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

static const char *set_choice(const struct setting *k, uint64_t *field, struct span value,
                              struct arena *a)
{
    const int i = name_index(k->names, value);

    if (i < 0)
        return no_choice(k, "must be one of: ", a);
    *field = (uint64_t)i;
    return NULL;
}

/* The word of a list that is wrong. */
static const char *wrong_word(const char *begin, struct span word, struct arena *a)
{
    struct text out = begin_mistake(a, begin);

    text_add_escaped(&out, span_first(word, 256), "");
    return keep_mistake(&out, a);
}

static const char *set_flags(const struct setting *k, uint64_t *field, struct span value,
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
    *field = flags;
    return NULL;
}

static const char *set_text(const struct setting *k, struct span *field, struct span value)
{
    if (value.n < k->least)
        return value.n == 0 ? "is empty" : "is too short";
    if (value.n > k->most)
        return "is too long";
    *field = value;
    return NULL;
}

static const char *set_directory(const struct setting *k, struct span *field, struct span value)
{
    if (value.n > 0 && value.p[0] != '/')
        return "not an absolute path";
    return set_text(k, field, value);
}

static const char *set_hostname(const struct setting *k, struct span *field, struct span value)
{
    if (value.n > 0 && !smtp_is_domain(value, false))
        return "not a domain name";
    return set_text(k, field, value);
}

/* A list with octets outside ASCII, with A-labels in the place of U-labels. Where these can't be
 * had it stays as it is: each is compared as it is written. */
static const char *set_idn_domains(struct span *field, struct span value, struct arena *a)
{
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};
    struct span left = value, word;
    struct idn idn = {0};
    enum idn_result result = IDN_OK;

    while (result == IDN_OK && span_word(&left, " \t,", &word)) {
        const bool below = word.p[0] == '.';

        text_adds(&out, out.n > 0 ? " " : "");
        if (table_is_source(word) == NULL) {
            text_add(&out, word);
            continue;
        }
        text_adds(&out, below ? "." : "");
        result = idn_to_ascii(&idn, span_from(word, below), &out);
    }
    idn_end(&idn);
    if (idn.failed)
        return "can't be had in ASCII now";
    if (result == IDN_NONE)
        return "has a word that is not a valid domain name";
    if (result == IDN_OK && (out.cut || arena_get(a, out.n) == NULL))
        return "is too long";
    *field = result == IDN_OK ? text_span(&out) : value;
    return NULL;
}

static_assert(CONFIG_DOMAIN_TABLES_MAX == 4 && CONFIG_POLICY_SERVERS_MAX == 8, "as mistakes say");

static const char *set_domains(const struct setting *k, struct span *field, struct span value,
                               struct arena *a)
{
    struct span left = value, word;
    size_t tables = 0;

    while (span_word(&left, " \t,", &word)) {
        if (table_is_source(word) == NULL) {
            if (++tables > CONFIG_DOMAIN_TABLES_MAX)
                return "has more than four tables";
            continue;
        }
        if (word.p[0] == '*')
            return "has a '*': .example.org stands for every domain below example.org";
        if (table_is_meant(word))
            return table_is_source(word);
        if (!smtp_is_literal(word) &&
            !smtp_is_domain(word.p[0] == '.' ? span_from(word, 1) : word, true))
            return wrong_word("has a word that is not a domain: ", word, a);
    }
    return span_is_ascii(value) ? set_text(k, field, value) : set_idn_domains(field, value, a);
}

static const char *set_networks(const struct setting *k, struct span *field, struct span value,
                                struct arena *a)
{
    struct span left = value, word;
    struct network n;

    while (span_word(&left, " \t,", &word))
        if (!network_parse(word, &n) && (k->names[0] == '\0' || name_index(k->names, word) < 0))
            return wrong_word("has a word that is not an address or a network: ", word, a);
    return set_text(k, field, value);
}

static const char *set_confine(const struct setting *k, struct span *field, struct span value,
                               struct arena *a)
{
    struct span left = value, word;
    struct confine_word rule;
    size_t words = 0;
    bool off = false;

    for (; span_word(&left, " \t,", &word); words++) {
        if (!confine_read(word, &rule))
            return wrong_word("has a word that is not no, auto, tcp, or ro:, rw: or exec: and a "
                              "path that begins with /: ",
                              word, a);
        off = off || rule.kind == CONFINE_OFF;
    }
    if (off && words > 1)
        return "has no beside other words";
    return set_text(k, field, value);
}

static const char *set_address(const struct setting *k, struct span *field, struct span value)
{
    struct network n;

    if (value.n > 0 && !network_parse_address(value, &n))
        return "not an IP address";
    return set_text(k, field, value);
}

static const char *set_table(const struct setting *k, struct span *field, struct span value)
{
    const char *wrong = value.n == 0 ? NULL : table_is_source(value);

    return wrong == NULL ? set_text(k, field, value) : wrong;
}

static const char *set_servers(const struct setting *k, struct span *field, struct span value)
{
    struct span left = value, word;
    const char *wrong = NULL;
    size_t n = 0;

    while (wrong == NULL && span_word(&left, " \t,", &word))
        wrong = ++n > CONFIG_POLICY_SERVERS_MAX ? "has more than eight servers"
                                                : policy_is_server(word);
    return wrong == NULL ? set_text(k, field, value) : wrong;
}

/* "self-signed", or the paths of a chain and perhaps its key; a directory may hold several. */
static const char *is_certificate(struct span words)
{
    struct span word;
    size_t n = 0;

    if (span_eq(span_trim(words), SPAN("self-signed")))
        return NULL;
    while (span_word(&words, " \t", &word)) {
        if (word.p[0] != '/')
            return "not an absolute path, nor self-signed";
        if (++n > 2)
            return "has more than a chain and a key; separate certificates with a comma";
    }
    return n > 0 ? NULL : "has an empty certificate between commas";
}

static const char *set_certificates(const struct setting *k, struct span *field, struct span value,
                                    struct arena *a)
{
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};
    struct span left = value, one;
    const char *wrong = NULL;

    if (value.n == 0)
        return set_text(k, field, value);
    while (wrong == NULL && span_word(&left, ",", &one))
        wrong = is_certificate(one);
    if (wrong != NULL || field->n == 0)
        return wrong != NULL ? wrong : set_text(k, field, value);
    text_add(&out, *field);
    text_adds(&out, ", ");
    text_add(&out, value);
    text_addc(&out, '\0');
    if (out.cut || out.n > k->most || arena_get(a, out.n) == NULL)
        return "is too long";
    *field = (struct span){.p = out.p, .n = out.n - 1};
    return NULL;
}

static const char *set_tls_options(const struct setting *k, struct span *field, struct span value,
                                   struct arena *a)
{
    struct span left = value, word;

    while (span_word(&left, " \t", &word))
        if (span_find(word, '=') == word.n || span_find(word, '=') == 0)
            return wrong_word("has a word that is not NAME=VALUE: ", word, a);
    return set_text(k, field, value);
}

static const char *set_opinion(const struct setting *k, struct span *field, struct span value)
{
    char bytes[SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(bytes);
    struct smtp_reply reply;

    if (!span_eq_nocase(value, SPAN("DUNNO")) && !smtp_result_of_words(&reply, value, &room))
        return "must be DUNNO, or a reply such as 451 4.3.5 Try again later";
    return set_text(k, field, value);
}

static const char *set_command(const struct setting *k, struct words *field, struct span value,
                               struct arena *a)
{
    struct words words = {.n = 0};
    const char *wrong = words_split(value, a, &words);

    if (wrong == NULL && words.n == 0 && k->least == 0) {
        *field = words;
        return NULL;
    }

    /* The program is the administrator's to choose, not the client's. */
    if (wrong == NULL &&
        (words.n == 0 || words.word[0].n == 0 || (words.macros && macro_has_any(words.word[0]))))
        wrong = "must begin with a program, without macros";
    for (size_t i = 0; wrong == NULL && words.macros && i < words.n; i++)
        wrong = macro_check(words.word[i]);
    if (wrong == NULL)
        *field = words;
    return wrong;
}

static const char *set_auth(const struct setting *k, struct config_auth *field, struct span value,
                            struct arena *a)
{
    static const struct span dovecot = {.p = "dovecot:", .n = 8};
    static const struct span checkpassword = {.p = "checkpassword:", .n = 14};
    struct config_auth auth = {.socket = SPAN("")};
    const char *wrong = set_text(k, &auth.value, value);

    if (wrong != NULL || value.n == 0) {
        *field = auth;
        return wrong;
    }
    if (span_starts_nocase(value, dovecot)) {
        auth.socket = span_trim(span_from(value, dovecot.n));
        wrong = auth.socket.n > 0 && auth.socket.p[0] == '/' && auth.socket.n <= 100
                    ? NULL
                    : "dovecot: is followed by the path of a socket";
    } else if (span_starts_nocase(value, checkpassword)) {
        wrong = words_split(span_from(value, checkpassword.n), a, &auth.command);
        if (wrong == NULL && (auth.command.n == 0 || auth.command.macros))
            wrong = "checkpassword: is followed by a command, without macros";
    } else {
        wrong = "must be dovecot:PATH or checkpassword:COMMAND";
    }
    if (wrong == NULL)
        *field = auth;
    return wrong;
}

static const char *set_exit_map(struct smtp_exit_map *field, struct span value)
{
    struct smtp_exit_map map = {{0}};

    if (!smtp_exit_map_add(&map, value))
        return "has a word that is neither status:code nor a preset (qmail, sysexits)";
    *field = map;
    return NULL;
}

static bool has_quotes(struct span value)
{
    return value.n > 1 && value.p[0] == value.p[value.n - 1] &&
           (value.p[0] == '"' || value.p[0] == '\'');
}

const char *value_set(const struct setting *k, struct config *c, struct span value, struct arena *a)
{
    void *field = (char *)c + k->field;

    if (k->kind != VALUE_COMMAND && k->kind != VALUE_AUTH && has_quotes(value))
        return "has quotes around its value: leave them out";
    switch (k->kind) {
    case VALUE_NUMBER:
        return set_in_units(k, field, value, a, number_parse, "must be a number", unit_ones);
    case VALUE_SIZE:
        return set_in_units(k, field, value, a, number_parse_size,
                            "must be a size (octets, or with K, M or G)", unit_octets);
    case VALUE_TIME:
        return set_in_units(k, field, value, a, number_parse_time,
                            "must be a time (seconds, or with ms, s, m, h or d)", unit_times);
    case VALUE_BOOL:
        return set_bool(field, value);
    case VALUE_NORMALIZE:
        return set_normalize(field, value);
    case VALUE_CHOICE:
        return set_choice(k, field, value, a);
    case VALUE_FLAGS:
        return set_flags(k, field, value, a);
    case VALUE_TEXT:
        return set_text(k, field, value);
    case VALUE_DIRECTORY:
        return set_directory(k, field, value);
    case VALUE_HOSTNAME:
        return set_hostname(k, field, value);
    case VALUE_DOMAINS:
        return set_domains(k, field, value, a);
    case VALUE_NETWORKS:
        return set_networks(k, field, value, a);
    case VALUE_CONFINE:
        return set_confine(k, field, value, a);
    case VALUE_ADDRESS:
        return set_address(k, field, value);
    case VALUE_TABLE:
        return set_table(k, field, value);
    case VALUE_SERVERS:
        return set_servers(k, field, value);
    case VALUE_OPINION:
        return set_opinion(k, field, value);
    case VALUE_CERTIFICATES:
        return set_certificates(k, field, value, a);
    case VALUE_TLS_OPTIONS:
        return set_tls_options(k, field, value, a);
    case VALUE_SOCKET:
        return config_is_socket_name(value) ? NULL : "not the name of a socket";
    case VALUE_COMMAND:
        return set_command(k, field, value, a);
    case VALUE_AUTH:
        return set_auth(k, field, value, a);
    case VALUE_EXIT_MAP:
        return set_exit_map(field, value);
    }
    return "no such kind";
}
