#include "commands/replay/play.h"

#include "base/text.h"
#include "commands/replay/replies.h"
#include "commands/replay/told_tls.h"

#include <string.h>
#include <time.h>

static bool send_bytes(const struct endpoint *e, struct span bytes, uint64_t chunk)
{
    while (bytes.n > 0) {
        const struct span now = span_first(bytes, chunk == 0 ? bytes.n : (size_t)chunk);

        if (!e->send(e->context, now))
            return false;
        bytes = span_from(bytes, now.n);
    }
    return true;
}

/* The same, but what stands behind a line is not parted from it: behind STARTTLS, it would come in
 * the plain text or into the handshake, as chance has it. */
static bool send_lines(const struct endpoint *e, struct span bytes, uint64_t chunk)
{
    while (bytes.n > 0) {
        const size_t n = span_first(bytes, chunk == 0 ? bytes.n : (size_t)chunk).n;
        const struct span now = span_first(bytes, bytes.p[n - 1] == '\n' ? n + 1 : n);

        if (!e->send(e->context, now))
            return false;
        bytes = span_from(bytes, now.n);
    }
    return true;
}

static bool send_many(const struct endpoint *e, struct span some, uint64_t octets, uint64_t chunk)
{
    for (; octets > 0; octets -= span_first(some, octets).n)
        if (!send_bytes(e, span_first(some, octets), chunk))
            return false;
    return true;
}

/* A message with that many octets and lines. */
static bool send_made_up(const struct endpoint *e, const struct step *s, uint64_t chunk)
{
    char line[1002];
    uint64_t left = s->number;

    memset(line, 'x', sizeof line);
    if (s->lines == 0)
        return send_many(e, (struct span){.p = line, .n = sizeof line}, left, chunk);
    for (uint64_t i = 0; i < s->lines; i++) {
        uint64_t n = i + 1 == s->lines ? left : left / (s->lines - i);

        left -= n;
        for (; n > 1002; n -= 1000)
            if (!send_bytes(e, (struct span){.p = line, .n = 1000}, chunk))
                return false;
        if (!send_bytes(e, (struct span){.p = line, .n = (size_t)n - 2}, chunk) ||
            !send_bytes(e, SPAN("\r\n"), chunk))
            return false;
    }
    return true;
}

static void pause_for(uint64_t milliseconds)
{
    const struct timespec t = {.tv_sec = (time_t)(milliseconds / 1000),
                               .tv_nsec = (long)(milliseconds % 1000 * 1000000)};

    nanosleep(&t, NULL);
}

/* One step of the client's side; false: the connection is over. */
static bool act(const struct step *s, const struct endpoint *e, const struct play_options *o)
{
    switch (s->kind) {
    case STEP_SEND:
        return send_bytes(e, s->bytes, o->chunk);
    case STEP_MESSAGE:
        return send_made_up(e, s, o->chunk);
    case STEP_WAIT:
        pause_for(s->number);
        return true;
    case STEP_HALF_CLOSE:
        e->half_close(e->context);
        return true;
    case STEP_DISCONNECT:
        if (o->whole)
            return false; /* the replies are still to be read */
        e->disconnect(e->context);
        return false;
    default:
        return true;
    }
}

/* Lines that the client sends in one go are one write: that is what pipelining is. */
static const struct step *send_group(const struct transcript *t, const struct step *s,
                                     const struct endpoint *e, const struct play_options *o,
                                     struct arena *a)
{
    const size_t mark = a->used;
    struct text all = {.p = a->base + mark, .cap = a->cap - mark};
    const struct step *last = s;

    while (last->next != NULL && last->next->kind == STEP_SEND)
        last = last->next;
    for (const struct step *i = s;; i = i->next) {
        text_add(&all, i->bytes);
        if (i == last)
            break;
    }
    /* Kept while it is sent: the other side may use the arena meanwhile. */
    arena_get(a, all.n);
    if (t->starttls)
        send_lines(e, text_span(&all), o->chunk);
    else
        send_bytes(e, text_span(&all), o->chunk);
    a->used = mark;
    return last;
}

/* What the transcript sends from s on, before anything is read; up to where TLS begins. The end of
 * what is sent makes the server close the connection, which is not what "S: end" is about. */
static void send_everything(const struct transcript *t, const struct step *s,
                            const struct endpoint *e, const struct play_options *o, struct arena *a)
{
    bool connected = true;

    for (; connected && s != NULL; s = s->next) {
        if (s->kind == STEP_TLS)
            return;
        if (s->kind == STEP_SEND)
            s = send_group(t, s, e, o, a);
        else
            connected = act(s, e, o);
    }
    if (t->last == NULL || !step_accepts_only(t->last, ACCEPT_END))
        e->half_close(e->context);
}

/* TLS begins, and is what the transcript tells of it. */
static void secure(const struct transcript *t, const struct endpoint *e, struct listener *l,
                   unsigned line, struct differences *d)
{
    static const struct tls_facts unknown = {.protocol = {0}};
    const struct tls_facts *wanted = t->tls.line > 0 ? &t->tls.facts : &unknown;
    const struct span unread = {.p = l->buffer + l->start, .n = l->end - l->start};
    struct tls_facts is = unknown;
    struct span why;

    if (unread.n > 0)
        differ(d, line, SPAN("(TLS begins)"), unread);
    l->start = l->end = 0;
    if (e->secure(e->context, wanted, &is, &why))
        told_tls_compare(&t->tls, &is, d);
    else
        differ(d, line, SPAN("(TLS)"), why);
    l->secure = true;
}

/* Where the transcript has TLS begin: if the server has said so. */
static void secure_at(const struct transcript *t, const struct step *s, const struct endpoint *e,
                      struct listener *l, struct differences *d)
{
    if (memcmp(l->code, "220", 3) == 0 && !l->closed)
        secure(t, e, l, s->line, d);
}

void play(const struct transcript *t, const struct endpoint *e, const struct play_options *o,
          struct arena *a, struct differences *d)
{
    struct listener l = {.e = e, .buffer = arena_get(a, LISTEN_MAX)};
    const struct step *first = t->first;
    bool connected = true, left = false;

    if (l.buffer == NULL) {
        differ(d, 0, SPAN("memory"), SPAN("none left"));
        return;
    }
    if (e->secure_first && e->header_first && first != NULL && first->kind == STEP_SEND) {
        send_bytes(e, first->bytes, o->chunk);
        first = first->next;
    }
    if (e->secure_first)
        secure(t, e, &l, t->tls.line, d);
    if (o->whole)
        send_everything(t, first, e, o, a);
    for (const struct step *s = first; s != NULL; s = s->next) {
        if (s->kind == STEP_EXPECT)
            s = replies_expect(s, &l, a, d);
        else if (s->kind == STEP_TLS)
            secure_at(t, s, e, &l, d);
        else if (!o->whole && s->kind == STEP_SEND)
            s = send_group(t, s, e, o, a);
        else if (!o->whole)
            connected = connected && act(s, e, o);
        if (s->kind == STEP_TLS && o->whole)
            send_everything(t, s->next, e, o, a);
        left = left || (s->kind == STEP_DISCONNECT && !o->whole);
    }
    if (t->tls.line > 0 && !l.secure && d->count == 0)
        differ(d, t->tls.line, SPAN("(TLS)"), SPAN("(none)"));
    if (left)
        return;
    e->half_close(e->context);
    replies_rest(&l, t->last == NULL ? 0 : t->last->line, d);
}
