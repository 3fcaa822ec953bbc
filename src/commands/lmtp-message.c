#include "commands/lmtp.h"

#include "base/text.h"

#include <errno.h>
#include <unistd.h>

/* The next piece of the message; empty at its end. False and errno: it can't be read. */
static bool read_chunk(char *room, size_t size, struct span *chunk)
{
    ssize_t n;

    do
        n = read(0, room, size);
    while (n < 0 && errno == EINTR);
    *chunk = (struct span){.p = room, .n = n < 0 ? 0 : (size_t)n};
    return n >= 0;
}

/* Where an octet of the header stands. */
struct header {
    enum { AT_LINE, AT_NAME, AT_VALUE, AT_BODY } at;
    char name[16];    /* of the field, as far as there is room */
    size_t n;         /* octets of its name */
    bool other;       /* a field that is no trace field has begun */
    bool header_high; /* from then on there was an octet outside ASCII */
};

/* The fields that smtpin itself puts at the top. An address of the envelope is in them as the
 * client wrote it, and must not keep its A-label from being used. */
static bool is_trace_field(const struct header *h)
{
    const struct span name = {.p = h->name, .n = h->n};

    return span_eq_nocase(name, SPAN("Received")) || span_eq_nocase(name, SPAN("Return-Path")) ||
           span_eq_nocase(name, SPAN("Delivered-To"));
}

/* field-name = 1*ftext, %d33-57 / %d59-126 (RFC 5322 3.6.8); blanks before the colon are obsolete
 * (4.5.8). Anything else begins the body: an empty line, or a line of a message without a header.
 */
static void name_octet(struct header *h, char c)
{
    if (c == ':' && h->n > 0) {
        h->at = AT_VALUE;
        h->other = h->other || h->n > sizeof h->name || !is_trace_field(h);
    } else if (c == ':' || byte_is_high(c) || (byte_is_control(c) && c != '\t')) {
        h->at = AT_BODY;
    } else if (!byte_is_blank(c)) {
        if (h->n < sizeof h->name)
            h->name[h->n] = c;
        h->n++;
    }
}

static void header_octet(struct header *h, char c)
{
    if (h->at == AT_LINE) {
        h->at = byte_is_blank(c) ? AT_VALUE : AT_NAME;
        h->n = 0;
    }
    if (h->at == AT_NAME)
        name_octet(h, c);
    else if (c == '\n')
        h->at = AT_LINE;
    else
        h->header_high = h->header_high || (byte_is_high(c) && h->other);
}

bool lmtp_look(bool *high, bool *header_high)
{
    struct header h = {0};
    char room[65536];
    struct span chunk;

    *high = false;
    if (lseek(0, 0, SEEK_SET) != 0)
        return false;
    for (;;) {
        if (!read_chunk(room, sizeof room, &chunk))
            return false;
        if (chunk.n == 0)
            break;
        *high = *high || !span_is_ascii(chunk);
        for (size_t i = 0; i < chunk.n && h.at != AT_BODY; i++)
            header_octet(&h, chunk.p[i]);
    }
    *header_high = h.header_high;
    return true;
}

/* Message bytes with CRLF and stuffed dots (RFC 5321 4.5.2), whatever line ends stdin has. */
struct stuffing {
    bool in_line; /* something of this line has been sent */
    bool cr;      /* a CR is held back: it may belong to the line end */
};

static bool send_run(struct lmtp_session *s, struct span run, struct stuffing *st)
{
    if (run.n == 0)
        return true;
    /* A CR that ended no line goes out as it is; the server judges it. */
    if (st->cr && !lmtp_put(s, SPAN("\r")))
        return false;
    st->in_line = st->in_line || st->cr;
    st->cr = run.p[run.n - 1] == '\r';
    run.n -= st->cr;
    if (!st->in_line && run.n > 0 && run.p[0] == '.' && !lmtp_put(s, SPAN(".")))
        return false;
    st->in_line = st->in_line || run.n > 0;
    return lmtp_put(s, run);
}

static bool send_chunk(struct lmtp_session *s, struct span bytes, struct stuffing *st)
{
    while (bytes.n > 0) {
        const struct span run = span_first(bytes, span_find(bytes, '\n'));

        if (!send_run(s, run, st))
            return false;
        if (run.n < bytes.n) {
            if (!lmtp_put(s, SPAN("\r\n")))
                return false;
            *st = (struct stuffing){0};
        }
        bytes = span_from(bytes, run.n + 1);
    }
    return true;
}

bool lmtp_send_message(struct lmtp_session *s)
{
    char room[65536];
    struct stuffing st = {0};
    struct span chunk;

    if (lseek(0, 0, SEEK_SET) != 0)
        return false;
    for (;;) {
        if (!read_chunk(room, sizeof room, &chunk))
            return false;
        if (chunk.n == 0)
            break;
        if (!send_chunk(s, chunk, &st))
            return false;
    }
    return !(st.in_line || st.cr) || lmtp_puts(s, "\r\n");
}

bool lmtp_send_chunk(struct lmtp_session *s)
{
    const off_t size = lseek(0, 0, SEEK_END);
    char room[65536];
    struct text line = TEXT(room);
    uint64_t left = size < 0 ? 0 : (uint64_t)size;
    struct span chunk = {0};

    text_adds(&line, "BDAT ");
    text_addn(&line, left, 1);
    text_adds(&line, " LAST\r\n");
    if (size < 0 || lseek(0, 0, SEEK_SET) != 0 || !lmtp_put(s, text_span(&line)))
        return false;
    for (; left > 0; left -= chunk.n)
        if (!read_chunk(room, left < sizeof room ? (size_t)left : sizeof room, &chunk) ||
            chunk.n == 0 || !lmtp_put(s, chunk))
            return false;
    return true;
}
