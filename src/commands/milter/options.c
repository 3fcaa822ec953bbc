#include "commands/milter/options.h"

#include "base/number.h"
#include "base/text.h"
#include "smtp/path.h"

#include <string.h>
#include <unistd.h>

enum { TIME_MAX = 3600000 };

/* What the filters behind it get. */
struct present {
    enum filter_default otherwise;
    uint64_t timeout, content_timeout;
};

/* "port@host" as sendmail has it, or "host:port" as Postfix does. */
static bool inet_server(struct span endpoint, struct text *server)
{
    const size_t at = span_find(endpoint, '@');

    if (at == endpoint.n) {
        text_add(server, endpoint);
    } else {
        text_add(server, span_from(endpoint, at + 1));
        text_addc(server, ':');
        text_add(server, span_first(endpoint, at));
    }
    return span_find(text_span(server), ':') > 0 && span_find(text_span(server), ':') < server->n;
}

/* Is the word a filter? `server` is it as io/connect.h has it. */
static bool read_filter(struct span word, struct text *server)
{
    const size_t colon = span_find(word, ':');
    const struct span kind = span_first(word, colon), endpoint = span_from(word, colon + 1);
    bool good;

    if (span_eq(kind, SPAN("inet")) || span_eq(kind, SPAN("inet6"))) {
        good = inet_server(endpoint, server);
    } else {
        text_adds(server, "unix:");
        text_add(server, endpoint);
        good = (span_eq(kind, SPAN("unix")) || span_eq(kind, SPAN("local"))) && endpoint.n > 0 &&
               endpoint.p[0] == '/';
    }
    text_string(server);
    return good && !server->cut;
}

static bool is_filter(const char *word)
{
    static const char *const kinds[] = {"inet:", "inet6:", "unix:", "local:"};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(word, kinds[i], strlen(kinds[i])) == 0)
            return true;
    return false;
}

static const char *add_filter(struct options *o, const struct present *now, const char *word)
{
    struct text server;

    if (o->filters == OPTIONS_FILTERS_MAX)
        return "is one filter too many";
    server = (struct text){.p = o->server[o->filters], .cap = OPTIONS_SERVER_MAX};
    if (!read_filter(span_of(word), &server))
        return "is no filter: inet:HOST:PORT or unix:/PATH";
    o->filter[o->filters] = (struct filter){.name = word,
                                            .server = o->server[o->filters],
                                            .otherwise = now->otherwise,
                                            .timeout = now->timeout,
                                            .content_timeout = now->content_timeout};
    o->filters++;
    return NULL;
}

static const char *set_default(struct present *now, const char *value)
{
    static const char *const names[] = {
        [FILTER_TEMPFAIL] = "tempfail", [FILTER_ACCEPT] = "accept", [FILTER_REJECT] = "reject"};

    for (enum filter_default i = FILTER_TEMPFAIL; i <= FILTER_REJECT; i++)
        if (strcmp(value, names[i]) == 0) {
            now->otherwise = i;
            return NULL;
        }
    return "is neither tempfail, accept nor reject";
}

/* "daemon_name=ORIGINATING", with braces or without. */
static const char *set_macro(struct facts *f, const char *value)
{
    const struct span all = span_of(value);
    const size_t equal = span_find(all, '=');
    struct span name = span_first(all, equal);

    if (name.n > 2 && name.p[0] == '{' && name.p[name.n - 1] == '}')
        name = span_first(span_from(name, 1), name.n - 2);
    if (equal == all.n || name.n == 0 || span_has_control(all) || f->n == FACTS_MACROS_MAX ||
        span_find(name, ' ') < name.n || span_find(name, '{') < name.n)
        return "is no macro: NAME=VALUE";
    f->own[f->n++] = (struct fact_macro){.name = name, .value = span_from(all, equal + 1)};
    return NULL;
}

static const char *set_time(uint64_t *time, const char *value)
{
    return number_parse_time(span_of(value), TIME_MAX, time) == NUMBER_OK && *time > 0
               ? NULL
               : "is no time of at most an hour";
}

static const char *set_host(struct options *o, const char *value)
{
    o->facts.host = value;
    return smtp_is_domain(span_of(value), false) ? NULL : "is no host name";
}

/* An option and its value. */
static const char *set(struct options *o, struct present *now, const char *name, char *value)
{
    if (strcmp(name, "--default") == 0)
        return set_default(now, value);
    if (strcmp(name, "--timeout") == 0)
        return set_time(&now->timeout, value);
    if (strcmp(name, "--content-timeout") == 0)
        return set_time(&now->content_timeout, value);
    if (strcmp(name, "--limit") == 0)
        return limits_set(&o->limits, span_of(value));
    if (strcmp(name, "--macro") == 0)
        return set_macro(&o->facts, value);
    if (strcmp(name, "--spool-dir") == 0) {
        o->spool_dir = value;
        return NULL;
    }
    if (strcmp(name, "-h") == 0)
        return set_host(o, value);
    if (strcmp(name, "-r") == 0) {
        o->recipient[o->recipients++] = value;
        return NULL;
    }
    return "is no option";
}

/* An option is "--name VALUE", "--name=VALUE", "-n VALUE" or "-nVALUE". `used`: its words. */
static const char *read_option(struct options *o, struct present *now, char **argv, int *used)
{
    char name[32];
    struct text t = TEXT(name);
    const struct span word = span_of(argv[0]);
    const bool is_long = word.n > 2 && word.p[1] == '-';
    const size_t end = is_long ? span_find(word, '=') : 2;
    char *value = argv[0] + end + is_long;

    text_add(&t, span_first(word, end));
    text_string(&t);
    *used = 1;
    if (end >= word.n) {
        value = argv[1];
        *used = 2;
    }
    return value == NULL ? "has no value" : set(o, now, name, value);
}

const char *options_read(struct options *o, int argc, char **argv, const char **word)
{
    struct present now = {.timeout = 30000, .content_timeout = 240000};
    const char *wrong = NULL;
    int i = 1;

    o->limits = limits_usual();
    o->spool_dir = "/var/tmp";
    o->facts.host = o->host;
    if (gethostname(o->host, sizeof o->host - 1) < 0 || !smtp_is_domain(span_of(o->host), false))
        strcpy(o->host, "localhost");
    while (i < argc && wrong == NULL && strcmp(argv[i], "--") != 0) {
        int used = 1;

        *word = argv[i];
        if (is_filter(argv[i]))
            wrong = add_filter(o, &now, argv[i]);
        else if (argv[i][0] == '-')
            wrong = read_option(o, &now, argv + i, &used);
        else
            break;
        i += used;
    }
    i += wrong == NULL && i < argc && strcmp(argv[i], "--") == 0;
    if (wrong != NULL)
        return wrong;
    *word = "smtpin-milter";
    if (o->filters == 0)
        return "has no filter";
    if (i >= argc)
        return "has no command";
    o->command = argv + i;
    o->words = (size_t)(argc - i);
    return NULL;
}
