#include "smtp/data.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Where the machine stands. Only CR LF is a line end and only CR LF . CR LF ends the message
 * (RFC 5321 2.3.8, 4.1.1.4): LF alone, CR alone and every mixture of them with dots are faults, so
 * there is no byte sequence that we read as an end and another receiver does not, or the other way
 * round.
 *
 * With `normalize`, for one's own machines, LF alone and CR alone (or several, with the LF behind
 * them if there is one) are line ends of what is put out. The end is the same: a dot behind such a
 * line end is text, and is not taken off, since no client stuffs it there.
 *
 * In chunks (RFC 3030) no dot is special: their text is held to the same line ends, so that DATA
 * and BDAT hand on the same octets and nobody behind us finds an end in them that we did not see.
 */
enum {
    LINE_START, /* 0: the state of a cleared struct; DATA's own CRLF was a line end */
    LINE,
    LINE_CR,
    DOT,
    DOT_CR,
};

bool smtp_data_is_over(const struct smtp_data *d)
{
    return d->ended || (d->fault >= SMTP_DATA_BARE_LF && !d->chunked);
}

static void fail(struct smtp_data *d, enum smtp_data_fault fault)
{
    /* A bare line end counts even after another fault: the message has no trustworthy end. */
    if (d->fault == SMTP_DATA_FINE || fault >= SMTP_DATA_BARE_LF)
        d->fault = fault;
}

/* Counts n octets of the message; true when they may be put out. Where both limits are crossed, the
 * one that is crossed first counts, as if the octets came one by one. */
static bool count(struct smtp_data *d, size_t n)
{
    uint64_t too_large, too_long;

    d->size += n;
    d->line += n;
    too_large = d->size > d->max_size ? d->size - d->max_size : 0;
    too_long = d->line > d->max_line ? d->line - d->max_line : 0;
    if (too_large > 0 && too_large >= too_long)
        fail(d, SMTP_DATA_TOO_LARGE);
    else if (too_long > 0)
        fail(d, SMTP_DATA_LONG_LINE);
    return d->fault == SMTP_DATA_FINE;
}

static const struct span received = {.p = "received:", .n = 9};

/* Follows "Received:" at the start of header lines (RFC 5321 6.3: count them to find loops). */
static void match_received(struct smtp_data *d, struct span s)
{
    const struct span name = received;

    for (size_t i = 0; i < s.n && d->matched < name.n; i++) {
        if (byte_lower(s.p[i]) != name.p[d->matched]) {
            d->matched = (unsigned)name.n + 1;
        } else if (++d->matched == name.n) {
            if (++d->received > d->max_received)
                fail(d, SMTP_DATA_LOOP);
            d->matched++;
        }
    }
}

/* Takes the bytes up to the next CR or LF, as far as they fit. What may be the name of a field is a
 * run of its own, so that one too many is found at its last octet, whatever the pieces. */
static size_t take_run(struct smtp_data *d, struct span *in, char *out, size_t room)
{
    struct span run = span_first(*in, room);
    bool fine;

    if (!d->in_body && d->matched < received.n)
        run = span_first(run, received.n - d->matched);
    run = span_first(run, span_find_line_end(run));
    *in = span_from(*in, run.n);
    fine = count(d, run.n);
    if (!d->in_body)
        match_received(d, run);
    if (!fine || d->fault != SMTP_DATA_FINE || run.n == 0)
        return 0;
    memcpy(out, run.p, run.n);
    return run.n;
}

static size_t line_end(struct smtp_data *d, char *out)
{
    if (d->line == 0)
        d->in_body = true;
    d->matched = 0;
    d->lines++;
    d->state = LINE_START;
    if (!count(d, 2)) {
        d->line = 0;
        return 0;
    }
    d->line = 0;
    if (d->crlf)
        *out++ = '\r';
    *out = '\n';
    return d->crlf ? 2 : 1;
}

/* A CR or LF that is no half of a CRLF. Returns how many bytes were put out. */
static size_t bare_line_end(struct smtp_data *d, enum smtp_data_fault fault, char *out)
{
    size_t n;

    if (!d->normalize) {
        fail(d, fault);
        return 0;
    }
    n = line_end(d, out);
    d->state = LINE; /* a dot that comes now is text */
    return n;
}

/* What comes behind a CR, whose LF it may be. */
static size_t after_cr(struct smtp_data *d, struct span *in, char *out)
{
    const char c = in->p[0];

    if (c == '\n' || c == '\r' || !d->normalize)
        *in = span_from(*in, 1);
    if (c == '\n' && d->state == DOT_CR)
        d->ended = true;
    else if (c == '\n')
        return line_end(d, out);
    else if (d->normalize && (c == '\r' || d->state == DOT_CR))
        d->state = LINE_CR; /* the dot was stuffed, and is gone */
    else
        return bare_line_end(d, SMTP_DATA_BARE_CR, out);
    return 0;
}

/* At a place where a byte decides something. Returns how many bytes were put out. */
static size_t step(struct smtp_data *d, struct span *in, char *out)
{
    const char c = in->p[0];

    if (d->state == LINE_CR || d->state == DOT_CR)
        return after_cr(d, in, out);
    *in = span_from(*in, 1);
    if (c == '\n')
        return bare_line_end(d, SMTP_DATA_BARE_LF, out);
    if (c == '\r')
        d->state = d->state == DOT ? DOT_CR : LINE_CR;
    else if (c == '.' && d->state == LINE_START)
        d->state = DOT;
    return 0;
}

static bool is_run(const struct smtp_data *d, char c)
{
    if (c == '\r' || c == '\n')
        return false;
    return d->state == LINE || d->state == DOT ||
           (d->state == LINE_START && (c != '.' || d->chunked));
}

#if defined(__SSE2__)
enum { BLOCK = 16 };

static unsigned places_of(__m128i found)
{
    return (unsigned)_mm_movemask_epi8(found);
}

static __m128i copy_block(char *to, const char *from)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);

    _mm_storeu_si128((__m128i *)(void *)to, bytes);
    return bytes;
}

static uint64_t smallest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where the decoder is in body text. */
struct body {
    const char *p;    /* what is taken next */
    char *o;          /* where it is put */
    const char *line; /* where the line begins, or what of it came now */
    bool start;       /* nothing of the line has been taken */
    bool dots;        /* are special */
    uint64_t lines;   /* that have ended */
};

/* Octets of a line, copied already. */
static void advance(struct body *b, size_t n)
{
    b->p += n;
    b->o += n;
    b->start = false;
}

/* A dot at the start of a line was stuffed; before CR or LF, it may end the message: false. */
static bool take_dot(struct body *b)
{
    if (*b->p != '.' || !b->dots)
        return true;
    if (b->p[1] == '\r' || b->p[1] == '\n')
        return false;
    b->line = ++b->p;
    b->start = false;
    return true;
}

/* The lines that end in the block at b->p, at `ends`, of which the first is copied already; from
 * there on it goes on at the start of the next one. */
static bool end_lines(struct body *b, unsigned ends, bool crlf)
{
    const char *const block = b->p;

    do {
        const char *const end = block + __builtin_ctz(ends);

        b->o += end - b->p;
        if (crlf)
            *b->o++ = '\r';
        *b->o++ = '\n';
        b->line = b->p = end + 2;
        b->start = true;
        b->lines++;
        ends &= ends - 1;
        if (!take_dot(b))
            return false;
        if (ends != 0)
            copy_block(b->o, b->p);
    } while (ends != 0);
    return true;
}

/* The same for many short lines, none of which begins with a dot that is special, and where CR is
 * not put out: without a branch, each octet is put where the last one was, if that was a CR. */
static bool end_short_lines(struct body *b, unsigned ends)
{
    const unsigned taken = 33 - (unsigned)__builtin_clz(ends); /* up to the last line end */
    const char *const from = b->p;
    char *to = b->o;

#pragma GCC unroll 16
    for (unsigned i = 0; i < BLOCK; i++) {
        *to = from[i];
        to += ~ends >> i & 1;
    }
    to -= BLOCK - taken;
    b->lines += taken - (unsigned)(to - b->o);
    b->o = to;
    b->line = b->p += taken;
    b->start = true;
    return take_dot(b);
}

/* Are there at least three? */
static bool are_many(unsigned ends)
{
    const unsigned but_one = ends & (ends - 1);

    return (but_one & (but_one - 1)) != 0;
}

/* Does one of the lines behind these ends begin with a dot, in this block? */
static bool is_dotted(__m128i bytes, unsigned ends)
{
    return (places_of(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.'))) & ends << 2) != 0;
}

/* The machine's way through body text in which each CR and LF is half of a CRLF: sixteen octets at
 * a time, and by the places of line ends in these, so that lines of one octet cost little more than
 * long ones. Whole blocks are copied and only what counts of them is counted: there must be 2 *
 * BLOCK octets behind *in and out. Stops where it can't go on: before a block with something
 * unusual in it, a dot that may be the end of the message, a limit, the end of *in or of `room`.
 * What is put out, or counted, is never more than what is taken: one place stands for all three.
 * Returns how many octets it has put out. */
static size_t decode_blocks(struct smtp_data *d, struct span *in, char *out, size_t room)
{
    const uint64_t longest = d->max_line - BLOCK - 2;
    struct body b = {
        .p = in->p, .o = out, .line = in->p, .start = d->state == LINE_START, .dots = !d->chunked};
    /* Where a block may begin at the latest; for the line's sake, too. */
    const char *const last =
        in->p + smallest(smallest(in->n, room) - (size_t)2 * BLOCK, d->max_size - d->size - BLOCK);
    const char *limit = in->p + smallest((uint64_t)(last - in->p), longest - d->line);

    if (b.start && !take_dot(&b))
        return 0;
    while (b.p <= limit) {
        const __m128i bytes = copy_block(b.o, b.p);
        const __m128i cr = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r'));
        const __m128i lf = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'));
        unsigned ends;

        if (places_of(_mm_or_si128(cr, lf)) == 0) {
            advance(&b, BLOCK);
            continue;
        }
        ends = places_of(cr) & ((1U << (BLOCK - 1)) - 1);
        if (places_of(lf) != ends << 1)
            break;
        if (ends == 0) { /* a CR at the end waits for its LF: it is the next block's first */
            advance(&b, BLOCK - 1);
            continue;
        }
        d->line = 0;
        if (!(are_many(ends) && !d->crlf && (!b.dots || !is_dotted(bytes, ends))
                  ? end_short_lines(&b, ends)
                  : end_lines(&b, ends, d->crlf)) ||
            b.p > last)
            break;
        limit = b.line + smallest((uint64_t)(last - b.line), longest);
    }
    if (b.p > in->p)
        d->state = b.start ? LINE_START : LINE;
    d->line += (uint64_t)(b.p - b.line);
    d->lines += b.lines;
    d->size += (uint64_t)(b.o - out) + (d->crlf ? 0 : b.lines);
    *in = span_from(*in, (size_t)(b.p - in->p));
    return (size_t)(b.o - out);
}

static bool is_plain(const struct smtp_data *d)
{
    return d->in_body && d->fault == SMTP_DATA_FINE && d->state <= LINE &&
           d->max_line >= BLOCK + 2 && d->line <= d->max_line - BLOCK - 2 && d->max_size >= BLOCK &&
           d->size <= d->max_size - BLOCK;
}
#endif

/* The header of an exact message has CRLF, as that of any other (RFC 3030 3), and hops. */
static void follow_header(struct smtp_data *d, struct span s)
{
    while (s.n > 0 && !d->in_body) {
        const struct span run = span_first(s, span_find(s, '\n'));

        match_received(d, run);
        d->line += run.n;
        if (run.n > 0)
            d->state = run.p[run.n - 1] == '\r' ? LINE_CR : LINE;
        s = span_from(s, run.n);
        if (s.n == 0)
            break;
        s = span_from(s, 1);
        if (d->state != LINE_CR) { /* a bare LF is one of the line's octets */
            match_received(d, SPAN("\n"));
            d->line++;
            continue;
        }
        d->in_body = d->line == 1;
        d->line = 0;
        d->matched = 0;
        d->state = LINE_START;
    }
}

static size_t decode_exactly(struct smtp_data *d, struct span *in, char *out, size_t room)
{
    const struct span now = span_first(*in, room);

    *in = span_from(*in, now.n);
    d->size += now.n;
    if (d->size > d->max_size)
        fail(d, SMTP_DATA_TOO_LARGE);
    follow_header(d, now);
    if (d->fault != SMTP_DATA_FINE)
        return 0;
    memcpy(out, now.p, now.n);
    return now.n;
}

bool smtp_data_passes(const struct smtp_data *d)
{
    return d->exact && d->in_body && d->fault == SMTP_DATA_FINE;
}

void smtp_data_pass(struct smtp_data *d, size_t n)
{
    d->size += n;
}

size_t smtp_data_finish(struct smtp_data *d, char *out)
{
    const bool cr = d->state == LINE_CR;
    size_t n = 0;

    if (!d->exact && cr)
        n = bare_line_end(d, SMTP_DATA_BARE_CR, out);
    else if (!d->exact && d->line > 0)
        n = line_end(d, out);
    d->ended = true;
    return d->fault == SMTP_DATA_FINE ? n : 0;
}

/* Does it not matter what comes? */
static bool is_settled(const struct smtp_data *d)
{
    return d->ended ||
           (d->fault != SMTP_DATA_FINE && (d->chunked || d->fault >= SMTP_DATA_BARE_LF));
}

size_t smtp_data_decode(struct smtp_data *d, struct span *in, char *out, size_t room)
{
    size_t n = 0;

    if (d->exact)
        return decode_exactly(d, in, out, room);
    while (in->n > 0 && room - n >= 2 && !is_settled(d)) {
#if defined(__SSE2__)
        /* It leaves a block's worth of both, for the machine. */
        if (in->n >= 2 * BLOCK && room - n >= 2 * BLOCK && is_plain(d))
            n += decode_blocks(d, in, out + n, room - n);
#endif
        if (d->state <= LINE && in->n > 1 && in->p[0] == '\r' && in->p[1] == '\n') {
            n += line_end(d, out + n);
            *in = span_from(*in, 2);
        } else if (is_run(d, in->p[0])) {
            d->state = LINE; /* after DOT: the first dot was stuffed, and is gone */
            n += take_run(d, in, out + n, room - n);
        } else {
            n += step(d, in, out + n);
        }
    }
    if (d->chunked && d->fault != SMTP_DATA_FINE) /* their end is not in them */
        *in = span_from(*in, in->n);
    return n;
}
