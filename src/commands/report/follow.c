#include "commands/report/follow.h"

#include "commands/report/show.h"

#include <inttypes.h>

/* SGR codes (ECMA-48 8.3.117). */
static const char green[] = "\033[32m", yellow[] = "\033[33m", red[] = "\033[31m",
                  alarm_red[] = "\033[1;31m", dim[] = "\033[2m", plain[] = "\033[0m";

void follow_open(struct follow *f, FILE *out, bool colours)
{
    memset(f, 0, sizeof *f);
    f->out = out;
    f->colours = colours;
}

static void keep(struct follow_word *w, struct span s)
{
    w->n = (unsigned char)(s.n < FOLLOW_WORD ? s.n : FOLLOW_WORD);
    if (w->n > 0)
        memcpy(w->p, s.p, w->n);
}

static struct span word(const struct follow_word *w)
{
    return (struct span){.p = w->p, .n = w->n};
}

/* The newest are looked for first. NULL: it is none of those that are remembered. */
static struct follow_session *find(struct follow *f, struct span id)
{
    for (size_t i = 1; i <= FOLLOW_SESSIONS; i++) {
        struct follow_session *s = &f->session[(f->next + FOLLOW_SESSIONS - i) % FOLLOW_SESSIONS];

        if (id.n > 0 && span_eq(word(&s->id), id))
            return s;
    }
    return NULL;
}

/* The oldest is forgotten. */
static struct follow_session *take(struct follow *f, struct span id)
{
    struct follow_session *s = find(f, id);

    if (s != NULL)
        return s;
    s = &f->session[f->next];
    f->next = (f->next + 1) % FOLLOW_SESSIONS;
    memset(s, 0, sizeof *s);
    keep(&s->id, id);
    return s;
}

static void remember(struct follow *f, const struct entry *e)
{
    struct follow_session *s;

    if (e->value[FIELD_SESSION].n == 0 || e->value[FIELD_SESSION].n > FOLLOW_WORD)
        return;
    s = take(f, e->value[FIELD_SESSION]);
    if (e->value[FIELD_REVERSE_PATH].n > 0)
        keep(&s->sender, e->value[FIELD_REVERSE_PATH]);
    if (e->value[FIELD_FORWARD_PATH].n > 0)
        keep(&s->recipient, e->value[FIELD_FORWARD_PATH]);
    if (e->value[FIELD_RULE].n > 0)
        keep(&s->rule, e->value[FIELD_RULE]);
    if (e->kind == LOG_TRANSACTION) {
        s->result[totals_result(e->value[FIELD_RESULT])]++;
    } else {
        s->refusals++;
        s->for_good =
            s->for_good || (e->value[FIELD_REPLY].n > 0 && e->value[FIELD_REPLY].p[0] == '5');
    }
}

/* The worst of it. */
static const char *colour_of(const struct follow_session *s)
{
    if (s->result[RESULT_REFUSED] + s->result[RESULT_MIXED] > 0)
        return red;
    if (s->result[RESULT_DEFERRED] > 0)
        return yellow;
    if (s->result[RESULT_ACCEPTED] > 0)
        return green;
    if (s->refusals > 0)
        return s->for_good ? red : yellow;
    return dim;
}

static void put_results(FILE *out, const struct follow_session *s)
{
    bool any = false;

    for (size_t i = 0; i < RESULTS; i++)
        if (s->result[i] > 0) {
            (void)fprintf(out, "%s%s", any ? ", " : "", totals_result_name((enum total_result)i));
            if (s->result[i] > 1)
                (void)fprintf(out, " %" PRIu64, s->result[i]);
            any = true;
        }
    if (s->refusals > 0)
        (void)fprintf(out, "%s%" PRIu64 " refused command%s", any ? ", " : "", s->refusals,
                      s->refusals > 1 ? "s" : "");
    else if (!any)
        (void)fputs("no mail", out);
}

static void put_session(struct follow *f, const struct entry *e)
{
    static const struct follow_session nothing = {.refusals = 0};
    struct follow_session *found = find(f, e->value[FIELD_SESSION]);
    const struct follow_session *s = found == NULL ? &nothing : found;

    show_time(f->out, e->time);
    (void)fputs("  ", f->out);
    show_text(f->out,
              e->value[FIELD_CLIENT_ADDRESS].n > 0 ? e->value[FIELD_CLIENT_ADDRESS] : SPAN("-"));
    (void)fputs("  ", f->out);
    show_text(f->out, e->value[FIELD_HELO].n > 0 ? e->value[FIELD_HELO] : SPAN("-"));
    (void)fputs("  ", f->out);
    if (f->colours)
        (void)fputs(colour_of(s), f->out);
    put_results(f->out, s);
    if (f->colours)
        (void)fputs(plain, f->out);
    if (s->sender.n > 0) {
        (void)fputs("  ", f->out);
        show_text(f->out, word(&s->sender));
        (void)fputs(" to ", f->out);
        show_text(f->out, s->recipient.n > 0 ? word(&s->recipient) : SPAN("-"));
    }
    if (s->rule.n > 0) {
        (void)fputs("  rule ", f->out);
        show_text(f->out, word(&s->rule));
    }
    (void)fputs("  ", f->out);
    show_text(f->out, e->value[FIELD_END]);
    (void)fputs("  ", f->out);
    show_text(f->out, e->value[FIELD_SESSION]);
    (void)putc('\n', f->out);
    if (found != NULL)
        found->id.n = 0;
}

static void put_crash(struct follow *f, const struct entry *e)
{
    show_time(f->out, e->time);
    (void)fputs("  ", f->out);
    show_text(f->out, e->value[FIELD_CLIENT_ADDRESS]);
    (void)fprintf(f->out, "  %s%s%s  ", f->colours ? alarm_red : "",
                  e->value[FIELD_VIOLATION].n > 0 ? "violation" : "crash", f->colours ? plain : "");
    show_text(f->out, e->value[FIELD_VIOLATION]);
    show_text(f->out, e->value[FIELD_SESSION]);
    (void)putc('\n', f->out);
}

bool follow_entry(void *follow, const struct entry *e)
{
    struct follow *f = follow;

    switch (e->kind) {
    case LOG_TRANSACTION:
    case LOG_REFUSAL:
        remember(f, e);
        return true;
    case LOG_SESSION:
        put_session(f, e);
        break;
    case LOG_CRASH:
        put_crash(f, e);
        break;
    default:
        return true;
    }
    return fflush(f->out) == 0;
}
