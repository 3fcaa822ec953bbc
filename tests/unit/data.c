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
static void decode(struct decoded *d, const char *bytes, size_t n, size_t step, size_t room,
                   struct smtp_data start)
{
    *d = (struct decoded){.data = start};
    while (d->used < n && !smtp_data_is_over(&d->data)) {
        const size_t piece = n - d->used < step ? n - d->used : step;
        struct span in = guarded(bytes + d->used, piece);

        while (in.n > 0 && !smtp_data_is_over(&d->data)) {
            const size_t before = in.n;

            d->n += smtp_data_decode(&d->data, &in, d->bytes + d->n, room);
            d->used += before - in.n;
            cr_assert_leq(d->n, sizeof d->bytes - room);
        }
    }
}

static const struct smtp_data usual = {.max_size = 10000, .max_line = 1000, .max_received = 3};

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
