/* smtpin: reads the command line, and decides what this process is: one session (serve.h), a
 * listening process (listen.h), or an answer to --check, --print or --explain. It serves nobody
 * itself. */
#include "adapters/auth_state.h"
#include "adapters/deliver.h"
#include "adapters/log.h"
#include "adapters/peer.h"
#include "adapters/setup.h"
#include "backend/record.h"
#include "base/number.h"
#include "config/load.h"
#include "explain.h"
#include "listen.h"
#include "print.h"
#include "sandbox/sandbox.h"
#include "serve.h"
#include "show_lookup.h"
#include "syntax/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 64,
    EXIT_NO_SOCKET = 69,
    EXIT_SYSTEM = 71,
    EXIT_CONFIG = 78,
    OVERRIDES_MAX = 256,
};

/* All of this process's memory but its stack. What the command line needs lies behind what each
 * connection touches. */
struct memory {
    struct serve_memory serve;
    const char *override[OVERRIDES_MAX];
    const char *recipient[EXPLAIN_RECIPIENTS_MAX];
};

enum print { PRINT_NOTHING, PRINT_ALL, PRINT_MADE, PRINT_DEFAULTS };

struct arguments {
    const char *file;
    const char **override; /* at most OVERRIDES_MAX */
    size_t overrides;
    bool check, explain, listen;
    enum print print;
    const char *client;        /* --client */
    const char *table, *entry; /* --lookup */
    const char *wrong;         /* an argument that is none */
    struct explain_question question;
};

static const char usage[] =
    "usage: smtpin [-f FILE] [-o KEY=VALUE]... [--lmtp] [--listen]\n"
    "              [--check | --print | --print-set | --print-defaults | --version | --help]\n"
    "       smtpin [-f FILE] [-o KEY=VALUE]... --explain [--client ADDRESS] [--helo NAME]\n"
    "              [--login USER] [--size OCTETS] [--json] [--sender ADDRESS]\n"
    "              --recipient ADDRESS...\n"
    "       smtpin [-f FILE] [-o KEY=VALUE]... --lookup TABLE ADDRESS\n"
    "Speaks SMTP on descriptors 0 and 1; a super-server starts it for each connection.\n"
    "If listening sockets are passed to it, it accepts connections itself, a process for each.\n"
    "  -f FILE           read this configuration, not " SMTPIN_SYSCONFDIR "/smtpin/smtpin.conf\n"
    "  -o KEY=VALUE      a setting; it takes precedence over the file\n"
    "  --lmtp            speak LMTP, as with -o protocol=lmtp\n"
    "  --listen          exit with 69 if no listening sockets were passed\n"
    "  --check           check the configuration; exit with 0 if it is good, else with 78\n"
    "  --print           print all settings, and where each was set\n"
    "  --print-set       print only the settings that were set\n"
    "  --print-defaults  print the default of each setting\n"
    "  --explain         say what would happen to a message, and by which rule; exit with 0 if\n"
    "                    every command would be accepted, else with 1\n"
    "  --lookup TABLE ADDRESS\n"
    "                    print what a table (recipients, aliases, senders, sender_login, domains)\n"
    "                    has for an address: key, value, source; exit with 1 if it has nothing\n"
    "Manuals: smtpin(8), smtpin.conf(5), smtpin-delivery(7), smtpin-maildir(1)\n";

/* The options of --explain; false when this is none of them. */
static bool explain_option(struct arguments *a, const char *name, const char *value)
{
    struct explain_question *q = &a->question;

    if (strcmp(name, "--client") == 0 && a->overrides < OVERRIDES_MAX)
        a->client = value;
    else if (strcmp(name, "--helo") == 0)
        q->helo = value;
    else if (strcmp(name, "--login") == 0)
        q->login = value;
    else if (strcmp(name, "--sender") == 0)
        q->sender = value;
    else if (strcmp(name, "--recipient") == 0 && q->recipients < EXPLAIN_RECIPIENTS_MAX)
        q->recipient[q->recipients++] = value;
    else if (strcmp(name, "--size") == 0)
        return number_parse_size(span_of(value), UINT64_MAX, &q->size) == NUMBER_OK;
    else
        return false;
    return true;
}

static bool print_option(struct arguments *a, const char *name)
{
    if (strcmp(name, "--print") == 0)
        a->print = PRINT_ALL;
    else if (strcmp(name, "--print-set") == 0)
        a->print = PRINT_MADE;
    else if (strcmp(name, "--print-defaults") == 0)
        a->print = PRINT_DEFAULTS;
    else
        return false;
    return true;
}

/* -1: go on; else the exit status. */
static int parse_arguments(struct arguments *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-f") == 0 && i + 1 < argc) {
            a->file = argv[++i];
        } else if (strcmp(argv[i], "-o") == 0 && i + 1 < argc && a->overrides < OVERRIDES_MAX) {
            a->override[a->overrides++] = argv[++i];
        } else if (strcmp(argv[i], "--lmtp") == 0 && a->overrides < OVERRIDES_MAX) {
            a->override[a->overrides++] = "protocol=lmtp";
        } else if (strcmp(argv[i], "--check") == 0) {
            a->check = true;
        } else if (print_option(a, argv[i])) {
            continue;
        } else if (strcmp(argv[i], "--explain") == 0) {
            a->explain = true;
        } else if (strcmp(argv[i], "--lookup") == 0 && i + 2 < argc) {
            a->table = argv[++i];
            a->entry = argv[++i];
        } else if (strcmp(argv[i], "--listen") == 0) {
            a->listen = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            a->question.json = true;
        } else if (i + 1 < argc && explain_option(a, argv[i], argv[i + 1])) {
            i++;
        } else if (strcmp(argv[i], "--version") == 0) {
            return puts("smtpin " SMTPIN_VERSION) < 0;
        } else if (strcmp(argv[i], "--help") == 0) {
            return fputs(usage, stdout) < 0;
        } else {
            a->wrong = argv[i];
            return EXIT_USAGE;
        }
    }
    return -1;
}

/* A key may be any text of the file: a terminal must not obey it. What is not about a line, or not
 * about a key, has none; what is not about the configuration, no file. */
static void print_to(FILE *out, const char *file, unsigned line, struct span key, const char *what)
{
    char room[512];
    struct text escaped = TEXT(room);

    if (file == NULL) {
        fprintf(out, "%s\n", what);
        return;
    }
    text_add_escaped(&escaped, key, "");
    fputs(file, out);
    if (line > 0)
        fprintf(out, ":%u", line);
    if (escaped.n > 0)
        fprintf(out, ": %.*s", SPAN_FORMAT(text_span(&escaped)));
    fprintf(out, ": %s\n", what);
}

static void print_mistake(void *context, const char *file, unsigned line, struct span key,
                          const char *what)
{
    (void)context;
    print_to(stdout, file, line, key, what);
}

static void complain_mistake(void *context, const char *file, unsigned line, struct span key,
                             const char *what)
{
    (void)context;
    print_to(stderr, file, line, key, what);
}

static struct config_source source(const struct arguments *a)
{
    return (struct config_source){
        .file = a->file, .override = (const char *const *)a->override, .overrides = a->overrides};
}

/* The configuration of each socket that has a section in it, as its connections would have it. */
static bool check_sections(const struct arguments *a, const struct config *c,
                           const struct config_report *report)
{
    char *room = mmap(NULL, CONFIG_ARENA_MAX, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct config_source from = source(a);
    bool good = room != MAP_FAILED;

    for (size_t i = 0; good && c->socket.n == 0 && i < c->sections; i++) {
        struct arena arena = {.base = room, .cap = CONFIG_ARENA_MAX};
        struct config own;

        from.socket = c->section[i];
        good = config_load(&own, &arena, &from, report) && setup_check(&own, report) &&
               setup_check_tls(&own, c, report) && setup_check_auth(&own, c, report);
    }
    return good;
}

static int check(const struct arguments *a, struct serve_memory *m)
{
    struct arena arena = {.base = m->arena, .cap = CONFIG_ARENA_MAX};
    struct config_origin origin[CONFIG_SETTINGS_MAX];
    const struct config_report report = {.say = print_mistake, .origin = origin};
    const struct config_source from = source(a);
    struct config c;
    const char *wrong;
    /* What a mistake left at its default is not the administrator's choice: nothing to look at. */
    bool good = config_load(&c, &arena, &from, &report);

    if (!good)
        return EXIT_CONFIG;
    good = setup_check(&c, &report);
    good = setup_check_tls(&c, NULL, &report) && good;
    good = setup_check_auth(&c, NULL, &report) && good;
    wrong = c.sandbox == CONFIG_SANDBOX_NO ? NULL : sandbox_check();
    if (wrong != NULL)
        config_complain(&report, SPAN("sandbox"), wrong);
    good = good && (wrong == NULL || c.sandbox == CONFIG_SANDBOX_AUTO);
    good = good && check_sections(a, &c, &report);
    if (good)
        puts("smtpin: the configuration is good");
    return good ? 0 : EXIT_CONFIG;
}

static int print(const struct arguments *a, struct serve_memory *m)
{
    struct arena arena = {.base = m->arena, .cap = CONFIG_ARENA_MAX};
    struct config_origin origin[CONFIG_SETTINGS_MAX];
    const struct config_report report = {.say = complain_mistake, .origin = origin};
    struct config_source from = source(a);
    struct config c;

    if (a->print == PRINT_DEFAULTS)
        from = (struct config_source){.file = "/dev/null"};
    if (!config_load(&c, &arena, &from, &report))
        return EXIT_CONFIG;
    return print_settings(&c, origin, a->print == PRINT_MADE);
}

static int look_up(const struct arguments *a, struct serve_memory *m)
{
    struct arena arena = {.base = m->arena, .cap = CONFIG_ARENA_MAX};
    const struct config_report report = {.say = complain_mistake};
    const struct config_source from = source(a);
    struct config c;

    if (!config_load(&c, &arena, &from, &report))
        return EXIT_CONFIG;
    return show_lookup(&c, a->table, a->entry);
}

static int explain_message(struct arguments *a, struct serve_memory *m)
{
    struct arena arena = {.base = m->arena, .cap = CONFIG_ARENA_MAX};
    const struct config_report report = {.say = complain_mistake};
    const struct config_source from = source(a);
    const struct span address = span_of(a->client);
    struct network client;
    struct config c;

    if (a->question.sender == NULL)
        a->question.sender = "";
    if (a->question.recipients == 0 ||
        (a->question.login != NULL && !auth_is_user(span_of(a->question.login)))) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (!config_load(&c, &arena, &from, &report))
        return EXIT_CONFIG;
    if (a->client != NULL) {
        if (!network_parse(address, &client) || span_find(address, '/') < address.n) {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
        c.client_address = address;
    }
    if (a->question.login != NULL && !c.smtp.auth) {
        fputs("smtpin: --login: nobody can log in: auth is not set\n", stderr);
        return EXIT_USAGE;
    }
    return explain(&c, &a->question);
}

/* A session, from the moment that its connection and its configuration are there. */
static _Noreturn void serve_one(const struct config *c, struct serve_connection *connection,
                                struct peer *peer, struct log *log, struct serve_memory *m,
                                const struct arena *taken)
{
    if (c->smtp.lmtp && peer_own_port(connection->in) == 25) {
        record_mistake(log, "setup", 0, SPAN("protocol"),
                       "LMTP is not spoken on port 25 (RFC 2033 5)");
        connection->available = false;
    }
    if (c->smtp.normalize && peer_own_port(connection->in) == 25) {
        record_mistake(log, "setup", 0, SPAN("bare_line_ends"), "never normalized on port 25");
        connection->available = false;
    }
    if (c->policy.n > 0 || c->smtp.auth || c->helo_is_us == 1)
        peer_find_server(peer, connection->in);
    connection->peer = peer;
    /* In the sandbox it can no longer be had. */
    if (connection->stop == SERVE_STOP_LATER && c->sandbox != CONFIG_SANDBOX_NO)
        connection->stop = setup_stop();
    if (connection->stop == -1)
        setup_no_stop();
    _exit(serve(c, connection, log, m, taken)); /* nothing is left to be flushed or cleaned up */
}

/* Of a listening process, only the children come back from listen_run with something to do. */
static int listen_and_serve(const struct arguments *a, struct serve_memory *m,
                            const struct setup *s, struct log *log, char **argv)
{
    const struct listen_given given = {
        .setup = s, .source = source(a), .available = a->wrong == NULL, .log = log};
    struct arena arena = {.base = m->arena, .cap = CONFIG_ARENA_MAX};
    struct serve_connection connection = {.available = true, .listened = true};
    struct listen_accepted accepted;
    const struct config *c;
    struct title title;
    struct peer peer;

    title_open(&title, argv, &arena);
    switch (listen_run(&given, &accepted)) {
    case LISTEN_ENDED:
        return 0;
    case LISTEN_FAILED:
        return EXIT_SYSTEM;
    case LISTEN_ACCEPTED:
        break;
    }
    c = accepted.config;
    /* A section may have its own. */
    log_open(log, c->log, s->stderr_is_ours);
    connection.in = connection.out = accepted.fd;
    connection.stop = accepted.stop;
    connection.seat = accepted.seat;
    connection.available = accepted.available;
    connection.title = &title;
    if (setup_is_gone(accepted.fd))
        return 0;
    peer_find(&peer, &accepted.from, false, c);
    serve_one(c, &connection, &peer, log, m, &arena);
}

static int run(const struct arguments *a, struct serve_memory *m, char **argv)
{
    struct arena arena = {.base = m->arena, .cap = CONFIG_ARENA_MAX};
    struct serve_connection connection = {.available = true, .seat = -1};
    struct config_report report = {.say = record_mistake};
    const struct config_source from = source(a);
    struct config *const c = &m->config;
    struct setup s;
    struct log log = LOG_CLOSED;
    struct peer peer;

    setup_process(&s);
    /* Until the configuration says where to: so that its own mistakes are heard. */
    log_open(&log, CONFIG_LOG_AUTO, s.stderr_is_ours);
    report.context = &log;
    if (a->wrong != NULL)
        record_mistake(&log, "command line", 0, span_of(a->wrong),
                       "no such option, or without its value");
    if (s.wrong != NULL)
        record_mistake(&log, "setup", 0, SPAN(""), s.wrong);
    if (s.listeners > 0)
        return listen_and_serve(a, m, &s, &log, argv);
    if (a->listen || s.in < 0) {
        if (s.wrong == NULL)
            record_mistake(&log, "setup", 0, SPAN("--listen"), "no listening socket was passed");
        return EXIT_NO_SOCKET;
    }
    connection.in = s.in;
    connection.out = s.out;
    connection.stop = SERVE_STOP_LATER;
    connection.available = config_load(c, &arena, &from, &report) && a->wrong == NULL;
    log_open(&log, c->log, s.stderr_is_ours);
    peer_find(&peer, &s.from, true, c);
    if (s.gone && peer.address.n == 0) /* nobody has said who it was, either */
        return 0;
    connection.available = setup_user(c, &report) && connection.available;
    /* A listening process and its children write by hand: each would load the library for itself
     * (docs/performance.md). */
    log.manager = s.manager;
    serve_one(c, &connection, &peer, &log, m, &arena);
}

static bool is_connection(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int main(int argc, char **argv)
{
    struct memory *m =
        mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct arguments a = {.question = {.size = 0}};
    int status;

    if (m == MAP_FAILED)
        return EXIT_SYSTEM; /* no memory to say more */
    a.override = m->override;
    a.question.recipient = m->recipient;
    status = parse_arguments(&a, argc, argv);
    /* Descriptor 2 may be the client's, who has no use for our usage: 421, and the log has it. */
    if (status == EXIT_USAGE && is_connection(0)) {
        a.check = a.explain = false;
        a.table = NULL;
        a.print = PRINT_NOTHING;
    } else if (status >= 0) {
        if (status == EXIT_USAGE)
            fprintf(stderr, "smtpin: %s: no such option, or without its value\n%s", a.wrong, usage);
        return status;
    }
    if (a.print != PRINT_NOTHING)
        return print(&a, &m->serve);
    if (a.table != NULL)
        return look_up(&a, &m->serve);
    if (a.explain)
        return explain_message(&a, &m->serve);
    return a.check ? check(&a, &m->serve) : run(&a, &m->serve, argv);
}
