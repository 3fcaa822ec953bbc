/* BDAT: what it makes of a message, against what RFC 3030 says, and nothing clever. */
#include "drive_state.h"

#include <stdlib.h>
#include <string.h>

static unsigned long put(unsigned long sum, struct span s)
{
    return drive_mix(sum, s.p, s.n);
}

/* The message from its octets: as they are, or by lines, of which the last one gets its end. */
static unsigned long plain_message(struct span raw, bool exact, bool crlf, size_t *size)
{
    const struct span end = crlf ? SPAN("\r\n") : SPAN("\n");
    unsigned long sum = FNV_START;

    *size = raw.n;
    if (exact)
        return put(sum, raw);
    for (*size = 0; raw.n > 0;) {
        const size_t lf = span_find(raw, '\n');
        struct span line = span_first(raw, lf);

        raw = span_from(raw, lf + 1);
        if (lf < line.n + 1 && line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        promise(span_find(line, '\r') == line.n);
        *size += line.n + 2;
        sum = put(put(sum, line), end);
    }
    return sum;
}

static void decode(struct drive *d, struct span in)
{
    text_add(&d->raw, in);
    while (in.n > 0 && !smtp_data_is_over(&d->chunks)) {
        const size_t room = 2 + drive_random(d) % 100;
        char *out = malloc(room);
        const size_t n = smtp_data_decode(&d->chunks, &in, out, room);

        promise(n <= room);
        d->chunks_sum = put(d->chunks_sum, (struct span){.p = out, .n = n});
        free(out);
    }
    promise(in.n == 0);
}

/* All its octets; false: they do not come. */
static bool take_octets(struct drive *d, uint64_t left)
{
    while (left > 0) {
        const struct span now = span_first(drive_unread(d), (size_t)left);

        if (now.n == 0 && !drive_more(d))
            return false;
        if (!d->session.chunk.refused)
            decode(d, now);
        d->start += now.n;
        left -= now.n;
    }
    return true;
}

static void check_message(struct drive *d)
{
    const struct smtp_data *data = &d->chunks;
    size_t size;

    promise(plain_message(text_span(&d->raw), data->exact, data->crlf, &size) == d->chunks_sum);
    promise(size == data->size && size <= d->options.max_message_size);
    d->sums.deliveries =
        drive_mix(d->sums.deliveries, (const char *)&d->chunks_sum, sizeof d->chunks_sum);
}

static void begin(struct drive *d)
{
    smtp_session_decoder(&d->session, &d->chunks);
    d->chunks.crlf = d->in->options & 512;
    promise(d->chunks.chunked && d->model.open && d->model.recipients > 0);
    d->chunks_sum = FNV_START;
    d->raw.n = 0;
    d->in_chunks = true;
}

enum smtp_want drive_take_chunk(struct drive *d)
{
    const struct smtp_chunk chunk = d->session.chunk;
    const size_t recipients = d->model.recipients;
    unsigned code = 0;
    enum smtp_want want;
    size_t n;
    char end[2];

    promise(chunk.comes && d->session.discarded <= d->options.max_discarded_size);
    if (!chunk.refused && !d->in_chunks)
        begin(d);
    if (!take_octets(d, chunk.size))
        return smtp_session_gone(&d->session);
    if (!chunk.refused && chunk.last && d->chunks.fault == SMTP_DATA_FINE) {
        n = smtp_data_finish(&d->chunks, end);
        d->chunks_sum = put(d->chunks_sum, (struct span){.p = end, .n = n});
    }
    want = smtp_session_chunk(&d->session, &d->chunks);
    n = drive_replies(d, &code);
    if (want == SMTP_NEXT_DELIVERY) {
        promise(n == 0 && chunk.last && !chunk.refused);
        check_message(d);
        return want;
    }
    n += drive_replies_to_come(d, &want, &code);
    promise(n == (d->options.lmtp && chunk.last && !chunk.keeps ? recipients : 1));
    promise(want == SMTP_NEXT_LINE || (want == SMTP_NEXT_PAUSE && chunk.keeps));
    promise(code == 250 ? !chunk.refused : code >= 500 || code == 452);
    if (code != 250 && !chunk.keeps)
        drive_forget(&d->model);
    return want;
}
