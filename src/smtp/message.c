/* A message from its first octet to its results: the part of session.h behind DATA and BDAT. */
#include "smtp/session.h"

void smtp_session_decoder(const struct smtp_session *s, struct smtp_data *data)
{
    const bool chunked = s->phase == SMTP_CHUNKS;

    *data = (struct smtp_data){
        .max_size = s->options->max_message_size,
        .max_line = s->options->max_text_line,
        .max_received = s->options->max_received,
        .normalize = s->options->normalize,
        .chunked = chunked,
        .exact = chunked && s->transaction.body == SMTP_BODY_BINARYMIME,
    };
}

/* LMTP has a reply for each recipient whatever becomes of the message (RFC 2033 4.2). */
static enum smtp_want refuse_all(struct smtp_session *s, const struct smtp_reply *reply)
{
    for (struct smtp_recipient *r = s->transaction.first; r != NULL; r = r->next) {
        r->result = *reply;
        r->result.close = reply->close && r->next == NULL;
    }
    s->reporting = s->transaction.first;
    return smtp_session_more(s);
}

/* What is wrong with the message as a whole. */
static struct smtp_reply reply_to(const struct smtp_data *data)
{
    static const enum smtp_reply_id ids[] = {
        [SMTP_DATA_FINE] = SMTP_REPLY_OK,
        [SMTP_DATA_TOO_LARGE] = SMTP_REPLY_TOO_LARGE,
        [SMTP_DATA_LOOP] = SMTP_REPLY_DATA_LOOP,
        [SMTP_DATA_LONG_LINE] = SMTP_REPLY_DATA_LONG_LINE,
        [SMTP_DATA_NO_SPOOL] = SMTP_REPLY_NO_SPOOL,
        [SMTP_DATA_BARE_LF] = SMTP_REPLY_DATA_BARE_LF,
        [SMTP_DATA_BARE_CR] = SMTP_REPLY_DATA_BARE_CR,
    };
    struct smtp_reply reply = *smtp_reply(ids[data->fault]);

    /* Behind a chunk, whatever it holds, a command begins. */
    reply.close = reply.close && !data->chunked;
    return reply;
}

static enum smtp_want refuse_message(struct smtp_session *s, const struct smtp_reply *reply)
{
    const uint64_t errors = s->errors;
    const enum smtp_want want = smtp_say_foreign(s, reply);

    smtp_forget_transaction(s);
    return smtp_forgive(s, errors, want); /* a message that is refused is no mistake */
}

enum smtp_want smtp_session_collected(struct smtp_session *s, const struct smtp_data *data)
{
    struct smtp_reply reply;

    smtp_begin_step(s);
    /* End of file never means complete: a message that has no end is no message, and nobody is
     * there to hear a reply. */
    if (!smtp_data_is_over(data))
        return SMTP_NEXT_CLOSE;
    if (data->fault == SMTP_DATA_FINE)
        return SMTP_NEXT_DELIVERY;
    reply = reply_to(data);
    return s->options->lmtp ? refuse_all(s, &reply) : refuse_message(s, &reply);
}

/* Behind a chunk that has failed, those that the client had sent already are no mistakes. */
static enum smtp_want misplaced_chunk(struct smtp_session *s, const struct smtp_chunk *chunk)
{
    const uint64_t errors = s->errors;
    struct smtp_reply reply = chunk->reply;
    enum smtp_want want;

    if (s->chunk_failed == 0 || s->commands != s->chunk_failed + 1)
        return smtp_say_reply(s, &reply, chunk->argument);
    s->chunk_failed = s->commands;
    reply.rule = NULL;
    want = smtp_say_reply(s, &reply, chunk->argument);
    return smtp_forgive(s, errors, want);
}

enum smtp_want smtp_session_chunk(struct smtp_session *s, const struct smtp_data *data)
{
    const struct smtp_chunk chunk = s->chunk;
    const bool refused = chunk.refused;
    const struct smtp_reply reply = refused ? chunk.reply : reply_to(data);

    smtp_begin_step(s);
    s->chunk = (struct smtp_chunk){.comes = false};
    if (chunk.keeps)
        return misplaced_chunk(s, &chunk);
    if (!refused && data->fault == SMTP_DATA_FINE)
        return chunk.last ? SMTP_NEXT_DELIVERY : smtp_say(s, SMTP_REPLY_OK, SPAN(""));
    /* RFC 3030 2: the transaction has failed; the chunks that are on their way hear 503. */
    s->chunk_failed = s->commands;
    return s->options->lmtp && chunk.last ? refuse_all(s, &reply) : refuse_message(s, &reply);
}

/* The last reply of PRDR, for the message: it has been taken when one recipient has it. */
static const struct smtp_reply *overall_result(const struct smtp_transaction *t)
{
    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        if (r->result.code < 400)
            return smtp_reply(SMTP_REPLY_OK);
    return smtp_merged_result(t->first);
}

static enum smtp_want say_result(struct smtp_session *s, const struct smtp_reply *result)
{
    const uint64_t errors = s->errors;
    const enum smtp_want want = smtp_say_foreign(s, result); /* a command's text may be */

    /* What became of a message is no mistake of the client's. */
    return smtp_forgive(s, errors, want);
}

static enum smtp_want say_last_result(struct smtp_session *s, const struct smtp_reply *result)
{
    const enum smtp_want want = say_result(s, result);

    /* Who sends mail that is taken is no guesser: its mistakes are counted anew. */
    if (result->code < 400)
        s->errors = s->refused_recipients = 0;
    smtp_forget_transaction(s);
    return want;
}

enum smtp_want smtp_session_more(struct smtp_session *s)
{
    const struct smtp_recipient *r = s->reporting;
    enum smtp_want want = SMTP_NEXT_MORE;

    smtp_begin_step(s);
    if (r == NULL) {
        want = say_last_result(s, overall_result(&s->transaction));
    } else {
        s->judged = r->mailbox.address;
        s->reporting = r->next;
        if (s->reporting == NULL && !s->transaction.prdr)
            want = say_last_result(s, &r->result);
        else
            say_result(s, &r->result);
    }
    return want;
}

enum smtp_want smtp_session_delivered(struct smtp_session *s)
{
    struct smtp_transaction *t = &s->transaction;

    smtp_begin_step(s);
    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next)
        if (r->result.code < 400) {
            s->messages++;
            break;
        }
    s->reporting = t->first;
    if (s->options->lmtp)
        return smtp_session_more(s);
    /* PRDR, as Exim speaks it: 353, each recipient's reply, one for the message; with a single
     * recipient there is nothing to tell apart. */
    if (t->prdr && t->recipients > 1) {
        smtp_say(s, SMTP_REPLY_START_REPORT, SPAN(""));
        return SMTP_NEXT_MORE;
    }
    /* One reply for all recipients: RFC 5321 4.2.5 knows no other. */
    return say_last_result(s, smtp_merged_result(t->first));
}

bool smtp_session_hears_each(const struct smtp_session *s)
{
    return s->options->lmtp || s->transaction.prdr || s->transaction.recipients == 1;
}
