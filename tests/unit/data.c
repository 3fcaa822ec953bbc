#include "smtp/data.h"
#include "unit.h"

enum { ROOM = 1 << 16 };

struct decoded {
    char bytes[ROOM];
    size_t n;
    size_t used; /* of the input */
    struct smtp_data data;
};

/* Decodes in pieces of `step` with `room` octets of output at a time. */
static void decode_from(struct decoded *d, const char *bytes, size_t n, size_t step, size_t room,
                        struct smtp_data start, bool guard)
{
    *d = (struct decoded){.data = start};
    while (d->used < n && !smtp_data_is_over(&d->data)) {
        const size_t piece = n - d->used < step ? n - d->used : step;
        struct span in = guard ? guarded(bytes + d->used, piece)
                               : (struct span){.p = bytes + d->used, .n = piece};

        while (in.n > 0 && !smtp_data_is_over(&d->data)) {
            const size_t before = in.n;

            d->n += smtp_data_decode(&d->data, &in, d->bytes + d->n, room);
            d->used += before - in.n;
            cr_assert_leq(d->n, sizeof d->bytes - room);
        }
    }
}

static void decode(struct decoded *d, const char *bytes, size_t n, size_t step, size_t room,
                   struct smtp_data start)
{
    decode_from(d, bytes, n, step, room, start, true);
}

static const struct smtp_data usual = {.max_size = 10000, .max_line = 1000, .max_received = 3};

/* Octet by octet only the plain machine works; whole, the vector one does most. They must agree on
 * everything, whatever the text, the limits and the places where it is cut. */
Test(data, vector_and_plain_machine_agree, .timeout = 120)
{
    static const char *const alphabets[] = {"x\r\n", "x.\r\n", ".\r\n", "xxxxxxxx\r\n.", "x"};
    static struct decoded whole, single;
    static char text[700];
    uint64_t seed = 88172645463325252U;

    for (int round = 0; round < 60000; round++) {
        const char *alphabet = alphabets[round % 5];
        struct smtp_data start = usual;
        size_t n = 0;

        text[n++] = '\r';
        text[n++] = '\n';
        while (n < sizeof text - 8 && n < (size_t)(40 + round % 600)) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text[n] = alphabet[seed % strlen(alphabet)];
            /* Mostly whole line ends, or there would be no message of any length. */
            if (text[n] == '\n' && text[n - 1] != '\r' && (seed >> 32) % 64 != 0)
                text[n] = 'y';
            if (text[n] == '\r' && (seed >> 40) % 64 != 0)
                text[++n] = '\n';
            n++;
        }
        start.crlf = (round / 5) % 2 == 0;
        start.max_line = round % 7 == 0 && round % 11 != 0 ? 40 : 1000; /* one limit at a time */
        start.max_size = round % 11 == 0 ? n / 2 : 10000;
        decode_from(&whole, text, n, round % 3 == 0 ? 37 : n, 100 + (size_t)round % 50, start,
                    round % 100 == 1);
        decode_from(&single, text, n, 1, 2, start, false);
        /* What was put out of a message that is refused is nobody's. */
        if (single.data.fault == SMTP_DATA_FINE)
            cr_assert(whole.n == single.n && memcmp(whole.bytes, single.bytes, whole.n) == 0, "%d",
                      round);
        cr_assert(whole.used == single.used && whole.data.fault == single.data.fault &&
                      whole.data.ended == single.data.ended &&
                      whole.data.size == single.data.size && whole.data.line == single.data.line &&
                      whole.data.lines == single.data.lines &&
                      whole.data.state == single.data.state,
                  "%d", round);
    }
}

/* Whatever stands behind the octets that have come is not looked at. */
Test(data, nothing_behind_the_piece_is_read)
{
    char text[512], out[512];

    for (size_t n = 1; n < sizeof text; n++) {
        struct smtp_data d = usual;
        struct span in = {.p = text, .n = n};
        size_t got;

        memset(text, 'x', sizeof text);
        memset(text + n, '\n', sizeof text - n);
        d.in_body = true;
        got = smtp_data_decode(&d, &in, out, sizeof out);
        cr_assert(in.n == 0 && got == n && d.fault == SMTP_DATA_FINE && d.size == n, "%zu", n);
    }
}

struct data_case {
    const char *in;
    const char *out;
    enum smtp_data_fault fault;
    bool ended;
    size_t left; /* octets behind the end */
};

static const struct data_case cases[] = {
    {".\r\n", "", SMTP_DATA_FINE, true, 0},
    {"a\r\n.\r\n", "a\n", SMTP_DATA_FINE, true, 0},
    {"a\r\n.\r\nQUIT\r\n", "a\n", SMTP_DATA_FINE, true, 6},
    {"\r\n.\r\n", "\n", SMTP_DATA_FINE, true, 0},
    {"..\r\n.\r\n", ".\n", SMTP_DATA_FINE, true, 0},
    {"...a\r\n.\r\n", "..a\n", SMTP_DATA_FINE, true, 0},
    {".a\r\n.\r\n", "a\n", SMTP_DATA_FINE, true, 0},
    {"a.\r\n.\r\n", "a.\n", SMTP_DATA_FINE, true, 0},
    {"a\r\n", "a\n", SMTP_DATA_FINE, false, 0},
    {"a\r\n.", "a\n", SMTP_DATA_FINE, false, 0},
    {"a\r\n.\r", "a\n", SMTP_DATA_FINE, false, 0},
    {"a\r", "a", SMTP_DATA_FINE, false, 0},
    {"a\n.\r\n", "a", SMTP_DATA_BARE_LF, false, 3},
    {"\n", "", SMTP_DATA_BARE_LF, false, 0},
    {"a\r\n\n.\r\n", "a\n", SMTP_DATA_BARE_LF, false, 3},
    {"a\r\n.\n", "a\n", SMTP_DATA_BARE_LF, false, 0},
    {"a\rb\r\n", "a", SMTP_DATA_BARE_CR, false, 2},
    {"a\r\r\n", "a", SMTP_DATA_BARE_CR, false, 1},
    {"a\r\n.\r\r\n", "a\n", SMTP_DATA_BARE_CR, false, 1},
    {"a\r\n.\rx", "a\n", SMTP_DATA_BARE_CR, false, 0},
    {"a\r.\r", "a", SMTP_DATA_BARE_CR, false, 1},
};

Test(data, table_in_every_chunking)
{
    static struct decoded d;

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t step = 1; step <= 16; step++)
            for (size_t room = 2; room <= 5; room++) {
                const struct data_case *c = &cases[i];
                const size_t n = strlen(c->in);

                decode(&d, c->in, n, step, room, usual);
                cr_expect_eq(d.data.fault, c->fault, "case %zu step %zu", i, step);
                cr_expect_eq(d.data.ended, c->ended, "case %zu step %zu", i, step);
                cr_expect_eq(n - d.used, c->left, "case %zu step %zu", i, step);
                cr_expect(span_eq((struct span){.p = d.bytes, .n = d.n}, span_of(c->out)),
                          "case %zu step %zu room %zu", i, step, room);
            }
}

Test(data, crlf_output_and_nul)
{
    static struct decoded d;
    static const char in[] = "a\0b\r\n\0.\r\n.\r\n";
    static const char out[] = "a\0b\r\n\0.\r\n";
    struct smtp_data start = usual;

    start.crlf = true;
    for (size_t step = 1; step < sizeof in; step++) {
        decode(&d, in, sizeof in - 1, step, 64, start);
        cr_expect(d.data.ended);
        cr_expect_eq(d.n, sizeof out - 1);
        cr_expect_arr_eq(d.bytes, out, sizeof out - 1);
        cr_expect_eq(d.data.size, sizeof out - 1);
    }
}

Test(data, size_counts_as_rfc_1870_does)
{
    static struct decoded d;
    struct smtp_data start = usual;

    start.max_size = 6;
    decode(&d, "..ab\r\n.\r\n", 9, 3, 64, start);
    cr_expect_eq(d.data.size, 5);
    cr_expect_eq(d.data.fault, SMTP_DATA_FINE);
    decode(&d, "abcde\r\n.\r\n", 10, 3, 64, start);
    cr_expect_eq(d.data.fault, SMTP_DATA_TOO_LARGE);
    cr_expect(d.data.ended, "read on to the end-of-data");
}

Test(data, a_bare_end_counts_after_another_fault)
{
    static struct decoded d;
    struct smtp_data start = usual;

    start.max_size = 2;
    decode(&d, "abcdef\r\nx\n.\r\n", 13, 4, 64, start);
    cr_expect_eq(d.data.fault, SMTP_DATA_BARE_LF);
}

Test(data, hops)
{
    static struct decoded d;
    static const char four[] = "Received: a\r\nRECEIVED: b\r\nrEcEiVeD:\r\nReceived:x\r\n.\r\n";
    static const char three[] = "Received: a\r\nReceived : b\r\nXReceived: c\r\n Received: d\r\n"
                                "Received: e\r\nReceived: f\r\n\r\nReceived: body\r\n.\r\n";

    for (size_t step = 1; step < 20; step++) {
        decode(&d, four, sizeof four - 1, step, 64, usual);
        cr_expect_eq(d.data.fault, SMTP_DATA_LOOP, "step %zu", step);
        decode(&d, three, sizeof three - 1, step, 64, usual);
        cr_expect_eq(d.data.fault, SMTP_DATA_FINE, "step %zu", step);
    }
}

/* Lines of every length around the scanner's stride, at every place, against a page that must not
 * be touched. */
Test(data, line_ends_at_every_place)
{
    static struct decoded d;
    char in[128], out[128];

    for (size_t length = 0; length < 70; length++)
        for (size_t skip = 0; skip < 3; skip++) {
            memset(in, 'x', sizeof in);
            memcpy(in + length, "\r\n.\r\n", 5);
            memset(out, 'x', sizeof out);
            out[length] = '\n';
            decode(&d, in, length + 5, length + 5 - skip, 64, usual);
            cr_expect(d.data.ended, "length %zu", length);
            cr_expect(span_eq((struct span){.p = d.bytes, .n = d.n},
                              (struct span){.p = out, .n = length + 1}),
                      "length %zu", length);
        }
}

/* Every string of up to seven of these bytes against a plain model: find the first of CRLF.CRLF (or
 * .CRLF at the start) and any bare CR or LF before it. */
static void model(const char *in, size_t n, bool *ended, bool *bare)
{
    char all[16] = "\r\n";

    *ended = *bare = false;
    memcpy(all + 2, in, n);
    n += 2;
    for (size_t i = 2; i < n && !*ended && !*bare; i++) {
        if (all[i] == '\n')
            *bare = all[i - 1] != '\r' || (i == 2);
        else if (all[i - 1] == '\r')
            *bare = true;
        if (i >= 4 && memcmp(all + i - 4, "\r\n.\r\n", 5) == 0)
            *ended = true;
    }
}

Test(data, every_short_string_against_a_model)
{
    static const char alphabet[] = "\r\n.a";
    static struct decoded d;

    for (unsigned length = 1; length <= 7; length++)
        for (unsigned long code = 0; code < 1UL << 2 * length; code++) {
            bool ended, bare;
            char in[8];

            for (unsigned i = 0; i < length; i++)
                in[i] = alphabet[code >> 2 * i & 3];
            model(in, length, &ended, &bare);
            d = (struct decoded){.data = usual};
            struct span s = {.p = in, .n = length};
            while (s.n > 0 && !smtp_data_is_over(&d.data))
                d.n += smtp_data_decode(&d.data, &s, d.bytes + d.n, 64);
            cr_assert_eq(d.data.ended, ended, "length %u code %lu", length, code);
            cr_assert_eq(d.data.fault >= SMTP_DATA_BARE_LF, bare, "length %u code %lu", length,
                         code);
        }
}

/* What `normalize` makes of a message, written plainly: CRs in a row with the LF behind them, and
 * LF alone, are a line end; at the start of a line of SMTP (behind CRLF) a dot is taken off, or is
 * the end. Returns how many bytes are put out; *ended. */
static size_t normalized(const char *in, size_t n, char *out, bool *ended)
{
    bool start = true;
    size_t i = 0, o = 0;

    *ended = false;
    while (i < n) {
        if (start && n - i >= 3 && memcmp(in + i, ".\r\n", 3) == 0) {
            *ended = true;
            return o;
        }
        i += start && in[i] == '.';
        start = false;
        if (i < n && in[i] == '\r') {
            while (i < n && in[i] == '\r')
                i++;
            if (i == n)
                return o;
            start = in[i] == '\n';
            i += start;
            out[o++] = '\n';
        } else if (i < n) {
            out[o++] = in[i++];
        }
    }
    return o;
}

/* In pieces of `step` octets, into out. */
static size_t decode_normalized(struct smtp_data *d, const char *in, size_t n, size_t step,
                                char out[32])
{
    size_t o = 0;

    *d = usual;
    d->normalize = true;
    for (size_t at = 0; at < n && !smtp_data_is_over(d);) {
        struct span piece = span_first((struct span){.p = in + at, .n = n - at}, step);
        const size_t before = piece.n;

        while (piece.n > 0 && !smtp_data_is_over(d))
            o += smtp_data_decode(d, &piece, out + o, 32 - o);
        at += before - piece.n;
    }
    return o;
}

Test(data, every_short_string_normalized, .timeout = 120)
{
    static const char alphabet[] = "\r\n.a";

    for (unsigned length = 1; length <= 8; length++)
        for (unsigned long code = 0; code < 1UL << 2 * length; code++) {
            char in[16], expected[32], out[32];
            struct smtp_data d;
            bool ended;
            size_t n;

            for (unsigned i = 0; i < length; i++)
                in[i] = alphabet[code >> 2 * i & 3];
            memcpy(in + length, "\r\n.\r\n", 5);
            n = normalized(in, length + 5, expected, &ended);
            for (size_t step = 1; step <= 16; step += 5) {
                const size_t got = decode_normalized(&d, in, length + 5, step, out);

                cr_assert_eq(d.fault, SMTP_DATA_FINE);
                cr_assert_eq(d.ended, ended, "length %u code %lu", length, code);
                cr_assert(got == n && memcmp(out, expected, n) == 0, "length %u code %lu step %zu",
                          length, code, step);
                cr_assert_eq(d.size, n + span_count((struct span){.p = out, .n = n}, '\n'));
            }
        }
}

/* Two limits that one piece of a line crosses: the one that octet by octet is crossed first. */
Test(data, limits_in_order)
{
    static const struct {
        uint64_t max_size, max_line, max_received;
        const char *text;
        enum smtp_data_fault fault;
    } rows[] = {
        {100, 40, 100,
         "x\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n.\r\n",
         SMTP_DATA_LONG_LINE},
        {20, 40, 100,
         "x\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n.\r\n",
         SMTP_DATA_TOO_LARGE},
        {12, 4000, 0, "Received: x and a lot more than twelve octets\r\n\r\n.\r\n", SMTP_DATA_LOOP},
        {5, 4000, 0, "Received: x and a lot more than five octets\r\n\r\n.\r\n",
         SMTP_DATA_TOO_LARGE},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t piece = 1; piece <= strlen(rows[i].text); piece++) {
            struct smtp_data d = {.max_size = rows[i].max_size,
                                  .max_line = rows[i].max_line,
                                  .max_received = rows[i].max_received};
            struct span left = span_of(rows[i].text);
            char out[4096];

            while (left.n > 0 && !smtp_data_is_over(&d)) {
                struct span in = span_first(left, piece);
                const size_t n = in.n;

                smtp_data_decode(&d, &in, out, sizeof out);
                left = span_from(left, n - in.n);
            }
            cr_expect(d.ended && d.fault == rows[i].fault, "row %zu in pieces of %zu: %d", i, piece,
                      d.fault);
        }
}
