#include "commands/milter/message.h"

#include "base/text.h"
#include "smtp/header.h"

#include <errno.h>
#include <unistd.h>

enum {
    SPOOL_MEMORY = 256 * 1024,
    OWN_AMONG = 64 /* fields at the top */,
    FIRST_PIECE = 8192 /* most headers are shorter */
};

static struct spool new_spool(const struct message *m, char *buffer)
{
    return (struct spool){
        .buffer = buffer, .cap = MESSAGE_BUFFER, .memory = SPOOL_MEMORY, .dir = m->dir, .fd = -1};
}

/* A pipe can be read once: its octets go into a spool. */
static int copy_of(const struct message *m, int in)
{
    char buffer[MESSAGE_BUFFER];
    struct spool s = new_spool(m, buffer);
    int fd;

    if (!spool_open(&s, 0))
        return -1;
    for (;;) {
        size_t room;
        char *to = spool_room(&s, &room);
        ssize_t n = to == NULL ? -1 : read(in, to, room);

        if (n < 0 && to != NULL && errno == EINTR)
            continue;
        if (n < 0) {
            spool_close(&s);
            return -1;
        }
        if (n == 0)
            break;
        spool_add(&s, (size_t)n);
    }
    fd = spool_finish(&s);
    if (fd < 0)
        spool_close(&s);
    return fd;
}

static ssize_t read_at(int fd, char *to, size_t n, uint64_t at)
{
    ssize_t got;

    do
        got = pread(fd, to, n, (off_t)at);
    while (got < 0 && errno == EINTR);
    return got;
}

/* The start of the message, up to a little more than its header may have, or to the end of the
 * header if that is sooner. */
static bool read_start(struct message *m, struct span *start)
{
    const size_t most = (size_t)(m->size < m->header_max + 4 ? m->size : m->header_max + 4);
    char *room = arena_get(m->arena, most);
    size_t n = 0;

    errno = ENOMEM;
    if (room == NULL)
        return false;
    while (n < most) {
        const size_t next = n == 0 ? FIRST_PIECE : MESSAGE_BUFFER;
        const size_t piece = most - n < next ? most - n : next;
        const ssize_t got = read_at(m->fd, room + n, piece, n);
        struct span all, field;

        if (got < 0)
            return false;
        if (got == 0)
            break;
        n += (size_t)got;
        /* It is looked at from its beginning once it is there, and no more than a few times. */
        all = (struct span){.p = room, .n = n};
        if (n < most && n > (size_t)got)
            continue;
        all = span_from(all, smtp_header_mark(all));
        while (smtp_header_next(&all, &field))
            ;
        if (all.n > 1 && (all.p[0] == '\n' || all.p[0] == '\r'))
            break;
    }
    arena_shrink(m->arena, room, n);
    *start = (struct span){.p = room, .n = n};
    return true;
}

/* A field with that text; it counts with its line end. */
static struct message_field *new_field(struct message *m, struct span text, size_t name,
                                       size_t value)
{
    struct message_field *f = arena_get(m->arena, sizeof *f);

    if (f == NULL || text.p == NULL || m->header + text.n + 1 > m->header_max)
        return NULL;
    *f = (struct message_field){.text = text, .name = name, .value = value};
    m->header += text.n + 1;
    return f;
}

/* A copy whose line ends are LF. */
static struct span without_cr(struct message *m, struct span name, struct span value)
{
    const size_t most = name.n + value.n;
    struct text t = {.p = arena_get(m->arena, most), .cap = most};

    if (t.p == NULL)
        return (struct span){0};
    text_add(&t, name);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != '\r' || i + 1 == value.n || value.p[i + 1] != '\n')
            text_addc(&t, value.p[i]);
    return text_span(&t);
}

static struct message_field *make_field(struct message *m, struct span name, struct span value)
{
    char room[SMTP_FIELD_NAME_MAX + 1];
    struct text t = TEXT(room);

    text_add(&t, name);
    text_addc(&t, ':');
    return t.cut ? NULL : new_field(m, without_cr(m, text_span(&t), value), name.n, t.n);
}

/* A field as it came. */
static struct message_field *take_field(struct message *m, struct span field)
{
    size_t colon, name;

    if (field.n > 0 && field.p[field.n - 1] == '\n')
        field.n--;
    if (field.n > 0 && field.p[field.n - 1] == '\r')
        field.n--;
    colon = name = span_find(field, ':');
    while (name > 0 && byte_is_blank(field.p[name - 1]))
        name--;
    if (span_find(field, '\r') < field.n)
        field = without_cr(m, SPAN(""), field);
    return new_field(m, field, name, colon + 1);
}

struct span message_name(const struct message_field *f)
{
    return span_first(f->text, f->name);
}

struct span message_value(const struct message_field *f)
{
    return span_from(f->text, f->value);
}

static bool is_of_delivery(const struct message_field *f)
{
    return span_eq_nocase(message_name(f), SPAN("Return-Path")) ||
           span_eq_nocase(message_name(f), SPAN("Delivered-To")) ||
           span_eq_nocase(message_name(f), SPAN("X-Original-To"));
}

/* " id ID" in smtpin's Received:. No client can know the id before. */
static bool has_id(const struct message_field *f, struct span id)
{
    struct span rest = message_value(f), word, last = {0};

    if (id.n == 0 || !span_eq_nocase(message_name(f), SPAN("Received")))
        return false;
    while (span_word(&rest, " \t\n;", &word)) {
        if (span_eq(last, SPAN("id")) && span_eq(word, id))
            return true;
        last = word;
    }
    return false;
}

/* Finds what smtpin has added: its Received:, and above that the fields of the delivery. */
static bool find_own(struct message *m)
{
    struct message_field *stand_in, *f = m->first;
    size_t n = 0;

    while (f != NULL && n < OWN_AMONG && !has_id(f, m->id)) {
        f = f->next;
        n++;
    }
    if (f != NULL && n < OWN_AMONG) {
        f->own = true;
        for (f = m->first; is_of_delivery(f); f = f->next)
            f->own = true;
        m->top = f;
        return true;
    }
    stand_in = arena_get(m->arena, sizeof *stand_in);
    if (stand_in == NULL)
        return false;
    *stand_in = (struct message_field){.next = m->first, .own = true};
    m->first = m->top = stand_in;
    return true;
}

static enum message_result read_fields(struct message *m)
{
    struct message_field **last = &m->first;
    struct span start, rest, field;

    if (!read_start(m, &start))
        return errno == ENOMEM ? MESSAGE_TOO_LARGE : MESSAGE_UNREADABLE;
    m->crlf = span_find(start, '\n') > 0 && span_find(start, '\n') < start.n &&
              start.p[span_find(start, '\n') - 1] == '\r';
    m->mark = span_first(start, smtp_header_mark(start));
    rest = span_from(start, m->mark.n);
    while (smtp_header_next(&rest, &field)) {
        *last = take_field(m, field);
        if (*last == NULL)
            return MESSAGE_TOO_LARGE;
        last = &(*last)->next;
    }
    /* A header that goes on behind what was read: none of it may be taken for the body. */
    if (span_find(rest, '\n') == rest.n && start.n < m->size)
        return MESSAGE_TOO_LARGE;
    if (rest.n > 0 && rest.p[0] == '\n')
        rest = span_from(rest, 1);
    else if (rest.n > 1 && rest.p[0] == '\r' && rest.p[1] == '\n')
        rest = span_from(rest, 2);
    m->body = start.n - rest.n;
    return find_own(m) ? MESSAGE_OK : MESSAGE_TOO_LARGE;
}

enum message_result message_open(struct message *m, int in)
{
    off_t size;

    m->fd = in;
    m->first = m->top = NULL;
    m->header = 0;
    m->changed = m->replaced = false;
    m->mark = (struct span){0};
    if (lseek(in, 0, SEEK_SET) != 0 && (errno == EBADF || (m->fd = copy_of(m, in)) < 0))
        return MESSAGE_UNREADABLE;
    size = lseek(m->fd, 0, SEEK_END);
    if (size < 0 || lseek(m->fd, 0, SEEK_SET) != 0)
        return MESSAGE_UNREADABLE;
    m->size = (uint64_t)size;
    return read_fields(m);
}

struct message_field *message_visible(struct message_field *f)
{
    while (f != NULL && f->own)
        f = f->next;
    return f;
}

bool message_part(struct message *m)
{
    struct message_field **last = &m->first;

    for (const struct message_field *f = m->first; f != NULL; f = f->next) {
        struct message_field *copy = arena_get(m->arena, sizeof *copy);

        if (copy == NULL)
            return false;
        *copy = *f;
        if (m->top == f)
            m->top = copy;
        *last = copy;
        last = &copy->next;
    }
    return true;
}

/* Puts it where *place points now. */
static bool put(struct message *m, struct message_field **place, struct span name,
                struct span value)
{
    struct message_field *f = make_field(m, name, value);

    if (f == NULL)
        return false;
    f->next = *place;
    *place = f;
    m->changed = true;
    return true;
}

bool message_add(struct message *m, struct span name, struct span value)
{
    struct message_field **place = &m->first;

    while (*place != NULL)
        place = &(*place)->next;
    return put(m, place, name, value);
}

bool message_insert(struct message *m, uint32_t index, struct span name, struct span value)
{
    struct message_field **place = &m->first;
    const bool at_top = index == 0;

    while (*place != m->top)
        place = &(*place)->next;
    for (; index > 0 && *place != NULL; index--)
        place = &(*place)->next;
    if (!put(m, place, name, value))
        return false;
    if (at_top)
        m->top = *place;
    return true;
}

bool message_change(struct message *m, uint32_t index, struct span name, struct span value)
{
    struct message_field **place = &m->first;

    for (index = index == 0 ? 1 : index; *place != NULL; place = &(*place)->next) {
        if ((*place)->own || !span_eq_nocase(message_name(*place), name) || --index > 0)
            continue;
        m->header -= (*place)->text.n + 1;
        /* The new one stands at the top where the old one did. */
        if (m->top == *place)
            m->top = (*place)->next;
        *place = (*place)->next;
        m->changed = true;
        if (value.n == 0)
            return true;
        if (!put(m, place, name, value))
            return false;
        if (m->top == (*place)->next)
            m->top = *place;
        return true;
    }
    return value.n == 0 || message_add(m, name, value);
}

bool message_return_path(struct message *m, struct span address)
{
    for (struct message_field **place = &m->first; *place != NULL; place = &(*place)->next) {
        char room[1024];
        struct text value = TEXT(room);

        if (!(*place)->own || !span_eq_nocase(message_name(*place), SPAN("Return-Path")))
            continue;
        text_adds(&value, " <");
        text_add(&value, address);
        text_addc(&value, '>');
        m->header -= (*place)->text.n + 1;
        *place = (*place)->next;
        if (value.cut || !put(m, place, SPAN("Return-Path"), text_span(&value)))
            return false;
        (*place)->own = true;
        return true;
    }
    return true;
}

ptrdiff_t message_read_body(const struct message *m, uint64_t *at, char *out, size_t room)
{
    const int fd = m->replaced ? m->spool.fd : m->fd;
    const uint64_t from = (m->replaced ? 0 : m->body) + *at;
    const bool as_is = m->crlf || m->binary;
    const size_t want = as_is ? room : room / 2;
    char *in = out + room - want;
    const ssize_t got = read_at(fd, in, want, from);
    size_t n = 0;

    if (got <= 0)
        return got;
    *at += (uint64_t)got;
    if (as_is)
        return got;
    /* What is read lies behind what is written, which has at most an octet more for each. */
    for (struct span rest = {.p = in, .n = (size_t)got}; rest.n > 0;) {
        const size_t end = span_find(rest, '\n');

        memmove(out + n, rest.p, end);
        n += end;
        if (end < rest.n) {
            out[n++] = '\r';
            out[n++] = '\n';
        }
        rest = span_from(rest, end + 1);
    }
    return (ptrdiff_t)n;
}

void message_take_body(struct message *m, const struct spool *spool)
{
    if (m->replaced)
        spool_close(&m->spool);
    m->spool = *spool;
    m->replaced = true;
}

/* The header as it is now, with the empty line. */
static struct span write_head(const struct message *m)
{
    const size_t most = m->mark.n + (size_t)m->header + 16;
    struct text t = {.p = NULL};
    size_t lines = 0;

    for (const struct message_field *f = m->first; f != NULL; f = f->next)
        lines += span_count(f->text, '\n') + 1;
    t.cap = most + lines;
    t.p = arena_get(m->arena, t.cap);
    if (t.p == NULL)
        return (struct span){0};
    text_add(&t, m->mark);
    for (const struct message_field *f = m->first; f != NULL; f = f->next) {
        struct span rest = f->text;

        while (rest.n > 0) {
            const struct span line = span_first(rest, span_find(rest, '\n'));

            text_add(&t, line);
            text_adds(&t, m->crlf ? "\r\n" : "\n");
            rest = span_from(rest, line.n + 1);
        }
    }
    text_adds(&t, m->crlf ? "\r\n" : "\n");
    if (t.cut)
        return (struct span){0};
    return text_span(&t);
}

int message_finish(struct message *m)
{
    char buffer[MESSAGE_BUFFER];
    struct spool whole = new_spool(m, buffer);
    struct span head;

    if (!m->changed && !m->replaced)
        return lseek(m->fd, 0, SEEK_SET) == 0 ? m->fd : -1;
    head = write_head(m);
    errno = ENOMEM;
    if (head.p == NULL)
        return -1;
    if (m->replaced)
        return spool_copy(&m->spool, head);
    whole.size = m->size;
    whole.in_file = m->size > whole.memory;
    whole.fd = dup(m->fd); /* which the spool closes */
    if (whole.fd >= 0 && spool_replace(&whole, m->body, head))
        return whole.fd;
    spool_close(&whole);
    return -1;
}
