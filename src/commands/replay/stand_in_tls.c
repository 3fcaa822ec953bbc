#include "commands/replay/stand_in_tls.h"

#include "commands/replay/told_tls.h"
#include "syntax/macro.h"
#include "syntax/words.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { CLIENT_WORDS_MAX = 32 };

static bool sets(const char *setting, struct span key)
{
    const struct span s = span_of(setting);

    return span_eq(span_trim(span_first(s, span_find(s, '='))), key);
}

static bool is_set(const struct transcript *t, const struct replay_options *o, struct span key)
{
    for (size_t i = 0; i < t->settings; i++)
        if (sets(t->setting[i], key))
            return true;
    for (size_t i = 0; i < o->overrides; i++)
        if (sets(o->override[i], key))
            return true;
    return false;
}

/* The smtpin-tls beside smtpin's own program, terminated; empty where there is none: that of the
 * configuration is used. */
static struct span find_program(const char *smtpin, struct arena *a)
{
    const char *slash = strrchr(smtpin, '/');
    struct text path = {.p = a->base + a->used, .cap = a->cap - a->used};

    if (slash == NULL)
        return SPAN("");
    text_add(&path, (struct span){.p = smtpin, .n = (size_t)(slash - smtpin) + 1});
    text_adds(&path, "smtpin-tls");
    if (access(text_string(&path), X_OK) < 0)
        return SPAN("");
    arena_get(a, path.n + 1);
    return text_span(&path);
}

static bool set_program(struct stand_in_tls *s, struct span program, const char **setting,
                        size_t *n, struct arena *a)
{
    const struct span literal = macro_literal(program, a);
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};
    struct span *word;

    text_adds(&out, "tls_command=");
    words_add(&out, literal);
    text_addc(&out, '\0');
    setting[(*n)++] = arena_get(a, out.n);
    word = arena_get(a, sizeof *word);
    errno = ENOMEM;
    if (out.cut || word == NULL)
        return false;
    *word = program;
    s->config.tls_command = (struct words){.word = word, .n = 1};
    return true;
}

bool stand_in_tls_open(struct stand_in_tls *s, const struct transcript *t,
                       const struct replay_options *o, const struct config *c, const char **setting,
                       size_t *n, struct arena *a)
{
    struct span program;

    s->on = c->smtp.tls != SMTP_TLS_OFF;
    if (!s->on)
        return true;
    s->implicit = c->smtp.tls == SMTP_TLS_IMPLICIT;
    s->config = *c;
    s->config.tls_timeout = o->timeout;
    s->certificate = !is_set(t, o, SPAN("tls_certificate"));
    if (s->certificate)
        setting[(*n)++] = "tls_certificate=self-signed";
    if (!is_set(t, o, SPAN("tls_service")))
        setting[(*n)++] = "tls_service=no";
    if (is_set(t, o, SPAN("tls_command")))
        return true;
    program = find_program(o->program, a);
    return program.n == 0 || set_program(s, program, setting, n, a);
}

/* The client's words, each terminated, in the arena. */
struct command {
    char *word[CLIENT_WORDS_MAX];
    size_t n;
    struct arena *arena;
    bool full;
};

static void add(struct command *c, struct span value)
{
    const struct span copy = arena_copy(c->arena, value);

    c->full = c->full || copy.p == NULL || c->n + 1 == CLIENT_WORDS_MAX;
    if (!c->full)
        c->word[c->n++] = (char *)copy.p;
}

static void add_option(struct command *c, const char *name, struct span value)
{
    char room[400];
    struct text option = TEXT(room);

    if (value.n == 0)
        return;
    text_adds(&option, name);
    text_addc(&option, '=');
    text_add(&option, value);
    add(c, SPAN("--option"));
    add(c, text_span(&option));
}

static void replace(struct text *t, struct span from, struct span to)
{
    for (size_t i = 0; i + from.n <= t->n; i++)
        if (span_eq(span_first(span_from(text_span(t), i), from.n), from)) {
            char room[100];
            struct text rest = TEXT(room);

            text_add(&rest, span_from(text_span(t), i + from.n));
            t->n = i;
            text_add(t, to);
            text_add(t, text_span(&rest));
            return;
        }
}

/* The certificate that stands in has a key of its own kind. */
static void add_cipher(struct command *c, struct span iana, bool any_key)
{
    char room[200], other_room[100];
    struct text name = TEXT(room), other = TEXT(other_room);

    if (told_tls_is_suite(iana)) {
        add_option(c, "Ciphersuites", iana);
        return;
    }
    told_tls_cipher(&name, iana);
    if (any_key) {
        text_add(&other, text_span(&name));
        replace(&other, SPAN("-RSA-"), SPAN("-ECDSA-"));
        text_addc(&name, ':');
        text_add(&name, text_span(&other));
    }
    add_option(c, "CipherString", text_span(&name));
}

/* In TLS 1.2, the curve of a certificate's key must be among them, too (RFC 8422 5.1). */
static void add_groups(struct command *c, const struct tls_facts *wanted)
{
    char room[100];
    struct text groups = TEXT(room);

    text_add(&groups, wanted->group);
    if (wanted->group.n > 0 && !span_eq(wanted->group, SPAN("secp256r1")) &&
        !span_eq(wanted->protocol, SPAN("TLSv1.3")))
        text_adds(&groups, ":P-256");
    add_option(c, "Groups", text_span(&groups));
}

static bool make_command(struct command *c, const struct stand_in_tls *s,
                         const struct tls_facts *wanted)
{
    const bool version = wanted->protocol.n > 3; /* "TLS" says none */

    for (size_t i = 0; i < s->config.tls_command.n; i++)
        add(c, s->config.tls_command.word[i]);
    if (version) {
        add_option(c, "MinProtocol", wanted->protocol);
        add_option(c, "MaxProtocol", wanted->protocol);
    }
    if (wanted->cipher_iana.n > 0)
        add_cipher(c, wanted->cipher_iana, s->certificate);
    add_groups(c, wanted);
    add(c, SPAN("--client"));
    if (wanted->sni.n > 0)
        add(c, wanted->sni);
    c->word[c->n] = NULL;
    return !c->full;
}

bool stand_in_tls_shake_hands(const struct stand_in_tls *s, struct tls *tls,
                              const struct tls_facts *wanted, int connection, struct arena *a)
{
    struct command command = {.arena = a};
    const size_t mark = a->used;
    sigset_t child;
    bool ready;

    /* As io/child.h wants it. */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    ready = tls_prepare_client(tls, &s->config,
                               make_command(&command, s, wanted) ? command.word : NULL, connection);
    a->used = mark;
    if (!ready || !tls_shake_hands(tls, -1))
        return false;
    if (s->certificate && wanted->cipher_iana.n > 0 &&
        told_tls_same_cipher(wanted->cipher_iana, tls->facts.cipher_iana))
        tls->facts.cipher_iana = wanted->cipher_iana;
    return true;
}
