#include "backend/record.h"

#include "io/clock.h"

#include <string.h>
#include <unistd.h>

enum { RECIPIENTS_LOGGED = 30, FAILURES_LOGGED = 10, CERTIFICATE_DAYS = 14 };

/* Microseconds and the process id: no two sessions of a host share them. Messages are counted on
 * from there. */
static void make_session_id(struct record *r, uint64_t now)
{
    if (r->config->fixed_id.n > 0) {
        text_add(&r->session_id, r->config->fixed_id);
        return;
    }
    text_add32(&r->session_id, now);
    text_add32(&r->session_id, (uint64_t)getpid());
}

static uint64_t date_of(const struct record *r, uint64_t now)
{
    return r->config->fixed_time != 0 ? r->config->fixed_time : now / 1000000;
}

uint64_t record_now(const struct record *r)
{
    return date_of(r, clock_wall_micros());
}

static uint64_t set_time(struct record *r)
{
    const uint64_t now = clock_wall_micros();

    r->time = date_of(r, now);
    return now;
}

void record_open(struct record *r, const struct config *c, const struct peer *peer,
                 const struct smtp_session *session, struct log *log)
{
    *r = (struct record){
        .config = c, .peer = peer, .session = session, .log = log, .started = clock_now()};
    r->id = TEXT(r->id_room);
    r->session_id = TEXT(r->session_room);
    make_session_id(r, set_time(r));
}

struct span record_id(const struct record *r)
{
    return text_span(&r->id);
}

struct span record_session_id(const struct record *r)
{
    return text_span(&r->session_id);
}

uint64_t record_time(const struct record *r)
{
    return r->time;
}

void record_message(struct record *r)
{
    set_time(r);
    r->id.n = 0;
    text_add(&r->id, text_span(&r->session_id));
    text_addc(&r->id, '-');
    text_addn(&r->id, ++r->messages, 1);
    r->size = 0;
    r->spool_error = 0;
}

void record_spool_error(struct record *r, int error)
{
    if (r->spool_error == 0)
        r->spool_error = error;
}

void record_mistake(void *log, const char *file, unsigned line, struct span key, const char *what)
{
    struct log_record r;

    if (log_is_silent(log))
        return;
    log_begin(&r, LOG_CONFIGURATION, LOG_LEVEL_ERROR);
    log_add(&r, "file", span_of(file));
    log_add_number(&r, "line", line);
    log_add(&r, "key", key);
    log_add(&r, "mistake", span_of(what));
    log_end(log, &r);
}

void record_trace_error(struct record *r, int error)
{
    struct log_record l;

    log_begin(&l, LOG_CONFIGURATION, LOG_LEVEL_WARNING);
    log_add(&l, "key", SPAN("trace"));
    log_add(&l, "mistake", span_of(strerror(error)));
    log_end(r->log, &l);
}

void record_delivering(struct record *r)
{
    r->delivery_time = log_is_silent(r->log) ? 0 : clock_now();
}

void record_delivered(struct record *r)
{
    r->delivered = true;
    if (!log_is_silent(r->log))
        r->delivery_time = clock_now() - r->delivery_time;
}

void record_end(struct record *r, const char *why)
{
    if (r->end == NULL)
        r->end = why;
}

void record_before(struct record *r)
{
    r->phase = r->session->phase;
    r->transaction = r->session->transaction;
}

static void add_client(const struct record *r, struct log_record *l)
{
    log_add(l, "session", text_span(&r->session_id));
    log_add(l, "socket", r->config->socket);
    log_add(l, "client_address", r->peer->address);
    log_add(l, "client_name", r->peer->name);
    log_add(l, "client_path", r->peer->path);
    log_add(l, "proxy_address", r->peer->proxy);
    log_add(l, "so_cookie", r->peer->cookie);
    log_add(l, "helo", r->session->helo);
}

static void add_sender(const struct smtp_transaction *t, struct log_record *l)
{
    log_add(l, "reverse_path",
            t->reverse_path.address.n > 0 ? t->reverse_path.address : SPAN("<>"));
}

/* How the command ended, where that is not the reply's own plain meaning. */
static void add_end(const struct child_result *c, struct log_record *l)
{
    log_add(l, "command_end", span_of(child_end_name(c->end)));
    if (c->end == CHILD_NOT_STARTED)
        log_add(l, "command_error", span_of(strerror(c->status)));
    else if (c->end == CHILD_EXITED || c->end == CHILD_SIGNALLED)
        log_add_number(l, "command_status", (uint64_t)c->status);
}

static void add_delivery(const struct record *r, struct log_record *l)
{
    if (r->delivery.runs > 0) { /* somebody was left whom it could be run for */
        if (r->config->deliver.n > 0)
            log_add(l, "command", r->config->deliver.word[0]);
        log_add_number(l, "delivery_milliseconds", r->delivery_time);
        add_end(&r->delivery.child, l);
    }
    log_add(l, "command_stderr", r->delivery.complained);
    log_add(l, "note", span_of(r->delivery.note));
}

static const char *result_name(const struct record *r)
{
    const struct deliver_report *d = &r->delivery;
    const unsigned code = r->session->said.reply.code;

    if (r->delivered) {
        if (d->deferred + d->refused == 0)
            return "accepted";
        if (d->accepted > 0 || (d->deferred > 0 && d->refused > 0))
            return "mixed";
        return d->deferred > 0 ? "deferred" : "refused";
    }
    if (code < 400)
        return "abandoned";
    return code < 500 ? "deferred" : "refused";
}

static void add_results(const struct record *r, struct log_record *l)
{
    log_add_number(l, "accepted", r->delivery.accepted);
    log_add_number(l, "deferred", r->delivery.deferred);
    log_add_number(l, "refused", r->delivery.refused);
    log_add(l, "digest", r->digest);
}

/* Whose mail failed, and what the client or, where it has one reply for all, nobody was told. */
static void add_failures(const struct record *r, struct log_record *l)
{
    size_t named = 0;

    for (const struct smtp_recipient *p = smtp_first_target(&r->transaction);
         p != NULL && named < FAILURES_LOGGED; p = smtp_next_target(p)) {
        struct text t = {.p = l->room + l->used, .cap = sizeof l->room - l->used};

        if (p->result.code < 400)
            continue;
        named++;
        text_add(&t, p->mailbox.address);
        text_addc(&t, ' ');
        text_addn(&t, p->result.code, 3);
        text_addc(&t, ' ');
        text_add(&t, p->result.enhanced);
        text_addc(&t, ' ');
        text_add(&t, p->result.text);
        if (t.cut)
            return;
        l->used += t.n;
        log_add(l, "failed", text_span(&t));
    }
}

/* Whose opinion the reply is: a table's, a command's, a policy server's. */
static void add_opinion(const struct record *r, struct log_record *l)
{
    const char *rule = r->session->said.reply.rule;
    struct span source, key, words;

    if (rule == NULL || !rules_last(r->rules, rule, &source, &key, &words))
        return;
    log_add(l, "source", source);
    log_add(l, "key", key);
    log_add(l, "said", words);
}

static void add_login(const struct record *r, struct log_record *l)
{
    if (!r->session->authenticated)
        return;
    log_add(l, "sasl_username", r->session->login->user);
    log_add(l, "sasl_method", r->session->login->method);
}

static void log_transaction(const struct record *r)
{
    const struct smtp_said *said = &r->session->said;
    const struct smtp_transaction *t = &r->transaction;
    const bool arrived = r->size > 0 || r->delivered;
    const char *result = result_name(r);
    struct log_record l;
    size_t named = 0;

    log_begin(&l, LOG_TRANSACTION,
              r->delivered && r->delivery.deferred > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE);
    log_add(&l, "result", span_of(result));
    if (arrived)
        log_add(&l, "id", record_id(r));
    add_client(r, &l);
    log_add(&l, "protocol", smtp_session_protocol(r->session, t->smtputf8));
    add_login(r, &l);
    add_sender(t, &l);
    log_add_number(&l, "recipients", t->recipients);
    if (arrived)
        log_add_number(&l, "size", r->size);
    if (r->delivered) {
        add_delivery(r, &l);
        if (t->targets > 1)
            add_results(r, &l);
    }
    if (r->spool_error != 0)
        log_add(&l, "spool_error", span_of(strerror(r->spool_error)));
    /* A client that heard a reply for each has no one reply. */
    if (said->reply.code != 0 && !(r->delivered && r->config->smtp.lmtp && t->recipients > 1))
        log_add_reply(&l, &said->reply, said->argument);
    add_opinion(r, &l);
    if (r->delivered && t->targets > 1)
        add_failures(r, &l);
    for (const struct smtp_recipient *p = t->first; p != NULL && named < RECIPIENTS_LOGGED;
         p = p->next, named++)
        log_add(&l, "forward_path", p->mailbox.address);
    for (const struct smtp_recipient *p = smtp_first_target(t);
         p != NULL && named < RECIPIENTS_LOGGED; p = smtp_next_target(p))
        if (p->of != NULL) {
            log_add(&l, "alias", p->mailbox.address);
            named++;
        }
    log_end(r->log, &l);
}

static void log_refusal(const struct record *r)
{
    const struct smtp_said *said = &r->session->said;
    struct log_record l;

    log_begin(&l, LOG_REFUSAL, LOG_LEVEL_NOTICE);
    add_client(r, &l);
    if (r->phase >= SMTP_MAIL)
        add_sender(&r->transaction, &l);
    log_add(&l,
            r->phase < SMTP_MAIL && r->session->about == SMTP_ABOUT_SENDER ? "reverse_path"
                                                                           : "forward_path",
            r->session->judged);
    log_add_reply(&l, &said->reply, said->argument);
    add_opinion(r, &l);
    log_end(r->log, &l);
}

void record_note(void *record, const struct rules_note *note)
{
    const struct record *r = record;
    struct log_record l;

    if (log_is_silent(r->log))
        return;
    log_begin(&l, LOG_OPINION,
              span_eq(span_of(note->what), SPAN("info")) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
    add_client(r, &l);
    log_add(&l, "source", note->source);
    log_add(&l, "opinion", span_of(note->what));
    log_add(&l, "said", note->text);
    log_add(&l, "forward_path", note->recipient);
    log_end(r->log, &l);
}

void record_login(const struct record *r, struct span why)
{
    struct log_record l;

    if (log_is_silent(r->log))
        return;
    log_begin(&l, LOG_CONFIGURATION, LOG_LEVEL_ERROR);
    log_add(&l, "key", SPAN("auth"));
    log_add(&l, "mistake", why);
    add_client(r, &l);
    log_end(r->log, &l);
}

void record_tls(const struct record *r, const struct tls *t)
{
    struct log_record l;

    if (log_is_silent(r->log))
        return;
    /* A client that can't be spoken to is its own matter; a certificate that is not there is not.
     */
    log_begin(&l, LOG_TLS, t->ready ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR);
    log_add(&l, "tls", t->ready ? SPAN("failed") : SPAN("unavailable"));
    add_client(r, &l);
    log_add(&l, "reason", t->reason);
    log_add(&l, "tls_offered", t->offered);
    log_add(&l, "tls_sni", t->sni);
    log_end(r->log, &l);
}

/* How a session was encrypted, and a certificate of ours that ends soon: each of its sessions says
 * so, since no process is there to say it once a day. */
static void add_tls(const struct record *r, struct log_record *l)
{
    const struct tls_facts *t = r->peer->tls;
    int64_t days;

    if (t == NULL)
        return;
    log_add(l, "tls", t->protocol);
    log_add(l, "tls_cipher", t->cipher_iana.n > 0 ? t->cipher_iana : t->cipher);
    log_add(l, "tls_group", t->group);
    log_add(l, "tls_sni", t->sni);
    log_add(l, "tls_client", t->name);
    if (t->verify.n > 0 && !span_eq(t->verify, SPAN("NONE")))
        log_add(l, "tls_client_verify", t->verify);
    log_add(l, "tls_client_fingerprint", t->fingerprint);
    if (tls_days_left(t->server_end, r->time, &days) && days <= CERTIFICATE_DAYS)
        log_add(l, "certificate_ends", t->server_end);
}

/* What a proxy says of its client's TLS, which is not the session's where tls= does not say so. */
static void add_proxy_tls(const struct record *r, struct log_record *l)
{
    const struct tls_facts *t = r->peer->proxy_tls;

    if (t == NULL)
        return;
    log_add(l, "proxy_tls", t->protocol);
    log_add(l, "proxy_tls_cipher", t->cipher);
    log_add(l, "proxy_tls_sni", t->sni);
    log_add(l, "proxy_tls_client", t->name);
}

/* A look at the port that said nothing (a health check, a scanner) is worth less, and what a proxy
 * says every two seconds on its own behalf is worth least. A proxy that says no header is not. */
static enum log_level level_of(const struct record *r)
{
    const struct smtp_session *s = r->session;
    const bool by_proxy = r->peer->proxied && r->peer->address.n == 0;

    if (r->end != NULL && span_starts_nocase(span_of(r->end), SPAN("proxy_")))
        return LOG_LEVEL_NOTICE;
    if (by_proxy && s->transactions + r->refusals == 0)
        return LOG_LEVEL_DEBUG;
    return s->commands == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE;
}

bool record_after(struct record *r, enum smtp_want want)
{
    const struct smtp_said *said = &r->session->said;
    const bool is_open = r->session->phase >= SMTP_MAIL && want != SMTP_NEXT_CLOSE;
    const bool ended = r->phase >= SMTP_MAIL && !is_open;
    /* A result before the last one, which LMTP and PRDR have for each recipient, refuses no
     * command: the record of its transaction says it. */
    const bool refused = said->reply.rule != NULL && want != SMTP_NEXT_MORE;

    r->refusals += refused;
    if (ended && !log_is_silent(r->log))
        log_transaction(r);
    else if (refused && !log_is_silent(r->log))
        log_refusal(r);
    if (ended) {
        r->size = 0;
        r->delivered = false;
    }
    if (want == SMTP_NEXT_CLOSE)
        record_end(r, refused ? said->reply.rule : said->reply.code == 221 ? "quit" : "lost");
    return ended || refused;
}

void record_close(struct record *r)
{
    const struct smtp_session *s = r->session;
    struct log_record l;

    if (log_is_silent(r->log))
        return;
    log_begin(&l, LOG_SESSION, level_of(r));
    add_client(r, &l);
    log_add(&l, "protocol", smtp_session_protocol(s, false));
    add_tls(r, &l);
    add_proxy_tls(r, &l);
    add_login(r, &l);
    log_add_number(&l, "commands", s->commands);
    log_add_number(&l, "transactions", s->transactions);
    log_add_number(&l, "messages", s->messages);
    log_add_number(&l, "refusals", r->refusals);
    log_add_number(&l, "milliseconds", clock_now() - r->started);
    log_add(&l, "end", span_of(r->end == NULL ? "lost" : r->end));
    log_end(r->log, &l);
}
