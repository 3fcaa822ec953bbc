/* Each reply's two codes, against IANA's registry and RFC 5321. */
#include "smtp/reply.h"
#include "smtp/result.h"
#include "unit.h"

enum { BASIC_MAX = 16 };

static const struct registered {
    unsigned subject, detail, basic[BASIC_MAX]; /* basic[0] is 0: each */
} registry[] = {
#define ENHANCED(subject, detail, ...) {subject, detail, {__VA_ARGS__}},
#define BESIDE(code, subject, detail)
#include "../enhanced_codes.h"
#undef ENHANCED
#undef BESIDE
};

static const struct {
    unsigned code, subject, detail;
} beside[] = {
#define ENHANCED(subject, detail, ...)
#define BESIDE(code, subject, detail) {code, subject, detail},
#include "../enhanced_codes.h"
#undef ENHANCED
#undef BESIDE
};

static const struct registered *find(struct span enhanced, unsigned *class)
{
    char text[16];
    unsigned subject, detail;
    int n = 0;

    snprintf(text, sizeof text, "%.*s", SPAN_FORMAT(enhanced));
    if (sscanf(text, "%u.%u.%u%n", class, &subject, &detail, &n) != 3 || (size_t)n != enhanced.n)
        return NULL;
    for (size_t i = 0; i < COUNT(registry); i++)
        if (registry[i].subject == subject && registry[i].detail == detail)
            return &registry[i];
    return NULL;
}

static bool has(const struct registered *r, unsigned code)
{
    for (size_t i = 0; i < BASIC_MAX && r->basic[i] != 0; i++)
        if (r->basic[i] == code)
            return true;
    return r->basic[0] == 0;
}

static bool is_beside(const struct registered *r, unsigned code)
{
    for (size_t i = 0; i < COUNT(beside); i++)
        if (beside[i].code == code && beside[i].subject == r->subject &&
            beside[i].detail == r->detail)
            return true;
    return false;
}

static void expect_registered(const struct smtp_reply *reply, const char *what, unsigned number)
{
    unsigned class = 0;
    const struct registered *r = find(reply->enhanced, &class);

    cr_expect(r != NULL, "%s %u: %.*s is registered", what, number, SPAN_FORMAT(reply->enhanced));
    if (r == NULL)
        return;
    cr_expect_eq(class, reply->code / 100, "%s %u: %u %.*s: one class", what, number, reply->code,
                 SPAN_FORMAT(reply->enhanced));
    cr_expect(has(r, reply->code) || is_beside(r, reply->code), "%s %u: %u goes with %.*s", what,
              number, reply->code, SPAN_FORMAT(reply->enhanced));
}

/* RFC 2034 4: each 2yz, 4yz and 5yz has an enhanced code, but for the greeting and what EHLO gets;
 * a 3yz has none. */
Test(reply, enhanced_codes_are_registered)
{
    for (unsigned id = 0; id < SMTP_REPLY_COUNT; id++) {
        const struct smtp_reply *r = smtp_reply((enum smtp_reply_id)id);

        if (r->code / 100 == 3 || id == SMTP_REPLY_GREETING || id == SMTP_REPLY_GREETING_LMTP ||
            id == SMTP_REPLY_HELLO)
            cr_expect_eq(r->enhanced.n, 0, "reply %u", id);
        else
            expect_registered(r, "reply", id);
    }
}

Test(reply, so_are_those_of_a_delivery)
{
    static const char *const mapped[] = {"1:250", "1:450", "1:451", "1:452",
                                         "1:550", "1:552", "1:554"};
    struct smtp_reply reply = smtp_result_of_failure();

    expect_registered(&reply, "failure", 0);
    for (unsigned status = 0; status < 256; status++) {
        reply = smtp_result_of_exit(NULL, status);
        expect_registered(&reply, "status", status);
        reply = smtp_result_of_qmail_queue(status);
        expect_registered(&reply, "qmail-queue's status", status);
    }
    for (size_t i = 0; i < COUNT(mapped); i++) {
        struct smtp_exit_map map = {{0}};

        cr_assert(smtp_exit_map_add(&map, span_of(mapped[i])), "%s", mapped[i]);
        reply = smtp_result_of_exit(&map, 1);
        expect_registered(&reply, "mapped", (unsigned)i);
    }
}

/* The basic code for a command's enhanced code: one that DATA may have (RFC 5321 4.3.2), and one of
 * the registry's where it has such. */
Test(reply, an_enhanced_code_gets_a_basic_code_that_goes_with_it)
{
    static const unsigned data[] = {450, 451, 452, 550, 552, 554};

    for (size_t i = 0; i < COUNT(registry); i++)
        for (unsigned class = 4; class <= 5; class ++) {
            const struct registered *r = &registry[i];
            bool possible = false, known = false;
            char text[16];
            unsigned code;

            snprintf(text, sizeof text, "%u.%u.%u", class, r->subject, r->detail);
            code = smtp_code_of_enhanced(span_of(text));
            for (size_t k = 0; k < COUNT(data); k++) {
                known = known || data[k] == code;
                possible = possible || (data[k] / 100 == class && has(r, data[k]));
            }
            cr_expect(known, "%s: %u is a reply to DATA", text, code);
            cr_expect_eq(code / 100, class, "%s: %u", text, code);
            cr_expect(!possible || has(r, code) || is_beside(r, code), "%s: %u goes with it", text,
                      code);
        }
}

Test(reply, policy_replies_without_an_enhanced_code)
{
    static const char *const words[] = {"421 x", "450 x", "451 x", "454 x",
                                        "550 x", "551 x", "554 x"};

    for (size_t i = 0; i < COUNT(words); i++) {
        char bytes[SMTP_RESULT_TEXT_MAX];
        struct text room = TEXT(bytes);
        struct smtp_reply reply;

        cr_assert(smtp_result_of_words(&reply, span_of(words[i]), &room), "%s", words[i]);
        expect_registered(&reply, words[i], 0);
    }
}
