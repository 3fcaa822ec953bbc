#include "adapters/rules_asked.h"

#include "adapters/check.h"
#include "adapters/recorder.h"
#include "adapters/rules_helo.h"

/* Kept beyond the transaction in whose arena the verdict is. */
static void keep(struct rules_kept *k, const struct smtp_verdict *verdict, struct span said)
{
    k->known = true;
    k->verdict = *verdict;
    k->room = TEXT(k->bytes);
    k->said = TEXT(k->said_room);
    text_add(&k->said, span_first(said, RULES_LAST_MAX));
    text_add(&k->room, verdict->reply.enhanced);
    text_add(&k->room, verdict->reply.text);
    k->verdict.reply.enhanced = span_first(text_span(&k->room), verdict->reply.enhanced.n);
    k->verdict.reply.text = span_from(text_span(&k->room), verdict->reply.enhanced.n);
}

static const char *const settings[] = {
    [CHECK_CLIENT] = "check_client",
    [CHECK_SENDER] = "check_sender",
    [CHECK_RECIPIENT] = "check_recipient",
};

/* What goes wrong with a command is worth a record, and so is what it complains of. */
static void tell_of_check(struct rules_question *q, enum check_kind kind,
                          const struct check_result *result, const struct smtp_mailbox *recipient)
{
    const struct span source = span_of(settings[kind]);
    char room[64];
    struct text what = TEXT(room);

    if (result->bad_output)
        rules_tell(q->rules, source, recipient, "bad_output", result->complained);
    else if (result->child.end != CHILD_EXITED)
        rules_tell(q->rules, source, recipient, child_end_name(result->child.end),
                   result->complained);
    else if (result->complained.n > 0) {
        text_adds(&what, "exit_");
        text_addn(&what, (uint64_t)result->child.status, 1);
        rules_tell(q->rules, source, recipient, text_string(&what), result->complained);
    }
}

/* For the record of a refusal, and --explain: how it has ended, and what it has said. */
static void keep_answer(struct rules_question *q, const struct check_result *result)
{
    char room[RULES_LAST_MAX];
    struct text said = TEXT(room);

    text_adds(&said, child_end_name(result->child.end));
    if (result->child.end == CHILD_EXITED) {
        text_addc(&said, ' ');
        text_addn(&said, (uint64_t)result->child.status, 1);
    }
    if (result->said.n > 0) {
        text_adds(&said, ": ");
        text_add(&said, span_first(result->said, said.cap - said.n));
    }
    q->said = arena_copy(q->rules->session->transaction.arena, text_span(&said));
}

static struct smtp_verdict ask_check(struct rules_question *q, enum check_kind kind,
                                     const struct words *command,
                                     const struct smtp_recipient *recipient, struct span *alias)
{
    const struct rules *r = q->rules;
    const struct check check = {
        .kind = kind,
        .config = r->config,
        .command = command,
        .timeout = r->config->check_timeout,
        .session = r->session,
        .peer = r->peer,
        .id = r->id,
        .recipient = recipient,
        .recorder = r->recorder,
        .arena = r->session->transaction.arena,
    };
    struct check_result result;

    check_ask(&check, &result);
    tell_of_check(q, kind, &result, recipient == NULL ? NULL : q->recipient);
    keep_answer(q, &result);
    *alias = result.recipient;
    return result.verdict;
}

static enum smtp_opinion say(struct rules_question *q, const struct words *command,
                             const struct smtp_verdict *verdict)
{
    q->reply = verdict->reply;
    q->source = command->word[0];
    return verdict->opinion == SMTP_ACCEPT ? SMTP_NO_OPINION : verdict->opinion;
}

/* Once a session; again inside TLS, where more is known of the client, and what it said before is
 * forgotten. */
enum smtp_opinion rules_check_client(struct rules_question *q)
{
    const struct words *command = &q->rules->config->check_client;
    struct rules_sources *const s = rules_sources(q->rules);
    struct rules_kept *const kept = &s->client;
    const bool secure = q->rules->peer->tls != NULL;
    struct span alias;

    if (!kept->known || s->client_secure != secure) {
        const struct smtp_verdict verdict = ask_check(q, CHECK_CLIENT, command, NULL, &alias);

        keep(kept, &verdict, q->said);
        s->client_secure = secure;
    }
    q->said = text_span(&kept->said);
    return say(q, command, &kept->verdict);
}

/* The transaction that the next orders, and what is known of its sender, belong to. */
static struct rules_sources *turn_to_transaction(struct rules *r)
{
    struct rules_sources *s = rules_sources(r);

    if (s->transaction == r->session->transactions)
        return s;
    s->transaction = r->session->transactions;
    s->sender.known = false;
    s->hold = s->discard = false;
    s->prepended = TEXT(s->prepended_room);
    return s;
}

/* Once a transaction. */
enum smtp_opinion rules_check_sender(struct rules_question *q)
{
    const struct words *command = &q->rules->config->check_sender;
    struct rules_kept *kept;
    struct span alias;

    kept = &turn_to_transaction(q->rules)->sender;
    if (!kept->known) {
        const struct smtp_verdict verdict = ask_check(q, CHECK_SENDER, command, NULL, &alias);

        keep(kept, &verdict, q->said);
    }
    q->said = text_span(&kept->said);
    return say(q, command, &kept->verdict);
}

/* One address, as RCPT would take it. */
static bool alias_to_address(struct rules_question *q, struct span address)
{
    char room[SMTP_ADDRESS_MAX + 2];
    struct text path = TEXT(room);
    struct smtp_mailbox mailbox;
    struct span in;

    text_addc(&path, '<');
    text_add(&path, address);
    text_addc(&path, '>');
    in = text_span(&path);
    return !path.cut &&
           smtp_forward_path(&in, q->rules->session->transaction.arena, &mailbox, NULL) ==
               SMTP_PATH_OK &&
           in.n == 0 && rules_alias_to(q, &mailbox);
}

enum smtp_opinion rules_check_recipient(struct rules_question *q)
{
    const struct words *command = &q->rules->config->check_recipient;
    struct smtp_recipient recipient = {.mailbox = *q->recipient};
    struct smtp_verdict verdict;
    struct span alias;

    head_complete(q->rules->config, q->rules->session->transaction.arena, &recipient.mailbox);
    verdict = ask_check(q, CHECK_RECIPIENT, command, &recipient, &alias);
    q->key = recipient.mailbox.address;
    if (verdict.opinion == SMTP_ACCEPT && alias.n > 0) {
        q->said = alias;
        if (!alias_to_address(q, alias))
            verdict = (struct smtp_verdict){SMTP_DEFER, *smtp_reply(SMTP_REPLY_NO_LOOKUP)};
    }
    return say(q, command, &verdict);
}

/* What holds if nobody, or somebody, refuses. */
struct policy_condition {
    struct smtp_reply reply; /* code 0: nobody has said so */
    struct span source, said;
};

/* What the servers of one state have said so far. */
struct policy_round {
    struct rules *rules;
    enum policy_state state;
    const struct smtp_mailbox *recipient; /* NULL: it is not about one */
    struct rules_question *question;      /* NULL, too */
    struct policy_condition defer_if_permit, defer_if_reject;
    struct smtp_verdict verdict;
    struct span source, said; /* of the server that was asked last, or has decided */
};

/* Header fields are for a message: before MAIL there is none. */
static bool prepend(struct policy_round *round, struct span field)
{
    struct rules_sources *s = turn_to_transaction(round->rules);
    const struct span have = text_span(&s->prepended);

    if (round->state < POLICY_MAIL || !policy_is_field(field) ||
        s->prepended.cap - s->prepended.n < field.n + 1)
        return false;
    for (struct span left = have; left.n > 0; left = span_from(left, span_find(left, '\n') + 1))
        if (span_eq(span_first(left, span_find(left, '\n')), field))
            return true;
    text_add(&s->prepended, field);
    text_addc(&s->prepended, '\n');
    return true;
}

static void set_condition(struct policy_condition *c, const struct policy_round *round,
                          const struct smtp_reply *reply)
{
    if (c->reply.code == 0)
        *c = (struct policy_condition){
            .reply = *reply, .source = round->source, .said = round->said};
}

static void decide_by_condition(struct policy_round *round, const struct policy_condition *c)
{
    round->verdict = (struct smtp_verdict){.opinion = SMTP_DEFER, .reply = c->reply};
    round->verdict.reply.rule = "policy";
    round->source = c->source;
    round->said = c->said;
}

static void decide_by(struct policy_round *round, const struct smtp_reply *reply, const char *rule)
{
    round->verdict.opinion = reply->code >= 500 ? SMTP_REFUSE : SMTP_DEFER;
    round->verdict.reply = *reply;
    round->verdict.reply.rule = rule;
    if (reply->code >= 500 && round->defer_if_reject.reply.code != 0)
        decide_by_condition(round, &round->defer_if_reject);
}

/* policy_default: "DUNNO", or a reply. */
static void decide_by_default(struct policy_round *round)
{
    struct arena *a = round->rules->session->transaction.arena;
    const struct span given = round->rules->config->policy_default;
    char *room = arena_get(a, 2 * SMTP_RESULT_TEXT_MAX);
    struct text text = {.p = room, .cap = room == NULL ? 0 : 2 * SMTP_RESULT_TEXT_MAX};
    struct smtp_reply reply;

    if (span_eq_nocase(given, SPAN("DUNNO")))
        return;
    if (room == NULL || !smtp_result_of_words(&reply, given, &text))
        reply = *smtp_reply(SMTP_REPLY_NO_LOOKUP);
    decide_by(round, &reply, "policy_default");
}

static bool redirect(struct policy_round *round, struct span address)
{
    return round->question != NULL && round->rules->config->aliases.n > 0 &&
           alias_to_address(round->question, address);
}

static void obey(struct policy_round *round, const struct policy_answer *answer)
{
    static const char *const names[] = {
        [POLICY_DISCARD] = "discard", [POLICY_HOLD] = "hold",       [POLICY_WARN] = "warn",
        [POLICY_INFO] = "info",       [POLICY_UNKNOWN] = "unknown", [POLICY_REDIRECT] = "redirect",
        [POLICY_PREPEND] = "prepend",
    };
    const bool tells = answer->action != POLICY_PREPEND;
    bool done = true;

    switch (answer->action) {
    case POLICY_OK: /* it ends its own check only */
    case POLICY_DUNNO:
        return;
    case POLICY_REPLY:
        decide_by(round, &answer->reply, "policy");
        return;
    case POLICY_DEFER_IF_PERMIT:
        set_condition(&round->defer_if_permit, round, &answer->reply);
        return;
    case POLICY_DEFER_IF_REJECT:
        set_condition(&round->defer_if_reject, round, &answer->reply);
        return;
    case POLICY_PREPEND:
        done = prepend(round, answer->text);
        break;
    case POLICY_DISCARD:
        turn_to_transaction(round->rules)->discard = true;
        break;
    case POLICY_HOLD:
        turn_to_transaction(round->rules)->hold = true;
        break;
    case POLICY_REDIRECT:
        done = redirect(round, answer->text);
        break;
    case POLICY_UNKNOWN:
        done = false;
        break;
    case POLICY_WARN:
    case POLICY_INFO:
        break;
    }
    if (tells || !done)
        rules_tell(round->rules, round->source, round->recipient, names[answer->action],
                   answer->text);
    if (!done && answer->action != POLICY_PREPEND)
        decide_by_default(round);
}

static struct policy_facts facts(const struct policy_round *round, uint64_t size)
{
    const struct rules *r = round->rules;

    return (struct policy_facts){
        .state = round->state,
        .session = r->session,
        .peer = r->peer,
        .id = r->id,
        .recipient = round->recipient,
        .size = size,
    };
}

static bool keeps(const struct policy_round *round, const struct policy_answer *answer)
{
    return round->verdict.opinion != SMTP_NO_OPINION || answer->action == POLICY_DEFER_IF_PERMIT ||
           answer->action == POLICY_DEFER_IF_REJECT || answer->action == POLICY_REDIRECT;
}

/* What was taken of the transaction's memory since `mark` is given back, but for the answer's
 * beginning, for the record: no decision points there. */
static void give_back(struct policy_round *round, const struct policy_answer *answer, size_t mark)
{
    struct arena *a = round->rules->session->transaction.arena;

    a->used = mark;
    if (answer->said.n == 0)
        return;
    round->said = span_first(answer->said, RULES_LAST_MAX);
    arena_shrink(a, round->said.p, round->said.n);
}

/* All of them in turn, until one has an opinion. */
static void ask_servers(struct policy_round *round, uint64_t size)
{
    struct rules_sources *s = turn_to_transaction(round->rules);
    const struct policy_facts f = facts(round, size);
    struct arena *a = round->rules->session->transaction.arena;
    size_t mark = a->used;

    for (size_t i = 0; i < s->servers && round->verdict.opinion == SMTP_NO_OPINION; i++) {
        struct policy_server *server = &s->server[i];
        struct policy_answer answer = {.action = POLICY_DUNNO};
        bool answers;

        a->used = mark;
        round->source = server->name;
        answers = policy_ask(server, &f, round->rules->config->policy_timeout, a, &answer);
        if (round->rules->recorder != NULL)
            recorder_policy(round->rules->recorder, answers ? answer.said : (struct span){0});
        round->said = answers ? answer.said : span_of(server->wrong);
        if (answers) {
            obey(round, &answer);
        } else {
            rules_tell(round->rules, server->name, round->recipient, "failed",
                       span_of(server->wrong));
            decide_by_default(round);
        }
        if (keeps(round, &answer))
            mark = a->used;
        else
            give_back(round, &answer, mark);
    }
    if (round->verdict.opinion == SMTP_NO_OPINION && round->defer_if_permit.reply.code != 0)
        decide_by_condition(round, &round->defer_if_permit);
}

enum smtp_opinion rules_policy(struct rules_question *q)
{
    const struct config *c = q->rules->config;
    struct policy_round round = {
        .rules = q->rules, .state = POLICY_RCPT, .recipient = q->recipient, .question = q};
    struct rules_sources *s;
    bool hold, discard;

    if (!(c->policy_states & SMTP_ABOUT_RECIPIENT))
        return SMTP_NO_OPINION;
    s = turn_to_transaction(q->rules);
    hold = s->hold;
    discard = s->discard;
    ask_servers(&round, q->rules->session->transaction.declared_size);
    if (round.verdict.opinion != SMTP_NO_OPINION) {
        /* The message will not go there: what was ordered for it is not done to the others.
         * A field stays: a server may send it once a message (postgrey). */
        s->hold = hold;
        s->discard = discard;
    }
    q->reply = round.verdict.reply;
    q->source = round.source;
    q->said = round.said;
    return round.verdict.opinion;
}

static struct smtp_verdict decide_at(struct rules *r, enum policy_state state, uint64_t size)
{
    struct policy_round round = {.rules = r, .state = state};
    struct arena *a = r->session->transaction.arena;
    const size_t mark = a->used;

    if ((rules_trusts(r) || r->session->authenticated) && !r->config->check_relay_clients)
        return round.verdict;
    ask_servers(&round, size);
    if (round.verdict.opinion == SMTP_NO_OPINION)
        a->used = mark; /* what they have said has served */
    else
        rules_keep_last(r, round.verdict.reply.rule, round.source, SPAN(""), round.said);
    return round.verdict;
}

struct smtp_verdict rules_decide_step(struct rules *r, enum smtp_subject about)
{
    const enum policy_state state = about == SMTP_ABOUT_CLIENT     ? POLICY_CONNECT
                                    : about == SMTP_ABOUT_GREETING ? POLICY_EHLO
                                    : about == SMTP_ABOUT_SENDER   ? POLICY_MAIL
                                                                   : POLICY_DATA;

    if (about == SMTP_ABOUT_GREETING) {
        const struct smtp_verdict verdict = rules_helo(r);

        if (verdict.opinion != SMTP_NO_OPINION)
            return verdict;
    }
    /* What the servers are not asked about is decided for other reasons. */
    if (r->config->policy.n == 0 || !(r->config->policy_states & about))
        return (struct smtp_verdict){.opinion = SMTP_NO_OPINION};
    return decide_at(r, state, r->session->transaction.declared_size);
}

struct smtp_verdict rules_decide_message(struct rules *r, uint64_t size)
{
    if (r->config->policy.n == 0 || !(r->config->policy_states & CONFIG_POLICY_END_OF_MESSAGE))
        return (struct smtp_verdict){.opinion = SMTP_NO_OPINION};
    return decide_at(r, POLICY_END_OF_MESSAGE, size);
}

static const struct rules_sources *of_transaction(const struct rules *r)
{
    const struct rules_sources *s = r->sources;

    return r->config->policy.n > 0 && s != NULL && s->open &&
                   s->transaction == r->session->transactions
               ? s
               : NULL;
}

struct span rules_prepended(const struct rules *r)
{
    const struct rules_sources *s = of_transaction(r);

    return s == NULL ? SPAN("") : text_span(&s->prepended);
}

bool rules_hold(const struct rules *r)
{
    const struct rules_sources *s = of_transaction(r);

    return s != NULL && s->hold;
}

bool rules_discard(const struct rules *r)
{
    const struct rules_sources *s = of_transaction(r);

    return s != NULL && s->discard;
}
