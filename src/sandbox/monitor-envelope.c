#include "io/clock.h"
#include "sandbox/handlers.h"
#include "smtp/param.h"

#include <string.h>

enum {
    REFUSALS_MORE = 2, /* the one that is one too many, and the next transaction's */
    /* Steps that come before the others. */
    BEFORE_MAIL = SMTP_ABOUT_CLIENT | SMTP_ABOUT_GREETING,
    OF_TRANSACTION = SMTP_ABOUT_SENDER | SMTP_ABOUT_RECIPIENT | SMTP_ABOUT_DATA,
};

struct smtp_transaction *monitor_transaction_of(const struct monitor *m)
{
    return &m->backend->session->transaction;
}

enum smtp_path_result monitor_read_address(struct monitor *m, struct span address, bool forward,
                                           struct smtp_mailbox *out)
{
    char room[SMTP_ADDRESS_MAX + 2];
    struct text path = TEXT(room);
    const struct smtp_tolerance *t = &m->backend->config->smtp.tolerate;
    enum smtp_path_result result;
    struct span in;

    text_addc(&path, '<');
    text_add(&path, address);
    text_addc(&path, '>');
    in = text_span(&path);
    result = forward ? smtp_forward_path(&in, m->arena, out, t)
                     : smtp_reverse_path(&in, m->arena, out, t);
    if (result == SMTP_PATH_OK && (in.n > 0 || !span_eq(out->address, address)))
        return SMTP_PATH_SYNTAX;
    return result;
}

void monitor_end_transaction(struct monitor *m)
{
    smtp_forget_transaction(m->backend->session);
    m->over = true;
}

const char *monitor_keep_greeting(struct monitor *m, const struct request *r)
{
    struct smtp_session *s = m->backend->session;

    if (r->helo.n > sizeof s->helo_room ||
        (r->helo.n > 0 && !smtp_is_helo_name(r->helo, m->backend->config->smtp.tolerate.kinds)))
        return "has a name that is none";
    if (!span_eq(s->helo, r->helo) || s->esmtp != r->esmtp)
        m->passed &= ~(unsigned)SMTP_ABOUT_GREETING;
    if (r->helo.n > 0)
        memcpy(s->helo_room, r->helo.p, r->helo.n);
    s->helo = (struct span){.p = s->helo_room, .n = r->helo.n};
    s->esmtp = r->esmtp;
    s->commands = r->commands;
    return NULL;
}

/* partial = single: others only where PRDR may give each its reply. */
static uint64_t most_recipients(const struct smtp_options *o)
{
    return o->single && !o->lmtp && !o->prdr ? 1 : o->max_recipients;
}

bool monitor_has_open_transaction(const struct monitor *m)
{
    return m->state == MONITOR_IDLE && !m->over && m->transaction > 0 &&
           m->transaction <= m->backend->config->smtp.max_transactions;
}

const char *monitor_check_steps(const struct monitor *m, unsigned before)
{
    const struct smtp_options *o = &m->backend->config->smtp;
    const bool greeted = m->backend->session->helo.n > 0;

    if (!greeted && before & SMTP_ABOUT_GREETING && o->helo_required)
        return "has not greeted";
    if (!greeted)
        before &= ~(unsigned)SMTP_ABOUT_GREETING;
    before &= o->decide_at;
    return (m->passed & before) == before ? NULL : "goes on without leave";
}

static const char *keep_sender(struct monitor *m, struct span sender, bool *full)
{
    struct smtp_mailbox *known = &monitor_transaction_of(m)->reverse_path;

    *full = false;
    if (known->address.p != NULL)
        return span_eq(known->address, sender) ? NULL : "has another reverse-path";
    switch (monitor_read_address(m, sender, false, known)) {
    case SMTP_PATH_OK:
        return NULL;
    case SMTP_PATH_FULL:
        *known = (struct smtp_mailbox){.utf8 = false};
        *full = true;
        return NULL;
    default:
        return "has a reverse-path that is none";
    }
}

/* Who has submitted it first, as a client says that we believe (RFC 4954 5). */
static const char *keep_submitter(struct monitor *m, struct span submitter, bool *full)
{
    if (!m->backend->session->authenticated)
        return "names a submitter without a login";
    if (span_has_control(submitter))
        return "names a submitter that is none";
    monitor_transaction_of(m)->auth = arena_copy(m->arena, submitter);
    *full = monitor_transaction_of(m)->auth.p == NULL;
    return NULL;
}

static const char unoffered[] = "has parameters that it was not offered";

/* Read again, by the same rules. Whether the sender has said SMTPUTF8 is known when the message
 * begins. */
static const char *keep_extras(struct monitor *m, bool rcpt, struct span extras, struct span *out,
                               bool *full)
{
    struct smtp_transaction *t = monitor_transaction_of(m);
    const bool smtputf8 = t->smtputf8;
    enum smtp_reply_id result;

    t->smtputf8 = true;
    if (m->backend->config->smtp.future_release > 0)
        m->backend->session->now = record_now(&m->backend->record);
    result = smtp_parameters_again(m->backend->session, rcpt, extras, out);
    t->smtputf8 = smtputf8;
    *full = *full || result == SMTP_REPLY_NO_MEMORY;
    return result == SMTP_REPLY_OK || *full ? NULL : unoffered;
}

static const char needs_utf8[] = "has addresses that need SMTPUTF8";

const char *monitor_keep_envelope(struct monitor *m, const struct request *r, struct span sender,
                                  bool *full)
{
    struct smtp_transaction *t = monitor_transaction_of(m);
    const char *wrong = keep_sender(m, sender, full);

    t->smtputf8 = r->smtputf8;
    t->body = (enum smtp_body)r->body;
    t->declared_size = r->declared_size;
    if (wrong == NULL && t->reverse_path.utf8 && !t->smtputf8)
        wrong = needs_utf8;
    if (wrong == NULL && r->auth.n > 0 && t->auth.n == 0)
        wrong = keep_submitter(m, r->auth, full);
    if (wrong == NULL && r->extras.n > 0 && t->extras.n == 0)
        wrong = keep_extras(m, false, r->extras, &t->extras, full);
    if (wrong == NULL && t->body == SMTP_BODY_BINARYMIME && !m->backend->config->smtp.binarymime)
        wrong = "has a body that it was not offered";
    if (wrong == NULL && t->declared_size > m->backend->config->smtp.max_message_size)
        wrong = "declares a message that is too large";
    return wrong;
}

/* Is it asked in the right way? Whom the worker must ask about, it may not name; what it may decide
 * itself needs no SMTPUTF8 before the message begins. */
static const char *check_recipient(struct monitor *m, const struct smtp_mailbox *recipient,
                                   bool asked)
{
    if (!asked && rules_take_more(&m->backend->rules, recipient))
        return "adds a recipient without a question";
    return asked && recipient->utf8 && !monitor_transaction_of(m)->smtputf8 ? needs_utf8 : NULL;
}

/* Decided here, as in the worker if that could; kept here: nobody else gets the message. */
static const char *decide_recipient(struct monitor *m, struct span address, struct span extras,
                                    bool asked, struct smtp_verdict *verdict)
{
    struct smtp_transaction *t = monitor_transaction_of(m);
    const char *wrong = NULL;
    const size_t mark = m->arena->used;
    struct smtp_recipient *recipient;
    struct span kept = {0};
    bool full = false;

    *verdict = (struct smtp_verdict){.opinion = SMTP_DEFER};
    if (!monitor_has_open_transaction(m))
        return "has a recipient of no transaction";
    if (m->asked & SMTP_ABOUT_DATA)
        return "has a recipient after DATA";
    if (t->recipients >= most_recipients(&m->backend->config->smtp))
        return "has too many recipients";
    recipient = arena_get(m->arena, sizeof *recipient);
    if (recipient == NULL) {
        verdict->reply = *smtp_reply(SMTP_REPLY_NO_MEMORY);
        return NULL;
    }
    *recipient = (struct smtp_recipient){.next = NULL};
    switch (monitor_read_address(m, address, true, &recipient->mailbox)) {
    case SMTP_PATH_OK:
        wrong = check_recipient(m, &recipient->mailbox, asked);
        if (wrong == NULL && extras.n > 0)
            wrong = keep_extras(m, true, extras, &kept, &full);
        recipient->extras = kept.p;
        if (full)
            verdict->reply = *smtp_reply(SMTP_REPLY_NO_MEMORY);
        else if (wrong == NULL)
            *verdict = backend_decide(m->backend, SMTP_ABOUT_RECIPIENT, recipient);
        break;
    case SMTP_PATH_FULL:
        verdict->reply = *smtp_reply(SMTP_REPLY_NO_MEMORY);
        break;
    default:
        return "has a recipient that is no mailbox";
    }
    if (verdict->opinion == SMTP_ACCEPT) {
        backend_add_recipient(m->backend, recipient, m->arena);
        smtp_add_recipient(t, recipient);
    } else {
        m->arena->used = mark; /* the reply stays readable until the next request */
    }
    return wrong;
}

/* One that the worker has accepted by itself. */
static const char *add_recipient(struct monitor *m, struct span added)
{
    const struct span address = span_first(added, span_find(added, '\0'));
    struct smtp_verdict verdict;
    const char *wrong =
        decide_recipient(m, address, span_from(added, address.n + 1), false, &verdict);

    if (wrong == NULL && verdict.opinion == SMTP_DEFER && verdict.reply.rule != NULL &&
        span_eq(span_of(verdict.reply.rule), SPAN("transaction_memory")))
        return "has more recipients than room for them";
    return wrong == NULL && verdict.opinion != SMTP_ACCEPT ? "has a recipient that is refused"
                                                           : wrong;
}

const char *monitor_add_recipients(struct monitor *m, struct span added)
{
    struct packet p = {.left = added};
    const char *wrong = NULL;

    while (p.left.n > 0 && wrong == NULL) {
        const struct span one = packet_text(&p, SMTP_ADDRESS_MAX + 1 + SMTP_EXTRAS_MAX);

        wrong = p.wrong ? "sends what is no request" : add_recipient(m, one);
    }
    return wrong;
}

/* They are what every request may have (monitor_handle): nothing is left to be done. */
const char *monitor_take_recipients(struct monitor *m, const struct request *r)
{
    (void)m;
    (void)r;
    return NULL;
}

/* The steps before what is asked about. */
static unsigned steps_before(enum smtp_subject about)
{
    switch (about) {
    case SMTP_ABOUT_CLIENT:
        return 0;
    case SMTP_ABOUT_GREETING:
    case SMTP_ABOUT_USER:
        return SMTP_ABOUT_CLIENT;
    case SMTP_ABOUT_SENDER:
        return BEFORE_MAIL;
    default:
        return BEFORE_MAIL | SMTP_ABOUT_SENDER;
    }
}

/* Is this asked of this configuration, and at this time? What the session has said so far. */
static const char *check_question(struct monitor *m, const struct request *r)
{
    const struct smtp_options *o = &m->backend->config->smtp;
    const unsigned asked =
        o->decide_at | SMTP_ABOUT_RECIPIENT | (o->vrfy ? (unsigned)SMTP_ABOUT_USER : 0);
    const char *wrong = monitor_keep_greeting(m, r);

    if (wrong != NULL)
        return wrong;
    if (m->overtime)
        return "outlives its time";
    if (m->state != MONITOR_IDLE)
        return "asks within a message";
    if (r->about == SMTP_ABOUT_USER && monitor_lacks_tls(m))
        return "asks of a user outside TLS";
    if (r->about == SMTP_ABOUT_USER && monitor_lacks_login(m))
        return "asks of a user without a login";
    if (!(r->about & asked))
        return "asks what is not asked";
    if (r->about & m->asked)
        return "asks twice";
    if (r->about & OF_TRANSACTION && !monitor_has_open_transaction(m))
        return "asks about no transaction";
    if (r->about == SMTP_ABOUT_DATA && monitor_transaction_of(m)->recipients == 0)
        return "asks about a message for nobody";
    return monitor_check_steps(m, steps_before(r->about));
}

static const char *decide_user(struct monitor *m, struct span address, struct smtp_verdict *verdict)
{
    const size_t mark = m->arena->used;
    struct smtp_recipient user = {.next = NULL};
    const char *wrong = NULL;

    switch (monitor_read_address(m, address, true, &user.mailbox)) {
    case SMTP_PATH_OK:
        if (user.mailbox.utf8 && !m->backend->config->smtp.smtputf8)
            wrong = needs_utf8;
        else
            *verdict = backend_decide(m->backend, SMTP_ABOUT_USER, &user);
        break;
    case SMTP_PATH_FULL:
        break;
    default:
        wrong = "asks of a user that is no mailbox";
    }
    m->arena->used = mark;
    return wrong;
}

static bool is_against(const struct smtp_verdict *verdict)
{
    return verdict->opinion == SMTP_REFUSE || verdict->opinion == SMTP_DEFER;
}

static const char *decide(struct monitor *m, const struct request *r, struct smtp_verdict *verdict)
{
    const unsigned step = r->about & ~(unsigned)(SMTP_ABOUT_RECIPIENT | SMTP_ABOUT_USER);
    const char *wrong = NULL;
    bool full = false;
    size_t mark;

    m->backend->session->about = r->about;
    m->asked |= step & ~(unsigned)SMTP_ABOUT_GREETING;
    m->passed &= ~step;
    if (r->about & OF_TRANSACTION)
        wrong = monitor_keep_envelope(m, r, r->sender, &full);
    if (wrong != NULL || full)
        return wrong;
    if (r->about == SMTP_ABOUT_RECIPIENT)
        return decide_recipient(m, r->address, r->candidate_extras, true, verdict);
    if (r->about == SMTP_ABOUT_USER)
        return decide_user(m, r->address, verdict);
    mark = m->arena->used;
    *verdict = backend_decide(m->backend, r->about, NULL);
    if (!is_against(verdict))
        m->passed |= step;
    m->arena->used = mark; /* the reply stays readable until the next request */
    return NULL;
}

/* Refusals since the last message that somebody has: an honest session then hangs up, or asks about
 * no more recipients in this transaction. */
static const char *count_refusal(struct monitor *m, enum smtp_subject about,
                                 const struct smtp_verdict *verdict)
{
    const struct smtp_options *o = &m->backend->config->smtp;
    const bool recipient = about == SMTP_ABOUT_RECIPIENT;
    uint64_t *n = recipient ? &m->refused_recipients : &m->refused_questions;
    const uint64_t most = recipient ? o->max_refused_recipients : o->max_errors;

    if (verdict->opinion != SMTP_REFUSE || o->lmtp)
        return NULL;
    ++*n;
    return *n > REFUSALS_MORE && *n - REFUSALS_MORE > most ? "asks on after too many refusals"
                                                           : NULL;
}

/* A question that the worker can't answer itself. */
const char *monitor_decide(struct monitor *m, const struct request *r)
{
    struct smtp_verdict verdict = {.opinion = SMTP_DEFER};
    const uint64_t before = clock_now();
    uint64_t deadline = 0;
    const char *wrong = check_question(m, r);

    recorder_continue(&m->backend->recorder, r->boundary);
    if (wrong == NULL)
        wrong = decide(m, r, &verdict);
    if (wrong == NULL)
        wrong = count_refusal(m, r->about, &verdict);
    if (wrong != NULL)
        return wrong;
    monitor_count_time(m, clock_now() - before);
    m->room.n = 0;
    packet_put_number(&m->room, recorder_leave(&m->backend->recorder));
    packet_put_number(&m->room, verdict.opinion);
    request_write_reply(&m->room, &verdict.reply);
    return monitor_send_answer(m, &deadline);
}
