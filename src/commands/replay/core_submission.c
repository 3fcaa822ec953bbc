#include "commands/replay/core_submission.h"

#include "adapters/submission.h"

#include <string.h>

enum { BUFFER = 65536 };

/* The message, in a spool. */
static bool fill(struct spool *s, struct span message)
{
    if (!spool_open(s, 0))
        return false;
    while (message.n > 0) {
        size_t room;
        char *at = spool_room(s, &room);
        const struct span now = span_first(message, room);

        if (at == NULL)
            return false;
        memcpy(at, now.p, now.n);
        spool_add(s, now.n);
        message = span_from(message, now.n);
    }
    return spool_finish(s) >= 0;
}

/* And back. */
static bool empty(const struct spool *s, struct text *message)
{
    const struct span all = spool_start(s, 0, message->p, message->cap);

    if (all.p != message->p && all.n > 0)
        memcpy(message->p, all.p, all.n);
    message->n = all.n;
    return all.n < message->cap;
}

const struct smtp_reply *core_submission(const struct head_facts *f, struct text *message,
                                         size_t *head, struct arena *a)
{
    const struct config *c = f->config;
    const size_t mark = a->used;
    struct spool spool = {
        .fd = -1, .buffer = arena_get(a, BUFFER), .cap = BUFFER, .memory = UINT64_MAX};
    const struct smtp_reply *refused = smtp_reply(SMTP_REPLY_NO_SPOOL);
    const char *note;

    if (c->add_header == 0 && !c->require_from && !f->session->authenticated)
        return NULL;
    if (spool.buffer != NULL && fill(&spool, text_span(message))) {
        const enum submission_result result = submission_fix(f, &spool, head, a);

        refused = submission_reply(result, &note);
        if (result == SUBMISSION_FINE && !empty(&spool, message))
            refused = smtp_reply(SMTP_REPLY_NO_SPOOL);
    }
    spool_close(&spool);
    a->used = mark;
    return refused;
}
