#include "sandbox/handlers.h"

/* Why the session ends is in the worker's last request (REQUEST_END), not in a step, which may
 * point to what does not live that long. */
static void log_one_step(struct monitor *m, enum smtp_want want)
{
    backend_after_step(m->backend, want);
    m->backend->record.end = NULL;
}

void monitor_log_results(struct monitor *m, const struct smtp_data *data)
{
    struct smtp_session *s = m->backend->session;
    struct text said = {.p = m->room.p, .cap = m->room.cap};
    enum smtp_want want;

    s->out = &said;
    s->phase = SMTP_RCPT;
    backend_before_step(m->backend);
    want =
        data->fault == SMTP_DATA_FINE ? smtp_session_delivered(s) : smtp_session_collected(s, data);
    log_one_step(m, want);
    while (want == SMTP_NEXT_MORE) {
        said.n = 0;
        backend_before_step(m->backend);
        want = smtp_session_more(s);
        log_one_step(m, want);
    }
    s->out = NULL;
    m->over = true;
}

/* Refusals since the last message that somebody has. */
static uint64_t most_errors(const struct smtp_options *o)
{
    return o->max_refused_recipients < UINT64_MAX - o->max_errors
               ? o->max_errors + o->max_refused_recipients
               : UINT64_MAX;
}

/* What the log says of replies, names and phases is what the worker says of them; the client's
 * address, the session, the recipients and what became of them are known here. */
const char *monitor_log_step(struct monitor *m, const struct request *r)
{
    struct smtp_session *s = m->backend->session;
    struct smtp_transaction *t = &s->transaction;
    const char *wrong = monitor_keep_greeting(m, r);
    char rule[REQUEST_WORD_MAX + 1];
    struct text word = TEXT(rule);
    /* Before its message, this is all that is heard of the sender. */
    const bool unknown = t->reverse_path.address.p == NULL;

    if (wrong != NULL || r->before == 0 || r->phase == 0)
        return wrong != NULL ? wrong : "has no phase";
    /* Between two chunks a command may fail; the message is given up before its transaction ends.
     */
    if (m->state != MONITOR_IDLE && (r->phase != SMTP_CHUNKS || r->close))
        return "ends within a message";
    if (r->before >= SMTP_MAIL && (m->over || m->transaction == 0))
        return "ends no transaction";
    if ((r->before >= SMTP_RCPT) != (t->recipients > 0))
        return "is in another phase";
    if (r->reply.code >= 500 && !s->options->lmtp && ++m->errors > most_errors(s->options))
        return "has too many errors";
    text_add(&word, r->rule);
    if (unknown) {
        t->reverse_path.address = r->address;
        t->smtputf8 = r->smtputf8;
    }
    s->phase = r->before;
    backend_before_step(m->backend);
    s->phase = r->phase;
    s->said = (struct smtp_said){.reply = r->reply, .argument = r->argument};
    s->said.reply.rule = r->rule.n > 0 ? text_string(&word) : NULL;
    s->judged = r->judged;
    log_one_step(m, r->close ? SMTP_NEXT_CLOSE : SMTP_NEXT_LINE);
    s->said = (struct smtp_said){.argument = {.p = NULL}};
    s->judged = SPAN("");
    if (unknown)
        t->reverse_path = (struct smtp_mailbox){.utf8 = false};
    if (r->before >= SMTP_MAIL && (r->phase < SMTP_MAIL || r->close))
        monitor_end_transaction(m);
    return NULL;
}

const char *monitor_end_session(struct monitor *m, const struct request *r)
{
    struct text word = TEXT(m->end);
    const char *wrong = monitor_keep_greeting(m, r);

    if (wrong != NULL)
        return wrong;
    m->backend->session->transactions = r->transaction;
    text_add(&word, r->word);
    backend_end(m->backend, text_string(&word));
    m->closed = true;
    return NULL;
}

const char *monitor_send_status(struct monitor *m, const struct request *r)
{
    char doing[REQUEST_WORD_MAX + 1];
    struct text word = TEXT(doing);

    if (r->phase == 0)
        return "has no phase";
    text_add(&word, r->word);
    m->backend->session->phase = r->phase;
    m->backend->session->commands = r->commands;
    backend_send_status(m->backend, r->word.n > 0 ? text_string(&word) : NULL);
    return NULL;
}

/* With `sandbox = yes` the client hears 421, and that is all. */
const char *monitor_log_no_filter(struct monitor *m, const struct request *r)
{
    const bool wanted = m->backend->config->sandbox == CONFIG_SANDBOX_YES;

    (void)r;
    if (m->last != NULL)
        return "has lost its filter";
    m->unfiltered = wanted;
    record_mistake(m->backend->record.log, "setup", 0, SPAN("sandbox"),
                   wanted ? "no seccomp filter can be had here"
                          : "no seccomp filter can be had here: the session runs without");
    return NULL;
}
