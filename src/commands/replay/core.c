#include "commands/replay/core.h"

#include "adapters/command.h"
#include "adapters/deliver.h"
#include "adapters/digest.h"
#include "adapters/head.h"
#include "adapters/outcome.h"
#include "adapters/rules.h"
#include "commands/replay/core_login.h"
#include "commands/replay/core_state.h"
#include "commands/replay/core_submission.h"
#include "commands/replay/runs.h"
#include "commands/replay/settings.h"
#include "commands/replay/stand_ins.h"
#include "commands/replay/told_tls.h"
#include "config/load.h"
#include "smtp/result.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    IN_MAX = 1 << 16,
    OUT_MAX = 1 << 20,
    MESSAGE_MAX = 1 << 27,
    ARENA_MAX = 1 << 22,
    RECIPIENTS_MAX = ARENA_MAX / 128
};

struct server_memory {
    char config[4 * CONFIG_FILE_MAX];
    char arena[ARENA_MAX];
    char in[IN_MAX];
    char out[OUT_MAX];
    char message[MESSAGE_MAX];
    char copy[MESSAGE_MAX];
    char delivery[ARENA_MAX];
    struct smtp_recipient *recipient[RECIPIENTS_MAX];
};

static enum smtp_want decide(struct server *s)
{
    struct smtp_recipient *r = s->session.candidate;
    const enum smtp_subject about = s->session.about;
    const struct smtp_verdict verdict = rules_decide_for(&s->rules, about, r);
    const enum smtp_want want = smtp_session_decided(&s->session, &verdict);

    if (about == SMTP_ABOUT_RECIPIENT && verdict.opinion == SMTP_ACCEPT)
        head_complete_recipient(&s->config, &s->arena, r);
    return want;
}

static struct span strings(char **list, struct arena *a)
{
    struct text out = {.p = a->base + a->used, .cap = a->cap - a->used};

    for (; *list != NULL; list++) {
        text_adds(&out, *list);
        text_addc(&out, '\0');
    }
    arena_get(a, out.n);
    return text_span(&out);
}

/* How the transcript has the next run end. */
static struct child_result end_of(const struct told *d)
{
    static const enum child_end ends[] = {
        [TOLD_EXITS] = CHILD_EXITED,
        [TOLD_SIGNALLED] = CHILD_SIGNALLED,
        [TOLD_HANGS] = CHILD_TIMED_OUT,
        [TOLD_MISSING] = CHILD_NOT_STARTED,
    };

    if (d == NULL)
        return (struct child_result){.end = CHILD_EXITED};
    return (struct child_result){
        .end = ends[d->end],
        .status = d->end == TOLD_MISSING ? ENOENT : (int)d->status,
    };
}

/* The run of the command for these recipients, as it would be; it ends as the transcript has it.
 * False: its time is over, which is that of all runs for the message. */
static bool run_for(struct server *s, struct smtp_recipient *const *recipient, size_t n,
                    struct span head, struct span digest)
{
    const struct command_run run = {
        .session = &s->session,
        .peer = &s->peer,
        .id = text_span(&s->id),
        .delimiter = s->config.recipient_delimiter,
        .size = s->data.size,
        .digest = digest,
        .hold = rules_hold(&s->rules),
        .replies = command_replies(&s->config, &s->session),
        .recipient = (const struct smtp_recipient *const *)recipient,
        .recipients = n,
    };
    struct arena *a = &s->delivery;
    const struct told *d = transcript_told(s->transcript, TOLD_DELIVERY, s->runs);
    const struct span says = d == NULL ? SPAN("") : d->says;
    char **argv = command_argv(&run, &s->config.deliver, a);
    char **environment = command_environment(&run, a);
    struct recorded got = {0};
    struct text message = {.p = s->copy, .cap = MESSAGE_MAX};
    const struct child_result ended = end_of(d);
    struct smtp_reply reply;

    if (argv == NULL || environment == NULL)
        return true;
    text_add(&message, head);
    text_add(&message, text_span(&s->late));
    text_add(&message, text_span(&s->message));
    got = (struct recorded){.argv = strings(argv, a),
                            .environment = strings(environment, a),
                            .message = text_span(&message)};
    if (ended.end != CHILD_NOT_STARTED)
        runs_compare(s->transcript, TOLD_DELIVERY, s->runs, &got, s->replay_arena, s->differences);
    s->runs++;
    if (ended.end == CHILD_EXITED && ended.status == 0 && s->config.deliver_replies == 1) {
        outcome_take_lines(says, text_span(&s->id), recipient, n, a);
        return true;
    }
    reply = outcome_reply(&s->config, &ended, says, text_span(&s->id), a);
    for (size_t i = 0; i < n; i++)
        recipient[i]->result = reply;
    return ended.end != CHILD_TIMED_OUT;
}

/* The runs, as the transcript has them end. */
static void run_all(struct server *s, struct span digest)
{
    const bool each = s->config.deliver_per == CONFIG_PER_RECIPIENT;
    const struct smtp_transaction *t = &s->session.transaction;
    struct head_facts f = core_facts(s);
    bool in_time = true;
    size_t n = 0;

    f.prepended = SPAN(""); /* it stands with Received: */
    for (struct smtp_recipient *r = smtp_first_target(t); r != NULL; r = smtp_next_target(r)) {
        char room[HEAD_MAX];
        struct text head = TEXT(room);

        if (n == RECIPIENTS_MAX) {
            r->result = smtp_result_of_failure();
            continue;
        }
        s->recipient[n++] = r;
        if (!each)
            continue;
        r->result = smtp_result_of_failure(); /* what is not tried in time */
        if (!in_time)
            continue;
        head_write(&head, &f, s->config.trace_headers & ~deliver_common_fields(&s->config), r);
        in_time = run_for(s, &r, 1, text_span(&head), digest);
    }
    if (!each)
        run_for(s, s->recipient, n, SPAN(""), digest);
}

/* Nobody runs, and everybody gets this. */
static void run_nothing(struct server *s, const struct smtp_reply *result)
{
    const struct smtp_transaction *t = &s->session.transaction;

    for (struct smtp_recipient *r = smtp_first_target(t); r != NULL; r = smtp_next_target(r))
        r->result = *result;
}

static void run_fixed(struct server *s, struct span digest)
{
    const struct head_facts f = core_facts(s);
    const struct smtp_reply *refused = core_submission(&f, &s->message, &s->head, &s->delivery);

    if (refused != NULL)
        run_nothing(s, refused);
    else
        run_all(s, digest);
}

/* As backend.c does it. */
static enum smtp_want deliver(struct server *s)
{
    const struct smtp_transaction *t = &s->session.transaction;
    const size_t before = rules_prepended(&s->rules).n;
    const struct smtp_verdict verdict = rules_decide_message(&s->rules, s->data.size);
    struct span digest;

    arena_reset(&s->delivery);
    digest_add(&s->digest, span_from(text_span(&s->message), s->head));
    digest = digest_close(&s->digest, t, &s->delivery);
    s->late = TEXT(s->late_room);
    head_write_prepended(&s->late, head_line_end(&s->config, &s->session),
                         span_from(rules_prepended(&s->rules), before));
    if (verdict.opinion == SMTP_REFUSE || verdict.opinion == SMTP_DEFER)
        run_nothing(s, &verdict.reply);
    else if (rules_discard(&s->rules))
        run_nothing(s, smtp_reply(SMTP_REPLY_OK));
    else
        run_fixed(s, digest);
    for (struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        if (r->aliased != NULL)
            r->result = *smtp_merged_result(r->aliased);
    return smtp_session_delivered(&s->session);
}

static void go_on(struct server *s)
{
    bool more = !s->header_first || core_take_header(s);

    while (more && s->want != SMTP_NEXT_CLOSE && s->want != SMTP_NEXT_HANDSHAKE) {
        if (s->want == SMTP_NEXT_GREETING)
            more = core_feed_greeting(s);
        else if (s->want == SMTP_NEXT_PAUSE) /* no clock */
            s->want = smtp_session_paused(&s->session);
        else if (s->want == SMTP_NEXT_LINE)
            more = core_feed_line(s);
        else if (s->want == SMTP_NEXT_DATA)
            more = core_feed_data(s);
        else if (s->want == SMTP_NEXT_CHUNK)
            more = core_feed_chunk(s);
        else if (s->want == SMTP_NEXT_DECISION)
            s->want = decide(s);
        else if (s->want == SMTP_NEXT_TLS)
            s->want =
                smtp_session_tls(&s->session, s->in.n > 0 ? SMTP_TLS_NOT_ALONE : SMTP_TLS_READY);
        else if (s->want == SMTP_NEXT_MECHANISMS)
            s->want = smtp_session_mechanisms(&s->session, core_login_mechanisms(&s->auth));
        else if (s->want == SMTP_NEXT_CLIENT)
            s->want = core_take_client(s);
        else if (s->want == SMTP_NEXT_MORE)
            s->want = smtp_session_more(&s->session);
        else
            s->want = deliver(s);
    }
}

/* What comes, or the end of it, is no handshake. */
static void fail_handshake(struct server *s)
{
    if (s->want == SMTP_NEXT_HANDSHAKE)
        s->want = smtp_session_secured(&s->session, false);
}

static bool core_send(void *context, struct span bytes)
{
    struct server *s = context;

    fail_handshake(s);
    while (bytes.n > 0 && s->want != SMTP_NEXT_CLOSE) {
        const struct span now = span_first(bytes, s->in.cap - s->in.n);

        text_add(&s->in, now);
        bytes = span_from(bytes, now.n);
        go_on(s);
    }
    return s->want != SMTP_NEXT_CLOSE;
}

static struct span core_receive(void *context, bool *timed_out)
{
    struct server *s = context;
    struct span said;

    s->greeted = true;
    if (s->want == SMTP_NEXT_GREETING)
        go_on(s);
    said = text_span(&s->out);
    /* It never speaks by itself: what is not there now would be waited for in vain. */
    *timed_out = said.n == 0 && s->want != SMTP_NEXT_CLOSE && !s->ended;
    s->out.n = 0;
    return said;
}

static void core_end(void *context)
{
    struct server *s = context;

    s->ended = true;
    fail_handshake(s);
    go_on(s);
}

/* TLS is as the transcript tells of it; where it does not, TLS 1.3 of which nothing more is known.
 */
static bool core_secure(void *context, const struct tls_facts *wanted, struct tls_facts *is,
                        struct span *why)
{
    struct server *s = context;
    struct text cipher = TEXT(s->cipher_room);

    *why = SPAN("(the server does not wait for it)");
    if (s->want != SMTP_NEXT_HANDSHAKE)
        return false;
    s->tls = *wanted;
    if (!tls_facts_known(&s->tls))
        s->tls = (struct tls_facts){.protocol = SPAN("TLSv1.3"), .verify = SPAN("NONE")};
    s->tls.exporter = SPAN("00"); /* any: mechanisms that bind to TLS can be had */
    told_tls_cipher(&cipher, s->tls.cipher_iana);
    s->tls.cipher = text_span(&cipher);
    s->peer.tls = &s->tls;
    s->want = smtp_session_secured(&s->session, true);
    *is = s->tls;
    go_on(s);
    return true;
}

/* Room for all of it. */
static void open_server(struct server *s, struct server_memory *m)
{
    s->arena = (struct arena){.base = m->arena, .cap = sizeof m->arena};
    s->delivery = (struct arena){.base = m->delivery, .cap = sizeof m->delivery};
    s->recipient = m->recipient;
    s->copy = m->copy;
    s->in = TEXT(m->in);
    s->out = TEXT(m->out);
    s->message = TEXT(m->message);
}

/* The settings of the transcript, and what they make of the configuration. False: it has a mistake.
 */
static bool configure(struct server *s, const struct replay_options *o,
                      const struct stand_ins *stand_ins, struct arena *a)
{
    const char *settings[2 * TRANSCRIPT_SETTINGS_MAX + STAND_INS_FIRST + STAND_INS_SETTINGS];
    const struct config_report silent = {.say = NULL};
    struct config_source source = {.file = o->file, .override = settings};
    size_t n = 0;

    for (size_t i = 0; i < stand_ins->firsts; i++)
        settings[n++] = stand_ins->first[i];
    n += settings_all(s->transcript, o, settings + n, 2 * TRANSCRIPT_SETTINGS_MAX);
    for (size_t i = 0; i < stand_ins->settings; i++)
        settings[n++] = stand_ins->setting[i];
    source.overrides = n;
    return config_load(&s->config, a, &source, &silent);
}

static void play_core(struct server *s, const struct replay_options *o, bool configured)
{
    const struct endpoint e = {.context = s,
                               .send = core_send,
                               .receive = core_receive,
                               .secure = core_secure,
                               .secure_first =
                                   configured && s->config.smtp.tls == SMTP_TLS_IMPLICIT,
                               .header_first = s->config.proxy_protocol != 0,
                               .half_close = core_end,
                               .disconnect = core_end};

    peer_find(&s->peer, NULL, true, &s->config);
    s->rules = (struct rules){.config = &s->config,
                              .peer = &s->peer,
                              .session = &s->session,
                              .id = s->config.fixed_id,
                              .sources = &s->sources};
    auth_open(&s->auth, &s->config, &s->peer, s->config.fixed_id);
    s->available = configured;
    s->header_first = configured && s->config.proxy_protocol != 0;
    if (!s->header_first)
        core_open(s);
    go_on(s);
    play(s->transcript, &e, &o->play, s->replay_arena, s->differences);
    runs_compare(s->transcript, TOLD_DELIVERY, s->runs, NULL, s->replay_arena, s->differences);
    rules_close(&s->rules);
    if (s->config.smtp.auth)
        auth_close(&s->auth);
}

void replay_core(const struct transcript *t, const struct replay_options *o, const char *directory,
                 struct arena *a, struct differences *d)
{
    struct server_memory *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct server *s = calloc(1, sizeof *s);
    struct stand_ins stand_ins;
    struct arena config_arena;
    sigset_t child;

    /* As setup.c has it for whoever runs commands. */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (m == MAP_FAILED || s == NULL || sigprocmask(SIG_BLOCK, &child, NULL) < 0) {
        differ(d, 0, SPAN("memory"), SPAN("none left"));
    } else if (!stand_ins_open(&stand_ins, t, o, directory, a)) {
        differ(d, 0, SPAN("a place to work in"), span_of(strerror(errno)));
    } else {
        config_arena = (struct arena){.base = m->config, .cap = sizeof m->config};
        s->transcript = t;
        s->replay_arena = a;
        s->differences = d;
        open_server(s, m);
        play_core(s, o, configure(s, o, &stand_ins, &config_arena));
        stand_ins_close(&stand_ins, t, o, a, d);
    }
    free(s);
    if (m != MAP_FAILED)
        munmap(m, sizeof *m);
}
