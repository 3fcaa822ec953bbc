/* Base64: RFC 4648's own examples, all lengths, and everything that is nearly base64. */
#include "base/base64.h"
#include "unit.h"

static bool decode(struct span s, struct text *out)
{
    out->n = 0;
    out->cut = false;
    return base64_decode(s, out);
}

Test(base64, examples)
{
    static const struct {
        const char *plain, *encoded;
    } rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char room[16];
        struct text out = TEXT(room);

        base64_encode(span_of(rows[i].plain), &out);
        cr_expect_span(text_span(&out), rows[i].encoded, rows[i].plain);
        cr_expect(base64_is(guarded(rows[i].encoded, strlen(rows[i].encoded))));
        cr_expect(decode(guarded(rows[i].encoded, strlen(rows[i].encoded)), &out));
        cr_expect_span(text_span(&out), rows[i].plain, rows[i].encoded);
    }
}

Test(base64, there_and_back)
{
    char plain[256], encoded[BASE64_ENCODED(256)], again[256];

    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (char)(i * 167 + 13);
    for (size_t n = 0; n <= sizeof plain; n++) {
        struct text there = TEXT(encoded), back = TEXT(again);

        base64_encode((struct span){.p = plain, .n = n}, &there);
        cr_assert_eq(there.n, BASE64_ENCODED(n));
        cr_assert_not(there.cut);
        cr_assert(base64_decode(guarded(there.p, there.n), &back));
        cr_assert(span_eq(text_span(&back), (struct span){.p = plain, .n = n}), "%zu", n);
        cr_assert_leq(n, BASE64_DECODED(there.n));
    }
}

/* Each octet at each place of a group of four: it is base64 if and only if it is of the alphabet,
 * or one of the two paddings. */
Test(base64, each_octet)
{
    for (unsigned place = 0; place < 4; place++)
        for (unsigned c = 0; c < 256; c++) {
            char group[] = "QUJD", room[8];
            struct text out = TEXT(room);
            bool good = c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789+/",
                                         (int)c) != NULL;

            group[place] = (char)c;
            /* "QUI=" is "AB"; "QUJ=" has a bit over. */
            if (place == 3 && c == '=')
                group[2] = 'I', good = true;
            cr_expect_eq(base64_is(guarded(group, 4)), good, "%u at %u", c, place);
            cr_expect_eq(decode(guarded(group, 4), &out), good, "%u at %u", c, place);
            cr_expect_eq(out.n, good ? 3 - (c == '=') : 0);
        }
}

Test(base64, what_is_none)
{
    static const char *const none[] = {
        "=",         "==",       "===",    "====",       "A",        "AA",       "AAA",
        "A===",      "AA=A",     "AB==",   "AAB=",       "AA==AA==", "AAA=AAAA", "AAAA=",
        "AAAA==",    "AAAA====", "AAAA\n", "AAAA\r\n",   " AAAA",    "AAA A",    "AA-_",
        "AAAA\tAAA", "*",        "=AAA",   "\xc3\xa4zz",
    };

    for (size_t i = 0; i < COUNT(none); i++) {
        char room[32];
        struct text out = TEXT(room);
        const struct span s = guarded(none[i], strlen(none[i]));

        cr_expect_not(base64_is(s), "%s", none[i]);
        cr_expect_not(base64_decode(s, &out), "%s", none[i]);
        cr_expect_eq(out.n, 0);
    }
    cr_expect_not(base64_is((struct span){.p = "AA\0A", .n = 4}));
}

/* There is room for all, or nothing is written. */
Test(base64, little_room)
{
    for (size_t cap = 0; cap < 8; cap++) {
        char room[8] = "xxxxxxx";
        struct text out = {.p = room, .cap = cap};

        cr_expect_eq(base64_decode(SPAN("Zm9vYmE="), &out), cap >= 5, "%zu", cap);
        cr_expect_eq(out.n, cap >= 5 ? 5 : 0);
        cr_expect_eq(room[cap < 5 ? 0 : 5], 'x');
        out = (struct text){.p = room, .cap = cap};
        base64_encode(SPAN("fooba"), &out);
        cr_expect(out.cut && out.n == cap);
    }
}
