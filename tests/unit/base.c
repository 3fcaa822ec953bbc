#include "adapters/digest.h"
#include "base/arena.h"
#include "base/number.h"
#include "base/sha256.h"
#include "base/text.h"
#include "unit.h"

#include <stdalign.h>

Test(span, words_and_trimming)
{
    struct span s = SPAN("  a,b\t c "), word;

    cr_expect_span(span_trim(s), "a,b\t c", "trim");
    cr_expect(span_word(&s, " ,\t", &word));
    cr_expect_span(word, "a", "first");
    cr_expect(span_word(&s, " ,\t", &word));
    cr_expect_span(word, "b", "second");
    cr_expect(span_word(&s, " ,\t", &word));
    cr_expect_span(word, "c", "third");
    cr_expect_not(span_word(&s, " ,\t", &word));
}

Test(span, count)
{
    static char room[16 * 600 + 5];

    for (size_t n = 0; n < sizeof room; n += n < 40 ? 1 : 501) {
        size_t wanted = 0;

        for (size_t i = 0; i < n; i++) {
            room[i] = i % 7 == 3 || n % 2 == 0 ? '\n' : (char)i;
            wanted += room[i] == '\n';
        }
        cr_expect_eq(span_count(guarded(room, n), '\n'), wanted, "%zu octets", n);
    }
}

Test(span, comparing_and_finding)
{
    cr_expect(span_eq_nocase(SPAN("MaIl"), SPAN("mAiL")));
    cr_expect_not(span_eq_nocase(SPAN("MAIL"), SPAN("MAILS")));
    cr_expect_not(span_eq(SPAN("a"), SPAN("A")));
    cr_expect(span_eq((struct span){0}, SPAN("")));
    cr_expect_eq(span_find(SPAN("abc"), 'c'), 2);
    cr_expect_eq(span_find(SPAN("abc"), 'x'), 3);
    cr_expect_eq(span_from(SPAN("abc"), 9).n, 0);
    cr_expect_eq(span_first(SPAN("abc"), 9).n, 3);
}

/* Each octet in each place, alone and between others that could carry over into it. */
Test(span, printable)
{
    static const char around[] = {' ', '~', 'A'};
    char p[21];

    for (size_t n = 1; n <= sizeof p; n++)
        for (size_t k = 0; k < COUNT(around); k++) {
            memset(p, around[k], sizeof p);
            cr_expect(span_is_printable((struct span){.p = p, .n = n}), "%zu of %d", n, around[k]);
            for (size_t at = 0; at < n; at++)
                for (unsigned c = 0; c < 256; c++) {
                    const struct span s = {.p = p, .n = n};

                    p[at] = (char)c;
                    cr_expect_eq(span_is_printable(s), c >= 0x20 && c < 0x7f, "%u at %zu of %zu", c,
                                 at, n);
                    p[at] = around[k];
                }
        }
    cr_expect(span_is_printable(SPAN("")));
}

Test(span, utf8)
{
    static const struct {
        const char *bytes;
        bool valid;
    } cases[] = {
        {"", true},
        {"abc", true},
        {"\xc3\xa9", true},
        {"\xe2\x82\xac", true},
        {"\xf0\x9f\x93\xa7", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xe0\x9f\xbf", false},
        {"\xed\xa0\x80", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\x80", false},
        {"\xc3", false},
        {"\xe2\x82", false},
        {"\xff", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct span s = guarded(cases[i].bytes, strlen(cases[i].bytes));

        cr_expect_eq(utf8_valid(s), cases[i].valid, "case %zu", i);
    }
}

/* RFC 3629 3: the code point, and whether these n octets are its only encoding. */
static bool is_one_character(const unsigned char *p, size_t n)
{
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned lead[] = {0, 0x80, 0xe0, 0xf0, 0xf8};
    unsigned long code;

    if (n == 1)
        return p[0] < 0x80;
    if ((p[0] & lead[n]) != (lead[n] << 1 & 0xff))
        return false;
    code = p[0] & ~lead[n];
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return false;
        code = code << 6 | (p[i] & 0x3f);
    }
    return code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

static bool is_utf8(const unsigned char *p, size_t n)
{
    for (size_t k = 1; k <= 4 && k <= n; k++)
        if (is_one_character(p, k) && (k == n || is_utf8(p + k, n - k)))
            return true;
    return n == 0;
}

/* Each string of one, two and three octets; of four, each with a lead of four, and in the other
 * places each octet at which something changes. */
Test(span, utf8_exhaustively, .timeout = 120)
{
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                          0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff};
    unsigned long wrong = 0;
    unsigned char p[4];

    for (size_t n = 1; n <= 3; n++)
        for (unsigned long all = 0; all < 1UL << 8 * n; all++) {
            for (size_t i = 0; i < n; i++)
                p[i] = (unsigned char)(all >> 8 * i);
            wrong += utf8_valid((struct span){.p = (char *)p, .n = n}) != is_utf8(p, n);
        }
    for (unsigned first = 0xe0; first <= 0xff; first++)
        for (unsigned second = 0; second <= 0xff; second++)
            for (size_t i = 0; i < COUNT(edges); i++)
                for (size_t k = 0; k < COUNT(edges); k++) {
                    p[0] = (unsigned char)first;
                    p[1] = (unsigned char)second;
                    p[2] = edges[i];
                    p[3] = edges[k];
                    wrong += utf8_valid((struct span){.p = (char *)p, .n = 4}) != is_utf8(p, 4);
                }
    cr_expect_eq(wrong, 0, "%lu strings", wrong);
}

Test(text, fills_and_cuts)
{
    char room[8];
    struct text t = TEXT(room);

    text_adds(&t, "abc");
    text_addn(&t, 7, 3);
    cr_expect_span(text_span(&t), "abc007", "text");
    cr_expect_not(t.cut);
    text_adds(&t, "xyz");
    cr_expect(t.cut);
    cr_expect_eq(t.n, 8);
    cr_expect_str_eq(text_string(&t), "abc007x");
}

Test(text, numbers)
{
    char room[64];
    struct text t = TEXT(room);

    text_addn(&t, UINT64_MAX, 1);
    text_addc(&t, ' ');
    text_addn(&t, 0, 1);
    text_addc(&t, ' ');
    text_add32(&t, 1023);
    cr_expect_span(text_span(&t), "18446744073709551615 0 vv", "numbers");
}

Test(text, escapes_what_would_break_a_line)
{
    char room[64];
    struct text t = TEXT(room);

    text_add_escaped(&t, SPAN("a\n\"\\\x7f\xff\xc3\xa9z"), "\"\\");
    text_add_escaped(&t, SPAN("\xc2\x9b"), "");
    text_add_escaped(&t, SPAN("\xe2\x80\xae"), "");
    cr_expect_span(text_span(&t), "a\\x0a\\x22\\x5c\\x7f\\xff\xc3\xa9z\\xc2\\x9b\\xe2\\x80\\xae",
                   "escaped");
}

Test(arena, shrink)
{
    char room[256];
    struct arena a = {.base = room, .cap = sizeof room};
    char *first = arena_get(&a, 100), *second;

    arena_shrink(&a, first, 3);
    second = arena_get(&a, 8);
    cr_expect_eq((size_t)second % 16, (size_t)first % 16, "aligned");
    cr_expect_eq(second - first, 16);
    cr_expect_null(arena_get(&a, 256));
    first = arena_get(&a, 220);
    cr_expect_not_null(first);
    arena_shrink(&a, first, 220);
    cr_expect_leq(a.used, a.cap);
}

Test(arena, is_capped_and_aligned)
{
    char room[100];
    struct arena a = {.base = room, .cap = sizeof room};
    struct span s;

    cr_expect_not_null(arena_get(&a, 1));
    cr_expect_eq(a.used % alignof(max_align_t), 0);
    s = arena_copy(&a, SPAN("hello"));
    cr_expect_str_eq(s.p, "hello");
    cr_expect_null(arena_get(&a, sizeof room));
    cr_expect_not_null(arena_get(&a, sizeof room - a.used));
    cr_expect_null(arena_get(&a, 1));
    cr_expect_null(arena_copy(&a, SPAN("")).p);
    arena_reset(&a);
    cr_expect_not_null(arena_get(&a, sizeof room));
}

/* In pieces of `step` octets; false where this processor has no such way. */
static bool hash(enum sha256_way way, struct span left, size_t step, char hex[65])
{
    struct sha256 h;

    if (way == SHA256_INSTRUCTIONS && sha256_best_way() != way)
        return false;
    sha256_open(&h);
    h.way = way;
    while (left.n > 0) {
        sha256_add(&h, span_first(left, step));
        left = span_from(left, step);
    }
    sha256_close(&h, hex);
    hex[64] = '\0';
    return true;
}

static const enum sha256_way ways[] = {SHA256_PORTABLE, SHA256_INSTRUCTIONS, SHA256_NOT_ASKED};

/* FIPS 180-4's examples, in every chunking. */
Test(sha256, examples)
{
    static const struct {
        const char *in, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrl"
         "m"
         "nopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    char hex[65];

    for (size_t w = 0; w < COUNT(ways); w++)
        for (size_t i = 0; i < COUNT(cases); i++)
            for (size_t step = 1; step < 150; step++)
                if (hash(ways[w], span_of(cases[i].in), step, hex))
                    cr_expect_str_eq(hex, cases[i].hex, "way %zu case %zu step %zu", w, i, step);
}

/* FIPS 180-4's long one; SHA256_NOT_ASKED changes its way within it. */
Test(sha256, million)
{
    static char room[1000000];
    static const size_t steps[] = {1, 63, 64, 65, 8191, 8192, 8193, 65536, sizeof room};
    char hex[65];

    memset(room, 'a', sizeof room);
    for (size_t w = 0; w < COUNT(ways); w++)
        for (size_t i = 0; i < COUNT(steps); i++)
            if (hash(ways[w], (struct span){.p = room, .n = sizeof room}, steps[i], hex))
                cr_expect_str_eq(hex,
                                 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
                                 "way %zu step %zu", w, steps[i]);
}

/* Every length from 0 to 300: the hash over all their hashes is what Python's hashlib says. */
Test(sha256, lengths)
{
    static const size_t steps[] = {1, 7, 64, 100, 300};
    static char all[64 * 301 + 1];
    char in[300], hex[65];

    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (char)(unsigned char)(i * 167 + i / 64);
    for (size_t w = 0; w < COUNT(ways); w++)
        for (size_t s = 0; s < COUNT(steps); s++) {
            bool there = true;

            for (size_t n = 0; there && n <= sizeof in; n++) {
                there = hash(ways[w], (struct span){.p = in, .n = n}, steps[s], hex);
                memcpy(all + 64 * n, hex, 64);
            }
            if (!there)
                continue;
            hash(SHA256_PORTABLE, (struct span){.p = all, .n = sizeof all - 1}, 64, hex);
            cr_expect_str_eq(hex,
                             "71484d3a05e617d5b4f46d12d58f85e41212994735f56fdcd3dcd4b54a23a988",
                             "way %zu step %zu", w, steps[s]);
        }
}

/* The digest for these recipients, in this order. */
static void digest(const struct config *c, struct span *address, size_t n, char hex[65])
{
    static struct smtp_recipient recipient[1000];
    static char room[64 * 1024];
    struct arena a = {.base = room, .cap = sizeof room};
    struct smtp_transaction t = {.reverse_path.address = SPAN("s@example.com")};
    struct digest d;
    struct span got;

    for (size_t i = 0; i < n; i++) {
        recipient[i] = (struct smtp_recipient){.mailbox.address = address[i]};
        smtp_add_recipient(&t, &recipient[i]);
    }
    digest_open(&d, c, &t);
    digest_add(&d, SPAN("Subject: x\n\n"));
    digest_add(&d, SPAN("y\n"));
    got = digest_close(&d, &t, &a);
    cr_expect_eq(a.used, 0);
    memcpy(hex, got.p, got.n);
    hex[got.n] = '\0';
}

/* As Python has it: hashlib.sha256(message + each of sender and sorted(recipients) after a NUL). */
Test(digest, goes_by_the_order_of_bytes)
{
    static const struct config always = {.digest = CONFIG_DIGEST_ALWAYS};
    struct span few[] = {SPAN("b@example.org"),        SPAN("a@example.org"),
                         SPAN("ab@example.org"),       SPAN("a@example.or"),
                         SPAN("\xc3\xa9@example.org"), SPAN("B@example.org"),
                         SPAN("a@example.org")};
    static struct span many[1000];
    static char names[1000][32];
    char hex[65];

    for (size_t turn = 0; turn < COUNT(few); turn++) {
        const struct span first = few[0];

        digest(&always, few, COUNT(few), hex);
        cr_expect_str_eq(hex, "323022a2cf4dc812e9c12425cb61c2927a6ff485c35f7b6cc7ec322737d76e65",
                         "turn %zu", turn);
        memmove(few, few + 1, sizeof few - sizeof *few);
        few[COUNT(few) - 1] = first;
    }
    digest(&always, few, 1, hex);
    cr_expect_str_eq(hex, "2063d466302dbcdb4bf9421c98f6af304264961a921c1350040b8b7fee513f2d");
    for (size_t step = 1; step < 8000; step += step == 1 ? 998 : 6920) { /* 1, 999, 7919 */
        for (size_t i = 0; i < COUNT(many); i++) {
            snprintf(names[i], sizeof names[i], "b%zu@example.org", i * step % 1000);
            many[i] = span_of(names[i]);
        }
        digest(&always, many, COUNT(many), hex);
        cr_expect_str_eq(hex, "1214052b46686016751ff55b6deee647d3056d0c8cebe146eaceade380adb676",
                         "step %zu", step);
    }
}

/* By default it is made only where the client hears one reply for results that may differ. */
Test(digest, auto_is_where_results_may_be_mixed)
{
    for (unsigned bits = 0; bits < 256; bits++) {
        const bool per = bits & 1, each = bits & 2, lmtp = bits & 4, single = bits & 8,
                   prdr = bits & 16, two = bits & 32;
        const uint64_t kind = bits >> 6;
        const struct config c = {.digest = kind == 3 ? CONFIG_DIGEST_AUTO : kind,
                                 .deliver_per = per ? CONFIG_PER_RECIPIENT : CONFIG_PER_MESSAGE,
                                 .deliver_replies = each,
                                 .smtp = {.lmtp = lmtp, .single = single}};
        const struct smtp_transaction t = {.recipients = two ? 2 : 1, .prdr = prdr};
        const bool mixed = two && (per || each) && !lmtp && !single && !prdr;
        struct digest d;

        digest_open(&d, &c, &t);
        cr_expect_eq(d.wanted,
                     c.digest == CONFIG_DIGEST_ALWAYS || (c.digest == CONFIG_DIGEST_AUTO && mixed),
                     "bits %x", bits);
    }
}

Test(number, parse)
{
    uint64_t n = 42;

    cr_expect_eq(number_parse(SPAN("18446744073709551615"), UINT64_MAX, &n), NUMBER_OK);
    cr_expect_eq(n, UINT64_MAX);
    n = 42;
    cr_expect_eq(number_parse(SPAN("18446744073709551616"), UINT64_MAX, &n), NUMBER_TOO_BIG);
    cr_expect_eq(number_parse(SPAN("99999999999999999999"), UINT64_MAX, &n), NUMBER_TOO_BIG);
    cr_expect_eq(number_parse(SPAN("11"), 10, &n), NUMBER_TOO_BIG);
    cr_expect_eq(number_parse(SPAN(""), 10, &n), NUMBER_SYNTAX);
    cr_expect_eq(number_parse(SPAN("-1"), 10, &n), NUMBER_SYNTAX);
    cr_expect_eq(number_parse(SPAN("+1"), 10, &n), NUMBER_SYNTAX);
    cr_expect_eq(number_parse(SPAN(" 1"), 10, &n), NUMBER_SYNTAX);
    cr_expect_eq(number_parse(SPAN("0x1"), 100, &n), NUMBER_SYNTAX);
    cr_expect_eq(n, 42, "untouched on failure");
    cr_expect_eq(number_parse(SPAN("007"), 10, &n), NUMBER_OK);
    cr_expect_eq(n, 7);
}

Test(number, sizes_and_times)
{
    uint64_t n = 0;

    cr_expect_eq(number_parse_size(SPAN("25M"), UINT64_MAX, &n), NUMBER_OK);
    cr_expect_eq(n, 25U << 20);
    cr_expect_eq(number_parse_size(SPAN("17179869184G"), UINT64_MAX, &n), NUMBER_TOO_BIG);
    cr_expect_eq(number_parse_size(SPAN("1T"), UINT64_MAX, &n), NUMBER_SYNTAX);
    cr_expect_eq(number_parse_size(SPAN("M"), UINT64_MAX, &n), NUMBER_SYNTAX);
    cr_expect_eq(number_parse_time(SPAN("5m"), UINT64_MAX, &n), NUMBER_OK);
    cr_expect_eq(n, 300000);
    cr_expect_eq(number_parse_time(SPAN("200ms"), UINT64_MAX, &n), NUMBER_OK);
    cr_expect_eq(n, 200);
    cr_expect_eq(number_parse_time(SPAN("3"), UINT64_MAX, &n), NUMBER_OK);
    cr_expect_eq(n, 3000);
    cr_expect_eq(number_parse_time(SPAN("1w"), UINT64_MAX, &n), NUMBER_SYNTAX);
}
