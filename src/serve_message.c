/* A message on its way in: after DATA up to its end, or in chunks. */
#include "serve_state.h"

#include "io/clock.h"
#include "serve_wire.h"

enum {
    SCRAP = 64,      /* octets for what is thrown away */
    STRAIGHT = 4096, /* of a chunk, that are not worth a copy */
};

/* Decodes `in` into the spool; what can't be stored is read on all the same, so that its text never
 * becomes commands. Returns how many octets were taken. */
static size_t decode(struct serve *s, struct span in)
{
    struct smtp_data *data = &s->data;
    const size_t before = in.n;
    char scrap[SCRAP];

    while (in.n > 0 && !smtp_data_is_over(data)) {
        size_t room = sizeof scrap;
        char *at =
            data->fault == SMTP_DATA_FINE ? services_message_room(&s->services, &room) : scrap;

        if (at == NULL)
            data->fault = SMTP_DATA_NO_SPOOL;
        else if (data->fault == SMTP_DATA_FINE)
            services_add_octets(&s->services, smtp_data_decode(data, &in, at, room));
        else
            smtp_data_decode(data, &in, scrap, sizeof scrap);
    }
    return before - in.n;
}

/* Whatever came. */
static void decode_unread(struct serve *s)
{
    const struct span unread = wire_unread(&s->wire);
    const size_t n = decode(s, unread);

    recorder_text(&s->services.backend.recorder, span_first(unread, n));
    wire_used(&s->wire, n);
    wire_tidy(&s->wire);
}

/* What does not buy a whole millisecond yet is not forgotten. */
static void grant_time(struct serve *s, uint64_t *deadline, uint64_t octets)
{
    const uint64_t rate = s->config->min_data_rate;

    s->credit += octets * 1000;
    *deadline = earlier(*deadline + s->credit / rate, clock_now() + s->config->data_timeout);
    s->credit %= rate;
}

/* Time for the message: data_timeout, and a second more for each min_data_rate octets that came.
 * Who sends faster than that may take as long as the session; who trickles gets data_timeout. */
static enum wire_result fill_data(struct serve *s, uint64_t *deadline)
{
    const size_t before = wire_unread(&s->wire).n;
    const uint64_t timeout = s->config->data_timeout, rate = s->config->min_data_rate;
    enum wire_result filled = serve_fill(s, deadline, timeout, "data");

    if (filled == WIRE_STOP) {
        serve_begin_to_stop(s);
        filled = wire_fill(&s->wire, earlier(*deadline, s->session_deadline));
    }
    if (rate == 0)
        *deadline = 0;
    if (*deadline == 0)
        return filled;
    grant_time(s, deadline, wire_unread(&s->wire).n - before);
    return filled;
}

static void begin_message(struct serve *s)
{
    smtp_session_decoder(&s->session, &s->data);
    s->data.crlf = s->config->line_ending;
    s->collecting = true;
    s->chunks_deadline = 0;
    if (!services_begin_message(&s->services))
        s->data.fault = SMTP_DATA_NO_SPOOL;
}

static void finish_message(struct serve *s)
{
    services_finish_message(&s->services, &s->data);
    s->collecting = false;
}

static enum smtp_want too_late(struct serve *s, enum wire_result filled)
{
    return serve_give_up(s, filled,
                         s->config->min_data_rate > 0 ? SMTP_REPLY_TOO_SLOW : SMTP_REPLY_TIMEOUT);
}

enum smtp_want serve_collect(struct serve *s)
{
    uint64_t deadline = 0;
    enum wire_result filled = WIRE_OK;

    begin_message(s);
    decode_unread(s);
    while (!smtp_data_is_over(&s->data) && filled == WIRE_OK) {
        filled = fill_data(s, &deadline);
        if (filled == WIRE_OK)
            decode_unread(s);
    }
    recorder_message(&s->services.backend.recorder, &s->data);
    finish_message(s);
    return filled == WIRE_OK ? smtp_session_collected(&s->session, &s->data) : too_late(s, filled);
}

/* The next octets of the chunk, as far as they are there. Returns how many of it are left. */
static uint64_t take_unread(struct serve *s, uint64_t left)
{
    const size_t most = left < SIZE_MAX ? (size_t)left : SIZE_MAX;
    const struct span now = span_first(wire_unread(&s->wire), most);

    if (!s->session.chunk.refused)
        decode(s, now);
    recorder_text(&s->services.backend.recorder, now);
    wire_used(&s->wire, now.n);
    wire_tidy(&s->wire);
    return left - now.n;
}

/* Straight into the spool, without the wire's buffer between. Nothing else writes there before it
 * is read: what is sent meanwhile has gone by then. */
static enum wire_result pass_octets(struct serve *s, uint64_t *deadline, uint64_t *left)
{
    char *const buffer = s->wire.buffer;
    size_t room, n;
    enum wire_result filled;
    char *const at = services_message_room(&s->services, &room);

    if (at == NULL) {
        s->data.fault = SMTP_DATA_NO_SPOOL;
        return WIRE_OK;
    }
    wire_read_into(&s->wire, at, *left < room ? (size_t)*left : room, 0);
    filled = fill_data(s, deadline);
    n = wire_unread(&s->wire).n;
    recorder_text(&s->services.backend.recorder, wire_unread(&s->wire));
    wire_read_into(&s->wire, buffer, SERVE_READ_MAX, SERVE_AHEAD_MAX);
    services_add_octets(&s->services, n);
    smtp_data_pass(&s->data, n);
    *left -= n;
    return filled;
}

/* More of the chunk, of which nothing unread is left. A reply that waits goes first: what comes
 * meanwhile is read as any other octets. */
static enum wire_result take_more(struct serve *s, uint64_t *deadline, uint64_t *left)
{
    const bool straight =
        !s->session.chunk.refused && smtp_data_passes(&s->data) && *left >= STRAIGHT;
    enum wire_result filled = straight ? serve_flush(s) : fill_data(s, deadline);
    const size_t came = wire_unread(&s->wire).n;

    if (filled != WIRE_OK)
        return filled;
    if (straight && came == 0)
        return pass_octets(s, deadline, left);
    if (straight && *deadline > 0)
        grant_time(s, deadline, came);
    *left = take_unread(s, *left);
    return filled;
}

/* A message's time goes on from chunk to chunk: many small ones buy no more of it. 0: as long as
 * each wait is short enough (min_data_rate = 0). */
static uint64_t chunks_deadline(const struct serve *s)
{
    if (s->config->min_data_rate == 0)
        return 0;
    return s->chunks_deadline > 0 ? s->chunks_deadline : clock_now() + s->config->data_timeout;
}

/* The last line may still want its end. */
static void finish_chunks(struct serve *s)
{
    size_t room;
    char *at = services_message_room(&s->services, &room);

    if (at == NULL)
        s->data.fault = SMTP_DATA_NO_SPOOL;
    else
        services_add_octets(&s->services, smtp_data_finish(&s->data, at));
}

/* A fault is the message's end, too: nothing of it is kept, and no more of it comes. Its size is
 * then what its chunks had: nobody has counted behind the fault. */
static void keep_or_finish(struct serve *s, bool last)
{
    s->data.ended = last || s->data.fault != SMTP_DATA_FINE;
    if (s->data.fault != SMTP_DATA_FINE)
        s->data.size = s->session.transaction.chunked;
    if (s->data.ended)
        finish_message(s);
    else
        services_keep_message(&s->services);
}

enum smtp_want serve_take_chunk(struct serve *s)
{
    const struct smtp_chunk *chunk = &s->session.chunk;
    const bool refused = chunk->refused;
    enum wire_result filled = WIRE_OK;
    struct smtp_data before, after;
    uint64_t deadline, left;

    if (!refused && !s->collecting)
        begin_message(s);
    before = s->data;
    deadline = refused ? 0 : chunks_deadline(s);
    if (deadline > 0 && clock_left(deadline) == 0)
        return too_late(s, WIRE_TIMEOUT);
    left = take_unread(s, chunk->size);
    if (deadline > 0)
        grant_time(s, &deadline, chunk->size - left);
    while (left > 0 && filled == WIRE_OK)
        filled = take_more(s, &deadline, &left);
    after = s->data;
    if (filled == WIRE_OK && !refused && chunk->last && s->data.fault == SMTP_DATA_FINE)
        finish_chunks(s);
    after.fault = s->data.fault;
    recorder_chunk(&s->services.backend.recorder, chunk->size - left, &before,
                   refused ? NULL : &after);
    if (filled != WIRE_OK)
        return too_late(s, filled);
    if (!refused) {
        s->chunks_deadline = deadline;
        keep_or_finish(s, chunk->last);
    }
    return smtp_session_chunk(&s->session, &s->data);
}

void serve_drop_unfinished(struct serve *s, enum smtp_want want)
{
    if (s->session.phase == SMTP_CHUNKS && want != SMTP_NEXT_CLOSE)
        return;
    finish_message(s); /* it has not ended */
}
