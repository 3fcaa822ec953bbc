#include "adapters/alias.h"

#include "adapters/head.h"

/* An address that the expansion has come across. */
struct node {
    struct smtp_recipient recipient;
    struct node *todo;      /* the next one to be looked up */
    struct node *same_hash; /* in its bucket */
    uint64_t depth;         /* aliases before it */
    bool itself;            /* it is in its own value: a recipient */
};

enum { BUCKETS = 64 };

struct expansion {
    const struct alias_question *q;
    struct arena *a;
    struct node *todo;
    struct node *bucket[BUCKETS]; /* all nodes, by address_hash */
    uint64_t nodes, results;
    struct smtp_recipient *first, **end;
    struct smtp_reply *reply;
    const char *why;
};

static const char no_memory[] = "no memory is left for aliases";

static enum alias_result bad(struct expansion *e, const char *why)
{
    e->why = why;
    return ALIAS_BAD;
}

static struct span domain_of(const struct smtp_mailbox *m)
{
    return m->ascii.n > 0 ? m->ascii : m->domain;
}

/* FNV-1a, of what is the same in all spellings. */
static uint32_t add_to_hash(uint32_t hash, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        hash = (hash ^ (unsigned char)byte_lower(s.p[i])) * 16777619U;
    return hash;
}

static struct node **bucket_of(struct expansion *e, const struct smtp_mailbox *m)
{
    return &e->bucket[add_to_hash(add_to_hash(2166136261U, m->local), domain_of(m)) % BUCKETS];
}

static bool same(const struct expansion *e, const struct smtp_mailbox *x,
                 const struct smtp_mailbox *y)
{
    return span_eq_nocase(domain_of(x), domain_of(y)) &&
           (e->q->case_matters ? span_eq(x->local, y->local) : span_eq_nocase(x->local, y->local));
}

static struct node *find_node(struct expansion *e, const struct smtp_mailbox *m)
{
    struct node *node = *bucket_of(e, m);

    while (node != NULL && !same(e, &node->recipient.mailbox, m))
        node = node->same_hash;
    return node;
}

/* Takes an address into the expansion; NULL where the arena is full. */
static struct node *add_node(struct expansion *e, const struct smtp_mailbox *m, uint64_t depth)
{
    struct node *node = arena_get(e->a, sizeof *node), **bucket = bucket_of(e, m);

    if (node == NULL)
        return NULL;
    *node = (struct node){.recipient = {.mailbox = *m}, .same_hash = *bucket, .depth = depth};
    *bucket = node;
    e->nodes++;
    return node;
}

/* Each node costs a look-up, and is a recipient or an alias. */
static bool too_many_nodes(const struct expansion *e)
{
    return e->nodes > e->q->depth_max && (e->nodes - e->q->depth_max) / 2 > e->q->recipients_max;
}

static enum alias_result keep(struct expansion *e, struct node *node)
{
    if (e->results == e->q->recipients_max)
        return bad(e, "an alias has too many recipients");
    e->results++;
    *e->end = &node->recipient;
    e->end = &node->recipient.next;
    return ALIAS_FOUND;
}

/* Gives the mailbox the extension of `of` too, behind one of its own (as Postfix does). */
static enum smtp_path_result propagate(struct expansion *e, const struct smtp_mailbox *of,
                                       struct smtp_mailbox *m)
{
    const struct span delimiter = e->q->delimiter;
    char room[2 * SMTP_LOCAL_MAX];
    struct text local = TEXT(room);

    text_add(&local, m->local);
    text_add(&local, span_from(of->local, smtp_extension_at(of->local, delimiter)));
    return smtp_mailbox_of(text_span(&local), m->domain, e->a, m);
}

static const char *why_not(enum smtp_path_result result)
{
    return result == SMTP_PATH_FULL       ? no_memory
           : result == SMTP_PATH_TOO_LONG ? "an alias stands for an address that is too long"
                                          : "an alias stands for something that is no address";
}

/* The mailbox of a word of the node's value. */
static enum smtp_path_result target(struct expansion *e, const struct node *node,
                                    const struct lookup *at, struct span word,
                                    struct smtp_mailbox *out)
{
    enum smtp_path_result result = lookup_mailbox(word, &node->recipient.mailbox, e->a, out);

    /* "@domain" is the same user, with the extension. */
    if (result == SMTP_PATH_OK && at->extension_unmatched && !lookup_word_is_domain(word))
        result = propagate(e, &node->recipient.mailbox, out);
    if (result == SMTP_PATH_OK)
        head_find_ascii(e->q->idn, e->a, out);
    return result;
}

/* Puts the addresses of the node's value before all others that are still to be looked up. */
static enum alias_result add_targets(struct expansion *e, struct node *node,
                                     const struct lookup *at)
{
    struct span rest = at->value, word;
    struct node *first = NULL, **end = &first;

    if (!lookup_is_list(rest))
        return bad(e, why_not(SMTP_PATH_SYNTAX));
    while (lookup_next_word(&rest, &word)) {
        const size_t mark = e->a->used;
        struct smtp_mailbox m;
        const enum smtp_path_result result = target(e, node, at, word, &m);
        struct node *next;

        if (result != SMTP_PATH_OK)
            return bad(e, why_not(result));
        next = find_node(e, &m);
        if (next != NULL) {
            e->a->used = mark;
            if (next != node || node->itself)
                continue;
            node->itself = true;
        } else {
            next = add_node(e, &m, node->depth + 1);
            if (next == NULL)
                return bad(e, no_memory);
            if (too_many_nodes(e))
                return bad(e, "an alias stands for too many addresses");
        }
        *end = next;
        end = &next->todo;
    }
    *end = e->todo;
    e->todo = first;
    return ALIAS_FOUND;
}

/* The reply, out of the room that it was read into. */
static enum alias_result say(struct expansion *e)
{
    struct smtp_reply *r = e->reply;

    r->enhanced = arena_copy(e->a, r->enhanced);
    r->text = arena_copy(e->a, r->text);
    return r->enhanced.p == NULL || r->text.p == NULL ? bad(e, no_memory) : ALIAS_REPLY;
}

/* Looks a node up. ALIAS_NONE: it is no alias. */
static enum alias_result ask(struct expansion *e, struct node *node, struct lookup *at)
{
    const struct smtp_mailbox *m = &node->recipient.mailbox;
    char words[SMTP_RESULT_TEXT_MAX];
    struct text room = TEXT(words);

    switch (lookup_address(e->q->table, m->local, domain_of(m), e->q->delimiter, e->q->case_matters,
                           e->a, at)) {
    case TABLE_NOT_FOUND:
        return ALIAS_NONE;
    case TABLE_FAILED:
        e->why = at->wrong;
        return e->q->table->wrong == NULL ? ALIAS_BAD : ALIAS_FAILED; /* no memory */
    case TABLE_FOUND:
        break;
    }
    switch (lookup_read_value(at->value, e->reply, &room)) {
    case LOOKUP_OK:
        return ALIAS_NONE;
    case LOOKUP_REPLY:
        return say(e);
    case LOOKUP_OTHER: /* names without a domain, maybe */
        if (e->q->other_is_ok)
            return ALIAS_NONE;
        break;
    case LOOKUP_ADDRESSES:
        break;
    }
    if (node->depth >= e->q->depth_max)
        return bad(e, "aliases stand for aliases too many times");
    return add_targets(e, node, at);
}

/* Looks up what is still to be looked up. */
static enum alias_result ask_all(struct expansion *e, struct lookup *at)
{
    struct node *node;

    while ((node = e->todo) != NULL) {
        struct lookup l = {0};
        enum alias_result result = ALIAS_NONE;

        e->todo = node->todo;
        if (!node->itself)
            result = ask(e, node, &l);
        if (result == ALIAS_NONE)
            result = keep(e, node);
        if (result != ALIAS_FOUND) {
            *at = l;
            return result;
        }
    }
    return e->results > 0 ? ALIAS_FOUND : bad(e, "aliases form a loop");
}

/* The address that is looked up first: with a domain, and that in ASCII. */
static enum smtp_path_result complete(const struct alias_question *q,
                                      const struct smtp_mailbox *from, struct arena *a,
                                      struct smtp_mailbox *out)
{
    enum smtp_path_result result = SMTP_PATH_OK;

    *out = *from;
    if (from->domain.n == 0)
        result = smtp_mailbox_of(from->local, q->own_domain, a, out);
    if (result == SMTP_PATH_OK)
        head_find_ascii(q->idn, a, out);
    return result;
}

enum alias_result alias_expand(const struct alias_question *q, const struct smtp_mailbox *from,
                               struct arena *a, struct smtp_recipient **out,
                               struct smtp_reply *reply, const char **why, struct lookup *at)
{
    struct expansion e = {.q = q, .a = a, .reply = reply};
    const size_t mark = a->used;
    struct smtp_mailbox m;
    struct node *root;
    enum alias_result result;

    *at = (struct lookup){0};
    *out = NULL;
    *why = NULL;
    e.end = &e.first;
    root = complete(q, from, a, &m) == SMTP_PATH_OK ? add_node(&e, &m, 0) : NULL;
    result = root == NULL ? bad(&e, no_memory) : ask(&e, root, at);
    if (result == ALIAS_FOUND)
        result = ask_all(&e, at);
    if (result == ALIAS_NONE && at->key.n == 0)
        a->used = mark;
    *out = e.first;
    *why = e.why;
    return result;
}
