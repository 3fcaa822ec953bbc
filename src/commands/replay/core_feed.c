#include "adapters/deliver.h"
#include "commands/replay/core_login.h"
#include "commands/replay/core_state.h"

#include <string.h>

struct head_facts core_facts(const struct server *s)
{
    return (struct head_facts){
        .config = &s->config,
        .session = &s->session,
        .peer = &s->peer,
        .id = text_span(&s->id),
        .time = s->config.fixed_time,
        .prepended = rules_prepended(&s->rules),
    };
}

static void begin_message(struct server *s)
{
    struct head_facts f;

    s->collecting = true;
    smtp_session_decoder(&s->session, &s->data);
    s->data.crlf = s->config.line_ending;
    digest_open(&s->digest, &s->config, &s->session.transaction);
    s->id = TEXT(s->id_room);
    text_add(&s->id, s->config.fixed_id);
    text_addc(&s->id, '-');
    text_addn(&s->id, ++s->messages, 1);
    f = core_facts(s);
    s->message.n = 0;
    head_write(&s->message, &f, deliver_common_fields(&s->config),
               head_only_recipient(&s->session));
    s->head = s->message.n;
}

static void use(struct server *s, size_t n)
{
    s->in.n -= n;
    memmove(s->in.p, s->in.p + n, s->in.n);
}

bool core_feed_greeting(struct server *s)
{
    const bool early = s->in.n > 0;

    if (!early && !s->greeted && !s->ended && !rules_is_near(&s->rules))
        return false;
    s->want = smtp_session_greet(&s->session, early);
    return true;
}

bool core_feed_line(struct server *s)
{
    struct span line;
    size_t used;
    const enum smtp_line_result found = smtp_line_scan(&s->line, text_span(&s->in), &line, &used);

    s->session.followed = s->config.smtp.unexpected_pipelining == 1 && s->in.n > used;
    if (found == SMTP_LINE_READY)
        s->want = smtp_session_line(&s->session, line);
    else if (found != SMTP_LINE_MORE)
        s->want = smtp_session_bad_line(&s->session, found);
    if (s->want == SMTP_NEXT_LOGIN) { /* about what stands in the line */
        s->want = core_login(&s->auth, &s->session);
        s->line.most = s->login.going_on ? SMTP_AUTH_LINE_MAX + 2 : 0;
    }
    use(s, used);
    /* What RSET or another command has ended, is none. */
    s->collecting = s->collecting && s->session.phase == SMTP_CHUNKS;
    return found != SMTP_LINE_MORE;
}

static void decode(struct server *s, struct span in)
{
    const size_t before = in.n;
    char scrap[64];

    while (in.n > 0 && !smtp_data_is_over(&s->data)) {
        if (s->message.cap - s->message.n < 2 && s->data.fault == SMTP_DATA_FINE)
            s->data.fault = SMTP_DATA_NO_SPOOL;
        if (s->data.fault == SMTP_DATA_FINE)
            s->message.n += smtp_data_decode(&s->data, &in, s->message.p + s->message.n,
                                             s->message.cap - s->message.n);
        else
            smtp_data_decode(&s->data, &in, scrap, sizeof scrap);
    }
    use(s, before - in.n);
}

bool core_feed_data(struct server *s)
{
    if (!s->collecting)
        begin_message(s);
    decode(s, text_span(&s->in));
    if (!smtp_data_is_over(&s->data) && !s->ended)
        return false;
    s->collecting = false;
    s->want = smtp_session_collected(&s->session, &s->data);
    return true;
}

static void finish_chunks(struct server *s)
{
    if (s->message.cap - s->message.n < 2)
        s->data.fault = SMTP_DATA_NO_SPOOL;
    else
        s->message.n += smtp_data_finish(&s->data, s->message.p + s->message.n);
}

bool core_feed_chunk(struct server *s)
{
    const struct smtp_chunk *chunk = &s->session.chunk;
    const struct span now = span_first(text_span(&s->in), (size_t)(chunk->size - s->taken));

    if (!chunk->refused && !s->collecting)
        begin_message(s);
    s->taken += now.n;
    if (chunk->refused || s->data.fault != SMTP_DATA_FINE)
        use(s, now.n);
    else
        decode(s, now);
    if (s->taken < chunk->size && s->ended)
        s->want = smtp_session_gone(&s->session);
    if (s->taken < chunk->size)
        return s->ended;
    s->taken = 0;
    if (!chunk->refused && chunk->last && s->data.fault == SMTP_DATA_FINE)
        finish_chunks(s);
    s->want = smtp_session_chunk(&s->session, &s->data);
    s->collecting = s->session.phase == SMTP_CHUNKS &&
                    (s->want == SMTP_NEXT_LINE || s->want == SMTP_NEXT_PAUSE);
    return true;
}
