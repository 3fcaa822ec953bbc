/* compromised FILE ATTACK: a worker in the sandbox of FILE's configuration that belongs to an
 * attacker: it has descriptors 0 and 1 as smtpin has, and tries one thing. The monitor is smtpin's
 * own. Whatever is written to the client says how far it came. Without ATTACK:
 * what there is, for tests/programs/sandbox.py. Never installed. */
#include "attack.h"

#include "io/clock.h"
#include "serve.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *attack_key = "/etc/shadow";
long attack_helper;

void attack_say(const char *text)
{
    (void)!write(1, text, strlen(text));
}

/* Its end, which has no name, where there is none. */
static const struct attack *find(const struct attack *all, const char *name)
{
    for (; all->name != NULL; all++)
        if (strcmp(all->name, name) == 0)
            break;
    return all;
}

/* All that there are, and what tests/programs/sandbox.py calls them. */
static const struct {
    const char *what;
    const struct attack *attacks;
} lists[] = {
    {"call", attack_calls},     {"request", attack_requests},   {"request", attack_conduct},
    {"request", attack_chunks}, {"request", attack_extras},     {"request", attack_questions},
    {"request", attack_login},  {"request", attack_submitter},  {"request", attack_tls},
    {"request", attack_proxy},  {"tls_call", attack_tls_calls},
};

static const struct attack *find_in_all(const char *name)
{
    const struct attack *found = find(lists[0].attacks, name);

    for (size_t i = 1; i < sizeof lists / sizeof *lists && found->name == NULL; i++)
        found = find(lists[i].attacks, name);
    return found;
}

static void look_around(void)
{
    const char *key = getenv("SMTPIN_TEST_KEY");

    if (key != NULL)
        attack_key = key;
    attack_helper = (long)getpid() + 2; /* behind the worker */
}

/* A line each, its columns apart by tabs; what is "-" is NULL. */
static void list(const char *what, const struct attack *all)
{
    for (; all->name != NULL; all++) {
        const char *const columns[] = {what,      all->name,      all->kind,
                                       all->said, all->violation, all->conf};

        for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
            const char *text = columns[i] != NULL ? columns[i] : "-";

            (void)!write(1, text, strcspn(text, "\n"));
            attack_say(i + 1 < sizeof columns / sizeof *columns ? "\t" : "\n");
        }
    }
}

static void list_kinds(void)
{
    for (enum request_kind kind = 0; kind < REQUEST_KIND_COUNT; kind++) {
        attack_say("kind\t");
        (void)!write(1, request_about(kind)->name.p, request_about(kind)->name.n);
        attack_say("\n");
    }
}

int main(int argc, char **argv)
{
    static struct serve_memory memory;
    static struct config config;
    static struct smtp_session session;
    static struct backend backend;
    static struct worker worker;
    const struct config_report silent = {.say = NULL};
    struct peer peer = {.address = SPAN("192.0.2.1"), .name = SPAN("")};
    struct arena arena = {.base = memory.arena, .cap = CONFIG_ARENA_MAX}, transaction;
    struct log log = LOG_CLOSED;
    const struct config_source from = {.file = argc > 1 ? argv[1] : ""};
    const struct attack *attack;
    struct tls_stream plain = {-1, -1, false};
    bool available = true;
    sigset_t blocked;

    /* As in setup.c. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    sigaddset(&blocked, SIGXFSZ);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    if (argc == 2) {
        list_kinds();
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
            list(lists[i].what, lists[i].attacks);
    }
    if (argc != 3 || !config_load(&config, &arena, &from, &silent))
        return argc == 2 ? 0 : 64;
    attack = find_in_all(argv[2]);
    if (attack->name == NULL)
        return 64;
    look_around();
    log_open(&log, CONFIG_LOG_STDERR, true);
    transaction = arena_behind(&arena, arena.used + SERVE_ARENA_MAX);
    backend = (struct backend){
        .config = &config,
        .peer = &peer,
        .session = &session,
        .proxied = &memory.proxied,
        .seat = -1,
        .rules = {.sources = &memory.sources},
        .recorder = {.out = TEXT(memory.trace)},
        .spool = {.fd = -1, .buffer = memory.spool, .cap = sizeof memory.spool},
    };
    if (config.smtp.tls != SMTP_TLS_OFF) {
        tls_open(&memory.tls, &config);
        backend.tls = &memory.tls;
        peer.tls = memory.tls.given ? &memory.tls.facts : NULL;
        plain = memory.tls.ours;
    }
    backend_open(&backend, &log, NULL);
    if (config.smtp.auth) {
        auth_open(&memory.auth, &config, &peer, record_session_id(&backend.record));
        backend.auth = &memory.auth;
    }
    switch (sandbox_fork(&backend, &worker,
                         &(struct sandbox_session){
                             .in = 0,
                             .out = 1,
                             .stop = -1,
                             .plain = plain,
                             .deadline = clock_now() + config.session_timeout,
                             .late = serve_late_time(&config),
                             .packet = TEXT(memory.packet),
                             .added = TEXT(memory.added),
                             .transaction = &transaction,
                             .xclient = &memory.xclient,
                             .login = &memory.login,
                             .arena_max = SERVE_ARENA_MAX + SERVE_DELIVERY_MAX,
                         },
                         &available)) {
    case SANDBOX_WORKER:
        attack->run(&worker);
        attack_say("back\n");
        return 0;
    case SANDBOX_ENDED:
        return 0;
    default:
        return SERVE_CRASHED;
    }
}
