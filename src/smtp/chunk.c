#include "smtp/chunk.h"

#include "base/number.h"

/* chunk-size = 1*DIGIT; LAST in either case (RFC 3030 2). */
static enum number_result parse(struct span argument, struct smtp_chunk *chunk)
{
    const struct span size = span_first(argument, span_find(argument, ' '));
    const struct span rest = span_from(argument, size.n);

    *chunk = (struct smtp_chunk){.comes = true, .last = rest.n > 0};
    if (rest.n > 0 && !span_eq_nocase(rest, SPAN(" LAST")))
        return NUMBER_SYNTAX;
    return number_parse(size, UINT64_MAX, &chunk->size);
}

enum smtp_want smtp_bad_chunk(struct smtp_session *s)
{
    return smtp_say(s, SMTP_REPLY_BAD_CHUNK, SPAN("BDAT octets [LAST]"));
}

bool smtp_read_chunk(struct smtp_session *s, struct span argument)
{
    switch (parse(argument, &s->chunk)) {
    case NUMBER_OK:
        return true;
    case NUMBER_TOO_BIG:
        smtp_say(s, SMTP_REPLY_MUCH_DISCARDED, SPAN(""));
        return false;
    default:
        smtp_bad_chunk(s);
        return false;
    }
}

/* SMTP_NEXT_CHUNK, for nothing; but not for as many octets as a client likes. */
static enum smtp_want discard(struct smtp_session *s)
{
    struct smtp_chunk *c = &s->chunk;

    c->refused = true;
    if (c->size > s->options->max_discarded_size - s->discarded) {
        c->comes = false;
        smtp_forget_transaction(s);
        return smtp_say(s, SMTP_REPLY_MUCH_DISCARDED, SPAN(""));
    }
    s->discarded += c->size;
    return SMTP_NEXT_CHUNK;
}

enum smtp_want smtp_refuse_chunk(struct smtp_session *s, const struct smtp_reply *reply)
{
    s->chunk.reply = *reply;
    return discard(s);
}

enum smtp_want smtp_misplaced_chunk(struct smtp_session *s, enum smtp_reply_id why,
                                    struct span argument)
{
    s->chunk.keeps = true;
    s->chunk.reply = *smtp_reply(s->options->chunking ? why : SMTP_REPLY_NO_BDAT);
    s->chunk.argument = argument;
    return discard(s);
}

enum smtp_want smtp_begin_chunks(struct smtp_session *s)
{
    s->phase = SMTP_CHUNKS;
    s->transaction.chunked += s->chunk.size;
    return SMTP_NEXT_CHUNK;
}

enum smtp_want smtp_bdat(struct smtp_session *s, struct span argument)
{
    (void)argument;
    if (!s->options->chunking)
        return smtp_misplaced_chunk(s, SMTP_REPLY_NO_BDAT, SPAN(""));
    /* Its octets are no more than the message's, however these are counted. */
    if (s->chunk.size > s->options->max_message_size - s->transaction.chunked)
        return smtp_refuse_chunk(s, smtp_reply(SMTP_REPLY_TOO_LARGE));
    if (s->phase == SMTP_RCPT && s->options->decide_at & SMTP_ABOUT_DATA)
        return smtp_ask(s, SMTP_ABOUT_DATA);
    return smtp_begin_chunks(s);
}
