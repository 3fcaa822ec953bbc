#include "config.h"

#include "base/number.h"
#include "outside/macro.h"
#include "outside/network.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .p = (literal), .n = sizeof(literal) - 1                                                   \
    }

struct key {
    struct span name;
    /* NULL, or what is wrong with the value; the value is terminated. */
    const char *(*set)(const struct key *k, void *field, struct span value, struct arena *a);
    size_t field;
    uint64_t least, most;
    const char *names; /* of an enumeration, in order */
};

static const char *set_number(const struct key *k, void *field, struct span value, struct arena *a)
{
    uint64_t number;

    (void)a;
    if (number_parse(value, k->most, &number) != NUMBER_OK || number < k->least)
        return "not a number in its range";
    *(uint64_t *)field = number;
    return NULL;
}

static const char *set_size(const struct key *k, void *field, struct span value, struct arena *a)
{
    uint64_t number;

    (void)a;
    if (number_parse_size(value, k->most, &number) != NUMBER_OK || number < k->least)
        return "not a size in its range (octets, or with K, M or G)";
    *(uint64_t *)field = number;
    return NULL;
}

static const char *set_time(const struct key *k, void *field, struct span value, struct arena *a)
{
    uint64_t number;

    (void)a;
    if (number_parse_time(value, k->most, &number) != NUMBER_OK || number < k->least)
        return "not a time in its range (seconds, or with ms, s, m, h or d)";
    *(uint64_t *)field = number;
    return NULL;
}

static const char *set_bool(const struct key *k, void *field, struct span value, struct arena *a)
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

/* The place of a word in a list of names, or -1. */
static int name_index(const char *names, struct span word)
{
    struct span left = span_of(names), name;

    for (int i = 0; span_word(&left, " ", &name); i++)
        if (span_eq_nocase(name, word))
            return i;
    return -1;
}

static const char *set_choice(const struct key *k, void *field, struct span value, struct arena *a)
{
    const int i = name_index(k->names, value);

    (void)a;
    if (i < 0)
        return "not one of its choices";
    *(uint64_t *)field = (uint64_t)i;
    return NULL;
}

static const char *set_flags(const struct key *k, void *field, struct span value, struct arena *a)
{
    uint64_t flags = 0;
    struct span word;

    (void)a;
    while (span_word(&value, " \t,", &word)) {
        const int i = name_index(k->names, word);

        if (i < 0)
            return "has a word that is not one of its choices";
        flags |= (uint64_t)1 << i;
    }
    *(uint64_t *)field = flags;
    return NULL;
}

static const char *set_text(const struct key *k, void *field, struct span value, struct arena *a)
{
    (void)a;
    if (value.n < k->least || value.n > k->most)
        return "too short or too long";
    *(struct span *)field = value;
    return NULL;
}

static const char *set_directory(const struct key *k, void *field, struct span value,
                                 struct arena *a)
{
    if (value.n > 0 && value.p[0] != '/')
        return "not an absolute path";
    return set_text(k, field, value, a);
}

static const char *set_hostname(const struct key *k, void *field, struct span value,
                                struct arena *a)
{
    if (value.n > 0 && !smtp_is_domain(value, false))
        return "not a domain name";
    return set_text(k, field, value, a);
}

static const char *set_domains(const struct key *k, void *field, struct span value, struct arena *a)
{
    struct span left = value, word;

    while (span_word(&left, " \t,", &word))
        if (!smtp_is_literal(word) &&
            !smtp_is_domain(word.p[0] == '.' ? span_from(word, 1) : word, true))
            return "has a word that is no domain";
    return set_text(k, field, value, a);
}

static const char *set_networks(const struct key *k, void *field, struct span value,
                                struct arena *a)
{
    struct span left = value, word;
    struct network n;

    while (span_word(&left, " \t,", &word))
        if (!network_parse(word, &n))
            return "has a word that is no address or network";
    return set_text(k, field, value, a);
}

static const char *set_address(const struct key *k, void *field, struct span value, struct arena *a)
{
    struct network n;

    if (value.n > 0 && (span_find(value, '/') < value.n || !network_parse(value, &n)))
        return "not an IP address";
    return set_text(k, field, value, a);
}

static const char *set_command(const struct key *k, void *field, struct span value, struct arena *a)
{
    struct config_words words;
    const char *wrong = config_split(value, a, &words);

    (void)k;
    /* The program is the administrator's to choose, not the client's. */
    if (wrong == NULL && (words.n == 0 || words.word[0].n == 0 || macro_has_any(words.word[0])))
        wrong = "wants a program first, without macros";
    for (size_t i = 0; wrong == NULL && i < words.n; i++)
        wrong = macro_check(words.word[i]);
    if (wrong == NULL)
        *(struct config_words *)field = words;
    return wrong;
}

#define KEY(key, function, place)                                                                  \
    .name = TEXT_OF(key), .set = (function), .field = offsetof(struct config, place)

static const struct key keys[] = {
    {KEY("client_address", set_address, client_address), .most = 64},
    {KEY("client_name", set_hostname, client_name), .most = SMTP_DOMAIN_MAX},
    {KEY("command_timeout", set_time, command_timeout), .least = 1, .most = DAY},
    {KEY("data_timeout", set_time, data_timeout), .least = 1, .most = DAY},
    {KEY("deliver", set_command, deliver)},
    {KEY("deliver_format", set_choice, deliver_format), .names = "command qmail-queue"},
    {KEY("deliver_timeout", set_time, deliver_timeout), .least = 1, .most = DAY},
    {KEY("domains", set_domains, domains), .most = CONFIG_FILE_MAX},
    {KEY("fixed_id", set_hostname, fixed_id), .most = 32},
    {KEY("fixed_time", set_number, fixed_time), .most = (uint64_t)1 << 40},
    {KEY("helo_required", set_bool, smtp.helo_required)},
    {KEY("hostname", set_hostname, smtp.hostname), .most = SMTP_DOMAIN_MAX},
    {KEY("line_ending", set_choice, line_ending), .names = "lf crlf"},
    {KEY("log", set_choice, log), .names = "auto journal stderr syslog none"},
    {KEY("maildir", set_directory, maildir), .least = 1, .most = 3000},
    {KEY("maildir_layout", set_choice, maildir_layout), .names = "domain/user user"},
    {KEY("max_commands", set_number, smtp.max_commands), .least = 1, .most = UINT64_MAX},
    {KEY("max_errors", set_number, smtp.max_errors), .least = 1, .most = UINT64_MAX},
    {KEY("max_message_size", set_size, smtp.max_message_size), .least = 65536,
     .most = (uint64_t)1 << 62},
    {KEY("max_received", set_number, smtp.max_received), .least = 1, .most = 10000},
    /* RFC 5321 4.5.3.1.8: at least 100 */
    {KEY("max_recipients", set_number, smtp.max_recipients), .least = 100, .most = 1000000},
    /* RFC 5321 4.5.3.1.6: at least 1000 */
    {KEY("max_text_line", set_size, smtp.max_text_line), .least = 1000, .most = (uint64_t)1 << 62},
    {KEY("max_transactions", set_number, smtp.max_transactions), .least = 1, .most = UINT64_MAX},
    {KEY("min_data_rate", set_size, min_data_rate), .most = 1 << 30},
    {KEY("recipient_delimiter", set_text, recipient_delimiter), .most = 8},
    {KEY("relay_clients", set_networks, relay_clients), .most = CONFIG_FILE_MAX},
    {KEY("session_timeout", set_time, session_timeout), .least = 1, .most = 30 * (uint64_t)DAY},
    {KEY("spool_dir", set_directory, spool_dir), .least = 1, .most = 3000},
    {KEY("spool_memory", set_size, spool_memory), .most = 1 << 30},
    {KEY("trace", set_directory, trace), .most = 3000},
    {KEY("trace_headers", set_flags, trace_headers), .names = "return-path delivered-to received"},
    {KEY("trace_messages", set_bool, trace_messages)},
    {KEY("trace_size", set_size, trace_size), .least = 4096, .most = (uint64_t)1 << 40},
    {KEY("user", set_text, user), .most = 64},
};

static const struct key *find_key(struct span name)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (span_eq(keys[i].name, name))
            return &keys[i];
    return NULL;
}

/* One word off *line to the end of *out. \" is a quote that means nothing. */
static bool split_word(struct span *line, struct text *out)
{
    bool quoted = false;

    while (line->n > 0 && (quoted || (line->p[0] != ' ' && line->p[0] != '\t'))) {
        const bool escaped = line->n > 1 && line->p[0] == '\\' && line->p[1] == '"';

        if (escaped)
            *line = span_from(*line, 1);
        if (line->p[0] == '"' && !escaped)
            quoted = !quoted;
        else
            text_addc(out, line->p[0]);
        *line = span_from(*line, 1);
    }
    return !quoted;
}

const char *config_split(struct span line, struct arena *a, struct config_words *out)
{
    struct span words[CONFIG_WORDS_MAX];
    /* All words, each with its terminator: never longer than the line and one more. */
    struct text all = {.p = arena_get(a, line.n + 2), .cap = line.n + 2};
    size_t n = 0;

    if (all.p == NULL)
        return "is too long";
    for (line = span_trim(line); line.n > 0; line = span_trim(line)) {
        const size_t start = all.n;

        if (n == CONFIG_WORDS_MAX)
            return "has too many words";
        if (!split_word(&line, &all))
            return "has a quote without an end";
        words[n++] = (struct span){.p = all.p + start, .n = all.n - start};
        text_addc(&all, '\0');
    }
    out->n = n;
    out->word = arena_get(a, n * sizeof *words);
    if (out->word == NULL)
        return "is too long";
    if (n > 0)
        memcpy(out->word, words, n * sizeof *words);
    return NULL;
}

/* Where a setting comes from, and where its mistakes go. */
struct source {
    struct config *config;
    struct arena *arena;
    const char *file;
    unsigned line;
    const struct config_report *report;
    bool good;
};

static void mistake(struct source *s, struct span key, const char *what)
{
    s->good = false;
    if (s->report->say != NULL)
        s->report->say(s->report->context, s->file, s->line, key, what);
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (byte_is_control(s.p[i]) && s.p[i] != '\t')
            return true;
    return false;
}

static void set(struct source *s, struct span setting)
{
    const size_t equals = span_find(setting, '=');
    const struct span name = span_trim(span_first(setting, equals));
    const struct span value = arena_copy(s->arena, span_trim(span_from(setting, equals + 1)));
    const struct key *k = find_key(name);
    const char *wrong;

    if (equals == setting.n) {
        mistake(s, name, "no '=' behind the key");
    } else if (k == NULL) {
        mistake(s, name, "no such key");
    } else if (value.p == NULL) {
        mistake(s, name, "the configuration is too large");
    } else if (has_control(value)) {
        mistake(s, name, "has a control character");
    } else {
        wrong = k->set(k, (char *)s->config + k->field, value, s->arena);
        if (wrong != NULL)
            mistake(s, name, wrong);
    }
}

/* A line that begins with a blank goes on with the setting before it; empty lines and comments
 * belong to nothing (as in Postfix main.cf). */
static void read_settings(struct source *s, struct span text)
{
    struct text setting = {.p = arena_get(s->arena, text.n + 1), .cap = text.n + 1};
    unsigned line_number = 0;

    if (setting.p == NULL) {
        mistake(s, SPAN(""), "the configuration is too large");
        return;
    }
    while (text.n > 0) {
        struct span line = span_first(text, span_find(text, '\n'));
        const bool goes_on = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

        text = span_from(text, line.n + 1);
        line_number++;
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (span_trim(line).n == 0 || span_trim(line).p[0] == '#')
            continue;
        if (!goes_on) {
            if (setting.n > 0)
                set(s, text_span(&setting));
            setting.n = 0;
            s->line = line_number;
        } else if (setting.n == 0) {
            s->line = line_number;
            mistake(s, span_trim(line),
                    "begins with a blank, and there is no setting to go on with");
            continue;
        }
        text_add(&setting, line);
    }
    if (setting.n > 0)
        set(s, text_span(&setting));
}

/* The file's bytes in the arena, or .p NULL and errno. A missing default file is an empty one. */
static struct span read_file(struct arena *a, const char *file, bool may_be_missing)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    char *text = arena_get(a, CONFIG_FILE_MAX);
    ssize_t got = 1;
    size_t n = 0;

    if (fd < 0)
        return (struct span){.p = may_be_missing && errno == ENOENT ? text : NULL};
    while (text != NULL && got != 0) {
        if (n == CONFIG_FILE_MAX)
            errno = EFBIG;
        got = n == CONFIG_FILE_MAX ? -1 : read(fd, text + n, CONFIG_FILE_MAX - n);
        if (got < 0 && errno != EINTR)
            text = NULL;
        else if (got > 0)
            n += (size_t)got;
    }
    close(fd);
    return (struct span){.p = text, .n = n};
}

/* The embedded default: Maildirs. */
static const char *default_delivery(struct config *c, struct arena *a)
{
    const struct span words[] = {
        macro_literal(SPAN(SMTPIN_BINDIR "/smtpin-maildir"), a),
        SPAN("-l"),
        c->maildir_layout == CONFIG_LAYOUT_USER ? SPAN("user") : SPAN("domain/user"),
        SPAN("-d"),
        macro_literal(c->recipient_delimiter, a),
        SPAN("--"),
        macro_literal(c->maildir, a),
        SPAN("${recipient}"),
    };

    c->deliver.n = sizeof words / sizeof *words;
    c->deliver.word = arena_get(a, sizeof words);
    c->embedded = true;
    if (c->deliver.word == NULL || words[0].p == NULL || words[4].p == NULL || words[6].p == NULL)
        return "the configuration is too large";
    memcpy(c->deliver.word, words, sizeof words);
    return NULL;
}

static void set_host_default(struct config *c, struct arena *a)
{
    char name[SMTP_DOMAIN_MAX + 1] = "";
    struct span host;

    if (gethostname(name, sizeof name - 1) < 0)
        name[0] = '\0';
    host = arena_copy(a, span_of(name));
    c->smtp.hostname = smtp_is_domain(host, false) ? host : SPAN("localhost");
}

struct span config_own_domain(const struct config *c)
{
    struct span left = c->domains, word;

    while (span_word(&left, " \t,", &word))
        if (word.p[0] != '.' && word.p[0] != '[')
            return word;
    return c->smtp.hostname;
}

static const struct config defaults = {
    .smtp =
        {
            .max_message_size = 50 * 1024 * 1024,
            .max_recipients = 1000,
            .max_errors = 20,
            .max_commands = 10000,
            .max_transactions = 1000,
            .max_received = 100,
            .max_text_line = 65536,
        },
    .domains = TEXT_OF(""),
    .relay_clients = TEXT_OF(""),
    .deliver_timeout = 5 * MINUTE,
    .maildir = TEXT_OF("/var/mail/smtpin"),
    .recipient_delimiter = TEXT_OF("+"),
    .trace_headers = CONFIG_TRACE_RETURN_PATH | CONFIG_TRACE_DELIVERED_TO | CONFIG_TRACE_RECEIVED,
    .spool_dir = TEXT_OF("/var/tmp"),
    .spool_memory = 256 * 1024,
    .command_timeout = 5 * MINUTE,
    .data_timeout = 5 * MINUTE,
    .session_timeout = HOUR,
    .min_data_rate = 500,
    .user = TEXT_OF(""),
    .client_address = TEXT_OF(""),
    .client_name = TEXT_OF(""),
    .trace = TEXT_OF(""),
    .trace_size = 1024 * 1024,
    .fixed_id = TEXT_OF(""),
};

bool config_load(struct config *c, struct arena *a, const char *file, const char *const *overrides,
                 size_t count, const struct config_report *report)
{
    struct source s = {
        .config = c,
        .arena = a,
        .file = file == NULL ? SMTPIN_SYSCONFDIR "/smtpin/smtpin.conf" : file,
        .report = report,
        .good = true,
    };
    const char *wrong;
    struct span text;

    *c = defaults;
    text = read_file(a, s.file, file == NULL);
    if (text.p == NULL)
        mistake(&s, SPAN(""), strerror(errno));
    else
        read_settings(&s, text);
    s.file = "-o";
    for (size_t i = 0; i < count; i++) {
        s.line = (unsigned)i + 1;
        set(&s, span_of(overrides[i]));
    }
    if (c->smtp.hostname.n == 0)
        set_host_default(c, a);
    wrong = c->deliver.n == 0 ? default_delivery(c, a) : NULL;
    if (wrong != NULL)
        mistake(&s, SPAN("deliver"), wrong);
    return s.good;
}
