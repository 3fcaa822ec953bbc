#include "explain.h"

#include "adapters/command.h"
#include "adapters/head.h"
#include "adapters/peer.h"
#include "adapters/rules.h"
#include "adapters/run.h"
#include "io/clock.h"
#include "smtp/login.h"
#include "syntax/table_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ARENA_MAX = 4 * 1024 * 1024,
    EXPLAIN_TARGETS_MAX = 1000, /* with those of aliases */
};

/* Output in one of two forms: lines for people, or one JSON object. */
struct explain {
    const struct config *config;
    const struct explain_question *question;
    struct smtp_session session;
    struct smtp_login login;
    struct peer peer;
    struct arena arena;
    char out_room[SMTP_REPLY_MAX];
    struct text out;
    struct rules rules;
    struct rules_sources sources;
    bool json, comma, first, refused;
};

/* Whole characters, or an octet that belongs to none: about `most` octets. */
static size_t piece_of(struct span s, size_t most)
{
    size_t n = 0;

    while (n < s.n && n < most) {
        const size_t next = utf8_length(span_from(s, n));

        n += next == 0 ? 1 : next;
    }
    return n;
}

/* For people: nothing that a terminal would obey, nothing that begins a line of its own. */
static void print_text(struct span s)
{
    while (s.n > 0) {
        char room[512];
        struct text t = TEXT(room);
        const size_t n = piece_of(s, sizeof room / 4 - 4); /* an octet is four at the most */

        text_add_escaped(&t, span_first(s, n), "\\");
        fwrite(t.p, 1, t.n, stdout);
        s = span_from(s, n);
    }
}

/* U+0080 to U+009F: control characters in two octets. */
static bool is_long_control(struct span s, size_t n)
{
    return n == 2 && (unsigned char)s.p[0] == 0xc2 && (unsigned char)s.p[1] < 0xa0;
}

/* An octet that is no UTF-8 is written as the character of its number. */
static void print_json(struct span s)
{
    fputs("\"", stdout);
    while (s.n > 0) {
        const size_t n = utf8_length(s);

        if (n == 0 || byte_is_control(s.p[0]))
            printf("\\u%04x", (unsigned)(unsigned char)s.p[0]);
        else if (is_long_control(s, n))
            printf("\\u%04x", (unsigned)(unsigned char)s.p[1]);
        else if (s.p[0] == '"' || s.p[0] == '\\')
            printf("\\%c", s.p[0]);
        else
            fwrite(s.p, 1, n, stdout);
        s = span_from(s, n == 0 ? 1 : n);
    }
    fputs("\"", stdout);
}

/* An item of a list: a string in JSON, else a line behind `label`. */
static void item(struct explain *e, const char *label, struct span s)
{
    if (e->json) {
        if (e->comma)
            fputs(",", stdout);
        print_json(s);
    } else {
        const bool goes_on = s.n > 0 && s.p[0] == '\t'; /* a header field, on its next line */

        printf("  %-9s %s", label, goes_on ? "\t" : "");
        print_text(span_from(s, goes_on));
        fputs("\n", stdout);
    }
    e->comma = true;
}

/* JSON's own marks; nothing for people. */
static void mark(struct explain *e, const char *text)
{
    if (e->json)
        fputs(text, stdout);
    e->comma = false;
}

static void list_of(struct explain *e, const char *name, const char *label, char *const *strings)
{
    mark(e, name);
    for (; *strings != NULL; strings++)
        item(e, label, span_of(*strings));
    mark(e, "]");
}

static void print_replies(struct explain *e)
{
    struct span left = text_span(&e->out);

    mark(e, "\"reply\":[");
    while (left.n > 0) {
        const struct span line = span_first(left, span_find(left, '\r'));

        item(e, "reply", line);
        left = span_from(left, line.n + 2);
    }
    mark(e, "]");
    if (e->out.n > 0 && (e->out.p[0] == '4' || e->out.p[0] == '5'))
        e->refused = true;
    e->out.n = 0;
}

static void print_member(const char *name, struct span s)
{
    if (s.n == 0)
        return;
    printf(",\"%s\":", name);
    print_json(s);
}

/* What a rule says; and what its source said, if one was asked: which, by what key, how long it
 * took. */
static void print_rule(struct explain *e, const struct rules_question *q, const char *name,
                       const char *opinion, uint64_t micros)
{
    const bool asked = q->source.n + q->key.n + q->said.n > 0;

    if (e->json) {
        printf("%s{\"rule\":\"%s\",\"opinion\":\"%s\"", e->first ? "" : ",", name, opinion);
        print_member("source", q->source);
        print_member("key", q->key);
        print_member("said", q->said);
        if (asked)
            printf(",\"microseconds\":%llu", (unsigned long long)micros);
        fputs("}", stdout);
        e->first = false;
        return;
    }
    printf("  rule      %s: %s", name, opinion);
    if (asked) {
        const bool nothing = q->key.n + q->said.n == 0 && table_is_source(q->source) == NULL;

        fputs(" (", stdout);
        print_text(q->source);
        fputs(q->key.n > 0 ? ", " : "", stdout);
        print_text(q->key);
        fputs(nothing || q->said.n > 0 ? ": " : "", stdout);
        print_text(nothing ? SPAN("not there") : q->said);
        printf("; %llu.%03llu ms)", (unsigned long long)micros / 1000,
               (unsigned long long)micros % 1000);
    }
    fputs("\n", stdout);
}

/* A policy server's action or failure, a command's complaint. */
static void print_note(void *context, const struct rules_note *note)
{
    struct explain *e = context;

    if (e->json)
        return; /* the rule has what was decided */
    fputs("  note      ", stdout);
    print_text(note->source);
    printf(": %s", note->what);
    fputs(note->text.n > 0 ? ": " : "", stdout);
    print_text(note->text);
    fputs("\n", stdout);
}

static struct smtp_verdict ask_rules(struct explain *e)
{
    static const char *const opinions[] = {
        [SMTP_NO_OPINION] = "no opinion",
        [SMTP_ACCEPT] = "accept",
        [SMTP_REFUSE] = "refuse",
        [SMTP_DEFER] = "defer",
    };
    struct smtp_recipient *recipient = e->session.candidate;
    struct rules_question q;
    struct smtp_verdict verdict = {.opinion = SMTP_NO_OPINION};
    bool against = false;
    const char *name;

    rules_ask_about(&q, &e->rules, &recipient->mailbox);
    mark(e, "\"rules\":[");
    e->first = true;
    for (size_t i = 0; !against; i++) {
        const bool applies = rules_applies(i, &q);
        const uint64_t before = clock_micros();

        name = rules_ask(i, &q, &verdict);
        if (name == NULL)
            break;
        against = verdict.opinion == SMTP_REFUSE || verdict.opinion == SMTP_DEFER;
        if (applies || against)
            print_rule(e, &q, name, opinions[verdict.opinion], clock_micros() - before);
    }
    mark(e, "],");
    if (against)
        return verdict;
    rules_give_aliases(&q, recipient);
    return (struct smtp_verdict){.opinion = SMTP_ACCEPT, .reply = {.rule = q.gate}};
}

/* One command, its rules and its reply. */
static enum smtp_want command(struct explain *e, const char *verb, const char *argument,
                              const char *rest)
{
    char room[SMTP_LINE_MAX];
    struct text line = TEXT(room);
    enum smtp_want want;

    text_adds(&line, verb);
    text_adds(&line, argument);
    text_adds(&line, rest);
    if (e->json) {
        fputs(e->session.commands > 0 ? ",{\"command\":" : "{\"command\":", stdout);
        print_json(text_span(&line));
        fputs(",", stdout);
    } else {
        print_text(text_span(&line));
        fputs("\n", stdout);
    }
    want = smtp_session_line(&e->session, text_span(&line));
    if (want == SMTP_NEXT_DECISION) {
        const bool is_recipient = e->session.about == SMTP_ABOUT_RECIPIENT;
        struct smtp_recipient *r = e->session.candidate;
        const struct smtp_verdict verdict =
            is_recipient ? ask_rules(e) : rules_decide_for(&e->rules, e->session.about, NULL);

        want = smtp_session_decided(&e->session, &verdict);
        if (is_recipient && verdict.opinion == SMTP_ACCEPT)
            head_complete_recipient(e->config, &e->arena, r);
    }
    print_replies(e);
    mark(e, "}");
    return want;
}

static void print_head(struct explain *e)
{
    const struct head_facts f = {.config = e->config,
                                 .session = &e->session,
                                 .peer = &e->peer,
                                 .id = SPAN("ID"),
                                 .time = e->config->fixed_time,
                                 .prepended = rules_prepended(&e->rules)};
    char room[HEAD_MAX];
    struct text head = TEXT(room);
    struct span left;

    head_write(&head, &f, e->config->trace_headers, head_only_recipient(&e->session));
    mark(e, ",\"head\":[");
    for (left = text_span(&head); left.n > 0;) {
        const struct span line = span_first(left, span_find(left, '\n'));

        item(e, "head", line);
        left = span_from(left, line.n + 1);
    }
    mark(e, "]");
}

/* All of them, or the first one where each has a run of its own. */
static size_t list_recipients(const struct explain *e, const struct smtp_recipient **out)
{
    size_t n = 0;

    for (const struct smtp_recipient *r = smtp_first_target(&e->session.transaction);
         r != NULL && n < EXPLAIN_TARGETS_MAX; r = smtp_next_target(r))
        if (n == 0 || e->config->deliver_per == CONFIG_PER_MESSAGE)
            out[n++] = r;
    return n;
}

static void print_delivery(struct explain *e)
{
    const struct smtp_recipient *recipient[EXPLAIN_TARGETS_MAX];
    const size_t n = list_recipients(e, recipient);
    const struct command_run run = {
        .session = &e->session,
        .peer = &e->peer,
        .id = SPAN("ID"),
        .delimiter = e->config->recipient_delimiter,
        .size = e->question->size,
        .hold = rules_hold(&e->rules),
        .replies = command_replies(e->config, &e->session),
        .recipient = recipient,
        .recipients = n,
    };
    char path_room[4096];
    struct text path = TEXT(path_room);
    char **argv = command_argv(&run, &e->config->deliver, &e->arena);
    char **environment = command_environment(&run, &e->arena);

    if (argv == NULL || environment == NULL)
        return;
    if (!e->json)
        puts("delivery");
    mark(e, ",\"delivery\":{\"program\":[");
    if (run_program(span_of(argv[0]), &path) == NULL) {
        item(e, "program", SPAN("(not there, or can't be executed)"));
        e->refused = true;
    } else {
        item(e, "program", text_span(&path));
    }
    mark(e, "],");
    list_of(e, "\"words\":[", "word", argv);
    mark(e, ",");
    list_of(e, "\"environment\":[", "variable", environment);
    print_head(e);
    mark(e, "}");
}

/* A policy server wants the message to be dropped: no command would run. */
static void print_discard(const struct explain *e)
{
    fputs(e->json ? ",\"discard\":true" : "discard: no command would run\n", stdout);
}

/* The greeting, which nobody waits for here. False: a policy server has refused it. */
static bool greet(struct explain *e)
{
    enum smtp_want want =
        smtp_session_open(&e->session, &e->config->smtp, &e->out, &e->arena, true);

    /* Without TLS, no other answer than 530 could be had, and no login. */
    if (e->config->smtp.tls >= SMTP_TLS_REQUIRED ||
        (e->question->login != NULL && !e->config->smtp.auth_plaintext))
        want = smtp_session_is_secure(&e->session, want);
    if (want == SMTP_NEXT_DECISION) {
        const struct smtp_verdict verdict = rules_decide_for(&e->rules, e->session.about, NULL);

        want = smtp_session_decided(&e->session, &verdict);
    }
    if (want == SMTP_NEXT_GREETING)
        want = smtp_session_greet(&e->session, false);
    if (want != SMTP_NEXT_CLOSE) {
        e->out.n = 0;
        return true;
    }
    mark(e, "{\"command\":\"\",");
    print_replies(e);
    mark(e, "}");
    return false;
}

/* As after EHLO and AUTH PLAIN. */
static void log_in(struct explain *e)
{
    e->session.login = &e->login;
    e->session.esmtp = true;
    e->login.mechanism = SPAN("PLAIN");
    smtp_log_in(&e->session, span_of(e->question->login));
}

static void play(struct explain *e)
{
    const struct explain_question *q = e->question;
    char room[64];
    struct text size = TEXT(room);
    bool accepted = true;

    text_adds(&size, "> SIZE=");
    text_addn(&size, q->size, 1);
    mark(e, "\"commands\":[");
    if (!greet(e)) {
        mark(e, "]");
        return;
    }
    if (q->login != NULL)
        log_in(e);
    if (q->helo != NULL)
        command(e, e->config->smtp.lmtp ? "LHLO " : "EHLO ", q->helo, "");
    command(e, "MAIL FROM:<", q->sender, q->size > 0 ? text_string(&size) : ">");
    for (size_t i = 0; i < q->recipients; i++)
        command(e, "RCPT TO:<", q->recipient[i], ">");
    accepted = command(e, "DATA", "", "") == SMTP_NEXT_DATA;
    mark(e, "]");
    if (accepted && rules_discard(&e->rules))
        print_discard(e);
    else if (accepted)
        print_delivery(e);
}

static void print_client(const struct explain *e)
{
    const struct span login = span_of(e->question->login);

    if (e->json) {
        fputs("{\"client\":{\"address\":", stdout);
        print_json(e->peer.address);
        fputs(",\"name\":", stdout);
        print_json(e->peer.name);
        print_member("login", login);
        fputs("},", stdout);
    } else {
        fputs("client ", stdout);
        print_text(e->peer.address);
        fputs(" ", stdout);
        print_text(e->peer.name);
        fputs(login.n > 0 ? "\nlogin  " : "", stdout);
        print_text(login);
        fputs("\n", stdout);
    }
}

int explain(const struct config *c, const struct explain_question *q)
{
    char *memory =
        mmap(NULL, ARENA_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct explain *e = calloc(1, sizeof *e);
    int status = 1;

    if (memory != MAP_FAILED && e != NULL) {
        e->config = c;
        e->question = q;
        e->json = q->json;
        e->out = TEXT(e->out_room);
        e->arena = (struct arena){.base = memory, .cap = ARENA_MAX};
        peer_find(&e->peer, NULL, true, c);
        e->rules = (struct rules){.config = c,
                                  .peer = &e->peer,
                                  .session = &e->session,
                                  .id = SPAN("ID"),
                                  .sources = &e->sources,
                                  .note = print_note,
                                  .context = e};
        print_client(e);
        play(e);
        mark(e, "}\n");
        status = e->refused;
        rules_close(&e->rules);
    }
    free(e);
    if (memory != MAP_FAILED)
        munmap(memory, ARENA_MAX);
    return status;
}
