#include "adapters/command.h"

#include "io/environment.h"

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
            command_facts[m](&out, run, r);
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

enum { VARIABLE_MAX = 128 * 1024 }; /* octets of one, with its name and its end */

/* Variables, one behind the other in `text`, each terminated. */
struct environment {
    char **variable;
    size_t n;
    struct text text;
};

static inline void begin_variable(struct environment *e, struct span name)
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

/* An optional one that is empty is no variable. */
static inline void end_macro(struct environment *e, const struct macro *m, size_t mark)
{
    if (m->optional && e->text.n == mark + m->variable.n) {
        e->text.n = mark;
        e->n--;
    } else {
        end_variable(e);
    }
}

static inline void add_macro(struct environment *e, enum macro_id id, const struct command_run *run)
{
    const size_t mark = e->text.n;

    begin_variable(e, tag_span(&macros[id].variable));
    command_facts[id](&e->text, run, recipient_of(run, 0));
    end_macro(e, &macros[id], mark);
}

/* Within the one that calls it, at each message. */
__attribute__((always_inline)) static inline void add_macros(struct environment *e,
                                                             enum macro_id from, enum macro_id end,
                                                             const struct command_run *run)
{
    for (enum macro_id i = from; i < end; i++)
        if (macros[i].variable.n > 0 && (!macros[i].per_recipient || run->recipients == 1))
            add_macro(e, i, run);
}

/* One that the client has said of each recipient: a line each, where anybody has any. execve(2)
 * takes no longer variable (MAX_ARG_STRLEN), and without it the message can be delivered. */
static void add_lines(struct environment *e, enum macro_id id, const struct command_run *run)
{
    const size_t mark = e->text.n;
    size_t ends = 0;

    add_own(e, tag_span(&macros[id].variable), SPAN(""));
    e->text.n--; /* its end comes behind the lines */
    for (; ends < run->recipients; ends++) {
        if (ends > 0)
            text_addc(&e->text, '\n');
        command_facts[id](&e->text, run, run->recipient[ends]);
    }
    if (ends > 0 &&
        (e->text.n == mark + macros[id].variable.n + ends - 1 || e->text.n - mark >= VARIABLE_MAX))
        e->text.n = mark + macros[id].variable.n;
    end_macro(e, &macros[id], mark);
}

/* What smtp/extra.h is about, where the client can have said any of it. */
__attribute__((noinline)) static void add_extras(struct environment *e,
                                                 const struct command_run *run)
{
    const struct smtp_options *o = run->session->options;

    if (o == NULL || !(o->dsn || o->mt_priority || o->deliver_by || o->future_release > 0))
        return;
    add_lines(e, MACRO_DSN_NOTIFY, run);
    add_lines(e, MACRO_DSN_ORCPT, run);
    add_macros(e, MACRO_DSN_RET, MACRO_SASL_USERNAME, run);
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
    add_macros(&e, 0, MACRO_DSN_NOTIFY, run);
    add_extras(&e, run);
    add_macros(&e, MACRO_SASL_USERNAME, end, run);
    e.variable[e.n] = NULL;
    return e.text.cut || arena_get(a, e.text.n) == NULL ? NULL : e.variable;
}
