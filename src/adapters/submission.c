#include "adapters/submission.h"

#include "smtp/header.h"
#include "smtp/trace.h"

enum {
    HEADER_USUAL = 64 * 1024,
    ADDED_MAX = 512, /* octets of fields that are added */
};

/* What a message begins with. */
struct contents {
    bool text; /* with no field, nor with the empty line below them */
    bool date, message_id, from, blind;
    bool hidden; /* Bcc: stands behind a line that is no field, which ends them */
    size_t mark; /* an mbox file's, before the fields */
    size_t end;  /* where the fields end */
};

/* Who is not to be seen (RFC 5322 3.6.3, 3.6.6). */
static bool is_blind(struct span field)
{
    return smtp_header_is(field, SPAN("Bcc")) || smtp_header_is(field, SPAN("Resent-Bcc"));
}

/* The fields have ended. Where no empty line ends them, programs that read on find more of them. */
static bool hides_blind(struct span left)
{
    while (left.n > 0 && left.p[0] != '\n' && left.p[0] != '\r') {
        if (is_blind(left))
            return true;
        left = span_from(left, span_find(left, '\n') + 1);
    }
    return false;
}

/* `whole`: no more octets follow. False: the header may go on behind these. */
static bool look(struct contents *c, struct span message, bool whole)
{
    struct span left, field;

    *c = (struct contents){.text = smtp_header_start(message, true) == SMTP_START_TEXT};
    if (c->text)
        return true;
    c->mark = smtp_header_mark(message);
    left = span_from(message, c->mark);
    while (smtp_header_next(&left, &field)) {
        c->date = c->date || smtp_header_is(field, SPAN("Date"));
        c->message_id = c->message_id || smtp_header_is(field, SPAN("Message-ID"));
        c->from = c->from || smtp_header_is(field, SPAN("From"));
        c->blind = c->blind || is_blind(field);
    }
    c->end = message.n - left.n;
    c->hidden = hides_blind(left);
    return whole || span_find(left, '\n') < left.n;
}

/* The message, as far as its header goes, and what is in there. */
static enum submission_result read_header(struct contents *c, const struct spool *spool,
                                          size_t head, struct arena *a, struct span *out)
{
    static const size_t windows[] = {HEADER_USUAL, SUBMISSION_HEADER_MAX};

    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        const size_t most = head + windows[i];
        char *room = arena_get(a, most);

        if (room == NULL)
            return SUBMISSION_NO_ROOM;
        *out = spool_start(spool, 0, room, most);
        if (out->n < most && out->n < spool->size)
            return SUBMISSION_NO_ROOM; /* it could not be read */
        if (look(c, span_from(*out, head), out->n == spool->size))
            return SUBMISSION_FINE;
    }
    return SUBMISSION_TOO_LONG;
}

static struct span line_end(const struct head_facts *f)
{
    return head_line_end(f->config, f->session);
}

static void end_line(const struct head_facts *f, struct text *out)
{
    text_add(out, line_end(f));
}

static void add_fields(const struct head_facts *f, const struct contents *c, struct text *out)
{
    const uint64_t wanted = f->config->add_header;

    if (wanted & CONFIG_ADD_DATE && !c->date) {
        text_adds(out, "Date: ");
        smtp_trace_date(out, f->time);
        end_line(f, out);
    }
    if (wanted & CONFIG_ADD_MESSAGE_ID && !c->message_id) {
        text_adds(out, "Message-ID: <");
        text_add(out, f->id);
        text_addc(out, '@');
        text_add(out, f->config->smtp.hostname);
        text_addc(out, '>');
        end_line(f, out);
    }
}

static void add_others(struct span fields, struct text *out)
{
    struct span field;

    while (smtp_header_next(&fields, &field))
        if (!is_blind(field))
            text_add(out, field);
}

/* The message's new beginning, instead of its first *replaced octets; of those, *head are ours.
 * False: there is nothing to be changed. */
static bool write_start(const struct head_facts *f, const struct contents *c, struct span start,
                        struct text *out, size_t *replaced, size_t *head)
{
    const bool strip = c->blind && f->session->authenticated && !f->config->keep_bcc;
    /* Before text, an empty line of ours is the end of what is ours. */
    const size_t empty = c->text && *head > 0 ? line_end(f).n : 0;
    const size_t above = *head - empty + c->mark;

    text_add(out, span_first(start, above));
    add_fields(f, c, out);
    if (out->n == above && !strip)
        return false;
    if (c->text && empty == 0)
        end_line(f, out);
    *replaced = strip ? *head + c->end : above;
    if (c->mark == 0)
        *head += out->n - above;
    if (strip)
        add_others(span_from(span_first(start, *replaced), above), out);
    return true;
}

/* False: no room. */
static bool change(const struct head_facts *f, const struct contents *c, struct span start,
                   struct spool *spool, size_t *head, struct arena *a)
{
    struct text out = {.cap = *head + c->end + ADDED_MAX};
    size_t ours = *head, replaced;

    out.p = arena_get(a, out.cap);
    if (out.p == NULL)
        return false;
    if (write_start(f, c, start, &out, &replaced, &ours) &&
        !spool_replace(spool, replaced, text_span(&out)))
        return false;
    *head = ours;
    return true;
}

enum submission_result submission_fix(const struct head_facts *f, struct spool *spool, size_t *head,
                                      struct arena *a)
{
    const struct config *config = f->config;
    const bool strips = f->session->authenticated && !config->keep_bcc;
    const size_t used = a->used;
    enum submission_result result;
    struct contents c;
    struct span start;

    if (!strips && config->add_header == 0 && !config->require_from)
        return SUBMISSION_FINE;
    result = read_header(&c, spool, *head, a, &start);
    if (result == SUBMISSION_FINE && config->require_from && !c.from)
        result = SUBMISSION_REFUSED;
    if (result == SUBMISSION_FINE && strips && c.hidden)
        result = SUBMISSION_BROKEN;
    if (result == SUBMISSION_FINE && !change(f, &c, start, spool, head, a))
        result = SUBMISSION_NO_ROOM;
    a->used = used;
    return result;
}

const struct smtp_reply *submission_reply(enum submission_result result, const char **note)
{
    *note = NULL;
    switch (result) {
    case SUBMISSION_FINE:
        return NULL;
    case SUBMISSION_REFUSED:
        *note = "require_from";
        return smtp_reply(SMTP_REPLY_NO_AUTHOR);
    case SUBMISSION_BROKEN:
        *note = "header_end";
        return smtp_reply(SMTP_REPLY_DATA_HEADER_END);
    case SUBMISSION_TOO_LONG:
        *note = "header_size";
        return smtp_reply(SMTP_REPLY_TOO_LARGE);
    default:
        return smtp_reply(SMTP_REPLY_NO_SPOOL);
    }
}
