#include "commands/milter/changes.h"

bool changes_begin(struct changes *c)
{
    c->list = arena_get(c->arena, c->most * sizeof *c->list);
    c->n = 0;
    c->body = c->cr = false;
    c->last = '\n';
    return c->list != NULL;
}

static bool put(struct changes *c, char octet)
{
    size_t room;
    char *to = spool_room(c->spool, &room);

    if (to == NULL)
        return false;
    *to = octet;
    spool_add(c->spool, 1);
    c->last = octet;
    return true;
}

/* A run of octets as they are. */
static bool put_run(struct changes *c, struct span run)
{
    while (run.n > 0) {
        size_t room;
        char *to = spool_room(c->spool, &room);
        const struct span now = span_first(run, room);

        if (to == NULL)
            return false;
        memcpy(to, now.p, now.n);
        spool_add(c->spool, now.n);
        c->last = now.p[now.n - 1];
        run = span_from(run, now.n);
    }
    return true;
}

/* A piece of the body, with the message's line ends. A bare CR or LF is nobody's line end, and
 * stays one octet where the message has LF; where it has CRLF, a bare LF becomes one: a body that
 * filters have made must not read in two ways. */
static bool put_piece(struct changes *c, struct span piece)
{
    while (piece.n > 0) {
        const size_t end = span_find_line_end(piece);

        if (c->cr && piece.p[0] != '\n' && !put(c, '\r'))
            return false;
        c->cr = c->cr && piece.p[0] == '\n';
        if (!put_run(c, span_first(piece, end)))
            return false;
        if (end == piece.n)
            return true;
        if (piece.p[end] == '\r') {
            c->cr = true;
        } else {
            if (c->crlf && !put(c, '\r'))
                return false;
            if (!put(c, '\n'))
                return false;
            c->cr = false;
        }
        piece = span_from(piece, end + 1);
    }
    return true;
}

static const char *add_body(struct changes *c, struct span piece)
{
    if (!c->body && !spool_open(c->spool, 0))
        return "wants a new body, which can't be stored";
    c->body = true;
    if (c->spool->size + piece.n > c->body_max)
        return "wants a larger body than it may (--limit body)";
    return (c->binary ? put_run(c, piece) : put_piece(c, piece))
               ? NULL
               : "wants a new body, which can't be stored";
}

/* Is the address one? */
static const char *look_at(const struct milter_change *change)
{
    if (change->kind == MILTER_ADD_RECIPIENT && !envelope_is_recipient(change->value))
        return "wants a recipient that is no mailbox";
    if (change->kind == MILTER_CHANGE_SENDER && !envelope_is_sender(change->value))
        return "wants a sender that is no mailbox";
    return NULL;
}

const char *changes_add(struct changes *c, const struct milter_change *change)
{
    struct milter_change *kept;
    const char *wrong = look_at(change);

    if (wrong != NULL)
        return wrong;
    if (change->kind == MILTER_REPLACE_BODY)
        return add_body(c, change->value);
    if (c->n == c->most)
        return "asks for more than it may (--limit requests)";
    kept = &c->list[c->n++];
    *kept = *change;
    kept->name = arena_copy(c->arena, change->name);
    kept->value = arena_copy(c->arena, change->value);
    return kept->name.p == NULL || kept->value.p == NULL
               ? "asks for more than there is room for (--limit header)"
               : NULL;
}

/* A field's value with the blank that stands behind the colon. */
static bool field_value(const struct changes *c, struct span value, struct span *out)
{
    const size_t most = value.n + 1;
    struct text t = {.cap = most};

    *out = value;
    if (c->leading_blank || value.n == 0)
        return true;
    t.p = arena_get(c->arena, most);
    if (t.p == NULL)
        return false;
    text_addc(&t, ' ');
    text_add(&t, value);
    *out = text_span(&t);
    return true;
}

static bool apply(struct changes *c, const struct milter_change *change, struct message *m,
                  struct envelope *e, struct span *reason)
{
    struct span value;

    switch (change->kind) {
    case MILTER_ADD_HEADER:
        return field_value(c, change->value, &value) && message_add(m, change->name, value);
    case MILTER_INSERT_HEADER:
        return field_value(c, change->value, &value) &&
               message_insert(m, change->index, change->name, value);
    case MILTER_CHANGE_HEADER:
        return field_value(c, change->value, &value) &&
               message_change(m, change->index, change->name, value);
    case MILTER_ADD_RECIPIENT:
        return envelope_add(e, change->value);
    case MILTER_DELETE_RECIPIENT:
        envelope_delete(e, change->value);
        return true;
    case MILTER_CHANGE_SENDER:
        return envelope_set_sender(e, change->value) && message_return_path(m, e->sender);
    case MILTER_QUARANTINE:
        *reason = change->value;
        return true;
    case MILTER_REPLACE_BODY:
        return true;
    }
    return false;
}

static const char *apply_all(struct changes *c, struct message *m, struct envelope *e,
                             struct span *reason)
{
    for (size_t i = 0; i < c->n; i++)
        if (!apply(c, &c->list[i], m, e, reason))
            return c->list[i].kind == MILTER_ADD_RECIPIENT
                       ? "wants more recipients than it may (--limit recipients)"
                       : "wants a larger header than it may (--limit header)";
    if (!c->body)
        return NULL;
    /* The last line ends, too. */
    if ((c->cr && !put(c, '\r')) ||
        (c->last != '\n' && !c->binary && ((c->crlf && !put(c, '\r')) || !put(c, '\n'))) ||
        spool_finish(c->spool) < 0)
        return "wants a new body, which can't be stored";
    message_take_body(m, c->spool);
    c->body = false;
    return NULL;
}

const char *changes_apply(struct changes *c, struct message *m, struct envelope *e,
                          struct span *reason)
{
    const struct message before = *m;
    const char *wrong = c->n == 0 || message_part(m) ? apply_all(c, m, e, reason)
                                                     : "asks for more than there is room for";

    if (wrong != NULL)
        *m = before;
    return wrong;
}

void changes_drop(struct changes *c)
{
    if (c->body)
        spool_close(c->spool);
    c->body = false;
    c->n = 0;
}
