#include "adapters/command.h"

#include "io/environment.h"
#include "syntax/macro.h"

typedef void add_fact(struct text *out, const struct command_run *run,
                      const struct smtp_recipient *r);

static void add_sender(struct text *out, const struct command_run *run,
                       const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->session->transaction.reverse_path.address);
}

static void add_recipient(struct text *out, const struct command_run *run,
                          const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, r->mailbox.address);
}

static void add_original_recipient(struct text *out, const struct command_run *run,
                                   const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, r->of == NULL ? r->mailbox.address : r->of->mailbox.address);
}

static void add_mailbox(struct text *out, const struct command_run *run,
                        const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, r->mailbox.local);
}

static void add_domain(struct text *out, const struct command_run *run,
                       const struct smtp_recipient *r)
{
    (void)run;
    text_add(out, r->mailbox.ascii.n > 0 ? r->mailbox.ascii : r->mailbox.domain);
}

static void add_user(struct text *out, const struct command_run *run,
                     const struct smtp_recipient *r)
{
    text_add(out,
             span_first(r->mailbox.local, smtp_extension_at(r->mailbox.local, run->delimiter)));
}

static void add_extension(struct text *out, const struct command_run *run,
                          const struct smtp_recipient *r)
{
    text_add(out,
             span_from(r->mailbox.local, smtp_extension_at(r->mailbox.local, run->delimiter) + 1));
}

static void add_size(struct text *out, const struct command_run *run,
                     const struct smtp_recipient *r)
{
    (void)r;
    text_addn(out, run->size, 1);
}

static void add_id(struct text *out, const struct command_run *run, const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->id);
}

static void add_digest(struct text *out, const struct command_run *run,
                       const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->digest);
}

static void add_replies(struct text *out, const struct command_run *run,
                        const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->replies);
}

static void add_hold(struct text *out, const struct command_run *run,
                     const struct smtp_recipient *r)
{
    (void)r;
    text_adds(out, run->hold ? "1" : "");
}

static void add_client_address(struct text *out, const struct command_run *run,
                               const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->peer->address);
}

static void add_client_port(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->peer->port);
}

static void add_client_hostname(struct text *out, const struct command_run *run,
                                const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->peer->name.n > 0 ? run->peer->name : SPAN("unknown"));
}

static void add_client_helo(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->session->helo);
}

static void add_client_protocol(struct text *out, const struct command_run *run,
                                const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, smtp_session_protocol(run->session, run->session->transaction.smtputf8));
}

static void add_body(struct text *out, const struct command_run *run,
                     const struct smtp_recipient *r)
{
    static const char *const names[] = {[SMTP_BODY_7BIT] = "7BIT",
                                        [SMTP_BODY_8BITMIME] = "8BITMIME",
                                        [SMTP_BODY_BINARYMIME] = "BINARYMIME"};
    const struct smtp_transaction *t = &run->session->transaction;

    (void)r;
    /* Who gets octets that are no lines must know of it; UTF-8 is in the addresses, too. */
    text_adds(out, t->smtputf8 && t->body != SMTP_BODY_BINARYMIME ? "SMTPUTF8" : names[t->body]);
}

/* systemd's, and the administrator's: where LoadCredential= has put what only this unit may read.
 */
static void add_credentials_directory(struct text *out, const struct command_run *run,
                                      const struct smtp_recipient *r)
{
    const char *directory = environment_get("CREDENTIALS_DIRECTORY");

    (void)run;
    (void)r;
    text_adds(out, directory == NULL ? "" : directory);
}

static void add_sasl_username(struct text *out, const struct command_run *run,
                              const struct smtp_recipient *r)
{
    (void)r;
    if (run->session->authenticated)
        text_add(out, run->session->login->user);
}

static void add_sasl_method(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    if (run->session->authenticated)
        text_add(out, run->session->login->method);
}

static void add_sasl_sender(struct text *out, const struct command_run *run,
                            const struct smtp_recipient *r)
{
    (void)r;
    text_add(out, run->session->transaction.auth);
}

static void add_tls_protocol(struct text *out, const struct command_run *run,
                             const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->protocol);
}

static void add_tls_cipher(struct text *out, const struct command_run *run,
                           const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->cipher);
}

static void add_tls_sni(struct text *out, const struct command_run *run,
                        const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->sni);
}

static void add_tls_client_verify(struct text *out, const struct command_run *run,
                                  const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->verify);
}

static void add_tls_client_name(struct text *out, const struct command_run *run,
                                const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->name);
}

static void add_tls_client_subject(struct text *out, const struct command_run *run,
                                   const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->subject);
}

static void add_tls_client_fingerprint(struct text *out, const struct command_run *run,
                                       const struct smtp_recipient *r)
{
    (void)r;
    if (run->peer->tls != NULL)
        text_add(out, run->peer->tls->fingerprint);
}

static void add_requiretls(struct text *out, const struct command_run *run,
                           const struct smtp_recipient *r)
{
    (void)r;
    text_adds(out, run->session->transaction.requiretls ? "1" : "");
}

/* One row for each of syntax/macro.h, which has the names. */
static add_fact *const facts[MACROS] = {
    [MACRO_SENDER] = add_sender,
    [MACRO_RECIPIENT] = add_recipient,
    [MACRO_ORIGINAL_RECIPIENT] = add_original_recipient,
    [MACRO_MAILBOX] = add_mailbox,
    [MACRO_USER] = add_user,
    [MACRO_EXTENSION] = add_extension,
    [MACRO_DOMAIN] = add_domain,
    [MACRO_SIZE] = add_size,
    [MACRO_QUEUE_ID] = add_id,
    [MACRO_DIGEST] = add_digest,
    [MACRO_BODY] = add_body,
    [MACRO_REPLIES] = add_replies,
    [MACRO_HOLD] = add_hold,
    [MACRO_CLIENT_ADDRESS] = add_client_address,
    [MACRO_CLIENT_PORT] = add_client_port,
    [MACRO_CLIENT_HOSTNAME] = add_client_hostname,
    [MACRO_CLIENT_HELO] = add_client_helo,
    [MACRO_CLIENT_PROTOCOL] = add_client_protocol,
    [MACRO_CREDENTIALS_DIRECTORY] = add_credentials_directory,
    [MACRO_SASL_USERNAME] = add_sasl_username,
    [MACRO_SASL_METHOD] = add_sasl_method,
    [MACRO_SASL_SENDER] = add_sasl_sender,
    [MACRO_TLS_PROTOCOL] = add_tls_protocol,
    [MACRO_TLS_CIPHER] = add_tls_cipher,
    [MACRO_TLS_SNI] = add_tls_sni,
    [MACRO_TLS_CLIENT_VERIFY] = add_tls_client_verify,
    [MACRO_TLS_CLIENT_NAME] = add_tls_client_name,
    [MACRO_TLS_CLIENT_SUBJECT] = add_tls_client_subject,
    [MACRO_TLS_CLIENT_FINGERPRINT] = add_tls_client_fingerprint,
    [MACRO_REQUIRETLS] = add_requiretls,
};

struct span command_replies(const struct config *c, const struct smtp_session *session)
{
    if (c->deliver_replies == 0)
        return SPAN("one");
    return smtp_session_hears_each(session) &&
                   session->transaction.targets == session->transaction.recipients
               ? SPAN("each")
               : SPAN("merged");
}

/* Text is written straight into what is left of the arena, and kept when all of it fitted. */
static struct text begin(const struct arena *a)
{
    return (struct text){.p = a->base + a->used, .cap = a->cap - a->used};
}

static char *keep(struct arena *a, struct text *t)
{
    text_addc(t, '\0');
    return t->cut ? NULL : arena_get(a, t->n);
}

/* r is NULL where the run has no recipient. */
static char *expand(const struct command_run *run, struct span word, const struct smtp_recipient *r,
                    struct arena *a)
{
    struct text out = begin(a);
    enum macro_id m;
    struct span literal;

    while (word.n > 0 && macro_next_piece(&word, &literal, &m)) {
        text_add(&out, literal);
        if (m != MACROS && (r != NULL || !macros[m].per_recipient))
            facts[m](&out, run, r);
    }
    return keep(a, &out);
}

/* Words without macros, as they stand: execve(2) writes nowhere. */
static char **plain_argv(const struct words *words, struct arena *a)
{
    char **argv = arena_get(a, (words->n + 1) * sizeof *argv);

    if (argv == NULL)
        return NULL;
    for (size_t i = 0; i < words->n; i++)
        argv[i] = (char *)(uintptr_t)words->word[i].p;
    argv[words->n] = NULL;
    return argv;
}

/* How often a word stands in the argv. */
static size_t times_of(const struct command_run *run, struct span word)
{
    return run->recipients > 0 && macro_is_per_recipient(word) ? run->recipients : 1;
}

static const struct smtp_recipient *recipient_of(const struct command_run *run, size_t k)
{
    return k < run->recipients ? run->recipient[k] : NULL;
}

char **command_argv(const struct command_run *run, const struct words *words, struct arena *a)
{
    size_t count = 0, n = 0;
    char **argv;

    if (!words->macros)
        return plain_argv(words, a);
    for (size_t i = 0; i < words->n; i++)
        count += times_of(run, words->word[i]);
    argv = arena_get(a, (count + 1) * sizeof *argv);
    if (argv == NULL)
        return NULL;
    for (size_t i = 0; i < words->n; i++) {
        const size_t times = times_of(run, words->word[i]);

        for (size_t k = 0; k < times; k++) {
            argv[n] = expand(run, words->word[i], recipient_of(run, k), a);
            if (argv[n++] == NULL)
                return NULL;
        }
    }
    argv[n] = NULL;
    return argv;
}

/* Variables, one behind the other in `text`, each terminated. */
struct environment {
    char **variable;
    size_t n;
    struct text text;
};

static void begin_variable(struct environment *e, struct span name)
{
    e->variable[e->n++] = e->text.p + e->text.n;
    text_add(&e->text, name);
}

static void end_variable(struct environment *e)
{
    text_addc(&e->text, '\0');
}

static void add_own(struct environment *e, struct span name, struct span value)
{
    begin_variable(e, name);
    text_add(&e->text, value);
    end_variable(e);
}

static void add_macro(struct environment *e, enum macro_id id, const struct command_run *run)
{
    const struct macro *m = &macros[id];
    const size_t mark = e->text.n;

    begin_variable(e, tag_span(&m->variable));
    facts[id](&e->text, run, recipient_of(run, 0));
    if (m->optional && e->text.n == mark + m->variable.n) {
        e->text.n = mark;
        e->n--;
        return;
    }
    end_variable(e);
}

char **command_environment(const struct command_run *run, struct arena *a)
{
    const char *zone = environment_get("TZ"), *language = environment_get("LANG");
    const enum macro_id end = run->peer->tls != NULL        ? MACROS
                              : run->session->authenticated ? MACRO_TLS_PROTOCOL
                                                            : MACRO_SASL_USERNAME;
    struct environment e = {.variable = arena_get(a, (MACROS + 6) * sizeof *e.variable)};

    if (e.variable == NULL)
        return NULL;
    e.text = begin(a);
    add_own(&e, SPAN("PATH="), SPAN(COMMAND_PATH));
    add_own(&e, SPAN("LANG="), language == NULL ? SPAN("C") : span_of(language));
    if (zone != NULL)
        add_own(&e, SPAN("TZ="), span_of(zone));
    begin_variable(&e, SPAN("RECIPIENT_COUNT="));
    text_addn(&e.text, run->recipients, 1);
    end_variable(&e);
    if (run->check.n > 0)
        add_own(&e, SPAN("SMTPIN_CHECK="), run->check);
    for (enum macro_id i = 0; i < end; i++)
        if (macros[i].variable.n > 0 && (!macros[i].per_recipient || run->recipients == 1))
            add_macro(&e, i, run);
    e.variable[e.n] = NULL;
    return e.text.cut || arena_get(a, e.text.n) == NULL ? NULL : e.variable;
}
