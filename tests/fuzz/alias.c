/* Aliases of a table that anybody may have written: the first line is an address, the others are
 * the table; the first octet chooses the limits. */
#include "adapters/alias.h"
#include "../unit/fake_table.h"

#include <stdlib.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct alias_question *q, const struct smtp_mailbox *a,
                    const struct smtp_mailbox *b)
{
    return span_eq_nocase(a->domain, b->domain) &&
           (q->case_matters ? span_eq(a->local, b->local) : span_eq_nocase(a->local, b->local));
}

/* How often the list has the mailbox. */
static size_t count(const struct alias_question *q, const struct smtp_recipient *list,
                    const struct smtp_mailbox *m)
{
    size_t n = 0;

    for (; list != NULL; list = list->next)
        n += is_same(q, &list->mailbox, m);
    return n;
}

static enum alias_result expand(const struct alias_question *q, const struct smtp_mailbox *from,
                                struct arena *a, struct smtp_recipient **out)
{
    struct smtp_reply reply;
    const char *why;
    struct lookup at;
    const size_t mark = a->used;
    const enum alias_result result = alias_expand(q, from, a, out, &reply, &why, &at);

    promise((result == ALIAS_FAILED || result == ALIAS_BAD) == (why != NULL));
    promise(result != ALIAS_REPLY || (reply.code >= 400 && reply.text.p[reply.text.n] == '\0'));
    promise(result != ALIAS_NONE || at.key.n > 0 || a->used == mark);
    promise(result != ALIAS_FOUND || (*out != NULL && at.key.n > 0));
    return result;
}

/* A mailbox is there once, and is one that a client could have named; whoever is asked again for a
 * recipient gets that recipient. */
static void try_recipients(const struct alias_question *q, const struct smtp_recipient *list)
{
    static char room[1 << 16], path[SMTP_ADDRESS_MAX + 2];
    size_t n = 0;

    for (const struct smtp_recipient *r = list; r != NULL; r = r->next, n++) {
        struct arena a = {.base = room, .cap = sizeof room};
        struct text text = TEXT(path);
        struct smtp_recipient *again;
        struct smtp_mailbox m;
        struct span in;
        enum alias_result result;

        promise(count(q, list, &r->mailbox) == 1);
        text_addc(&text, '<');
        text_add(&text, r->mailbox.address);
        text_addc(&text, '>');
        in = text_span(&text);
        promise(smtp_forward_path(&in, &a, &m, NULL) == SMTP_PATH_OK && in.n == 0);
        promise(span_eq(m.address, r->mailbox.address) && span_eq(m.local, r->mailbox.local));
        result = expand(q, &m, &a, &again);
        promise(result != ALIAS_FOUND || count(q, again, &m) == 1);
    }
    promise(n <= q->recipients_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char room[1 << 18];
    struct arena a = {.base = room};
    struct table t = {.source = {.p = (const char *)data + 1, .n = size - 1}};
    struct alias_question q = {
        .table = &t, .delimiter = SPAN("+-"), .own_domain = SPAN("own.example")};
    struct smtp_recipient *list;
    struct smtp_mailbox from;

    if (size < 1)
        return 0;
    q.depth_max = data[0] & 7;
    q.recipients_max = data[0] >> 3 & 7;
    q.case_matters = data[0] & 64;
    q.other_is_ok = size % 2 == 1;
    a.cap = data[0] & 128 ? 2048 : sizeof room;
    if (smtp_forward_path(&t.source, &a, &from, NULL) != SMTP_PATH_OK)
        return 0;
    asked.questions = 0;
    if (expand(&q, &from, &a, &list) == ALIAS_FOUND) {
        promise(asked.questions <= 2 * q.recipients_max + q.depth_max + 2);
        try_recipients(&q, list);
    }
    promise(a.used <= a.cap);
    return 0;
}
