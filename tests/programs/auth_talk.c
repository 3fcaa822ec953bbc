/* auth-talk VALUE [FACT=VALUE ...]: drives the backends of `auth` as a session does, for
 * auth_backends.py. VALUE is that of the setting. Lines of descriptor 0 say what to do, and a line
 * of descriptor 1 what came of it:
 *
 *     mechanisms                 the mechanisms
 *     begin MECHANISM [BASE64]   a login; "=" is the empty initial response
 *     respond [BASE64]           the response to a challenge
 *     cancel, close
 *     FACT=VALUE                 changes a fact
 */
#include "adapters/auth.h"
#include "base/number.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct talk {
    struct config config;
    struct peer peer;
    struct tls_facts tls;
    struct auth auth;
    struct arena arena;
    char memory[64 * 1024];
    char line[AUTH_RESPONSE_MAX + 8192];
};

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "auth-talk: %s\n", why);
    exit(64);
}

static void set_auth(struct talk *t, struct span value)
{
    struct config_auth *auth = &t->config.auth;

    auth->value = value;
    if (span_starts_nocase(value, SPAN("dovecot:")))
        auth->socket = span_from(value, 8);
    else if (!span_starts_nocase(value, SPAN("checkpassword:")) ||
             words_split(span_from(value, 14), &t->arena, &auth->command) != NULL)
        die("VALUE");
}

static void set_fact(struct talk *t, struct span name, struct span value)
{
    const struct {
        const char *name;
        struct span *place;
    } spans[] = {
        {"address", &t->peer.address},
        {"port", &t->peer.port},
        {"server_address", &t->peer.server_address},
        {"server_port", &t->peer.server_port},
        {"id", &t->auth.id},
    };
    uint64_t number = 0;

    if (span_eq(name, SPAN("tls"))) {
        t->peer.tls = value.n > 0 ? &t->tls : NULL;
    } else if (span_eq(name, SPAN("plaintext"))) {
        t->config.smtp.auth_plaintext = value.n > 0;
    } else if (span_eq(name, SPAN("timeout"))) {
        if (number_parse(value, 600000, &number) != NUMBER_OK)
            die("timeout");
        t->config.auth_timeout = number;
    } else {
        for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
            if (span_eq(name, span_of(spans[i].name)))
                *spans[i].place = value;
        tls_facts_set(&t->tls, name, value);
    }
}

static void say(const struct auth_answer *a)
{
    static const char *const names[] = {
        [AUTH_DONE] = "DONE",           [AUTH_CHALLENGE] = "CHALLENGE", [AUTH_WRONG] = "WRONG",
        [AUTH_MALFORMED] = "MALFORMED", [AUTH_UNKNOWN] = "UNKNOWN",     [AUTH_LATER] = "LATER",
    };

    printf("%s %.*s\n", names[a->result], SPAN_FORMAT(a->text));
}

static void obey(struct talk *t, struct span line)
{
    struct auth_answer answer;
    struct span word = {0}, argument = {0};
    const char *why;

    span_word(&line, " ", &word);
    if (span_eq(word, SPAN("mechanisms"))) {
        if (auth_mechanisms(&t->auth, &argument, &why))
            printf("mechanisms %.*s\n", SPAN_FORMAT(argument));
        else
            printf("LATER %s\n", why);
    } else if (span_eq(word, SPAN("begin"))) {
        struct span mechanism = {0};

        span_word(&line, " ", &mechanism);
        if (!span_word(&line, " ", &argument))
            auth_begin(&t->auth, mechanism, NULL, &answer);
        else if (span_eq(argument, SPAN("=")))
            auth_begin(&t->auth, mechanism, &SPAN(""), &answer);
        else
            auth_begin(&t->auth, mechanism, &argument, &answer);
        say(&answer);
    } else if (span_eq(word, SPAN("respond"))) {
        span_word(&line, " ", &argument);
        auth_go_on(&t->auth, argument, &answer);
        say(&answer);
    } else if (span_eq(word, SPAN("cancel"))) {
        auth_cancel(&t->auth);
        puts("cancelled");
    } else if (span_eq(word, SPAN("close"))) {
        auth_close(&t->auth);
        puts("closed");
    } else {
        const size_t n = span_find(word, '=');

        set_fact(t, arena_copy(&t->arena, span_first(word, n)),
                 arena_copy(&t->arena, span_from(word, n + 1)));
        puts("set");
    }
}

/* Octet by octet: nothing of it stays in a buffer of the C library's. */
static bool read_line(struct talk *t, struct span *line)
{
    size_t n = 0;

    while (n < sizeof t->line && read(0, t->line + n, 1) == 1) {
        if (t->line[n] == '\n') {
            *line = (struct span){.p = t->line, .n = n};
            return true;
        }
        n++;
    }
    return false;
}

int main(int argc, char **argv)
{
    static struct talk t;
    struct span line;
    sigset_t child;

    if (argc < 2)
        die("VALUE [FACT=VALUE ...]");
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    t.arena = (struct arena){.base = t.memory, .cap = sizeof t.memory};
    t.config.auth_timeout = 40000;
    set_auth(&t, span_of(argv[1]));
    auth_open(&t.auth, &t.config, &t.peer, SPAN("ID"));
    for (int i = 2; i < argc; i++) {
        const struct span fact = span_of(argv[i]);
        const size_t n = span_find(fact, '=');

        set_fact(&t, span_first(fact, n), span_from(fact, n + 1));
    }
    while (read_line(&t, &line)) {
        obey(&t, line);
        explicit_bzero(t.line, sizeof t.line);
        fflush(stdout);
    }
    auth_close(&t.auth);
    return 0;
}
