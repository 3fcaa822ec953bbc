#include "request_input.h"

#include "sandbox/packet.h"
#include "smtp/extra.h"

/* Each word has one of the keywords and a value, and no keyword comes twice. */
static void check_list(struct span extras, const char *const *keywords, size_t n)
{
    unsigned seen = 0;
    struct span word;

    promise(extras.n <= SMTP_EXTRAS_MAX && !span_has_control(extras) && utf8_valid(extras));
    while (span_word(&extras, " ", &word)) {
        const struct span keyword = span_first(word, span_find(word, '='));
        unsigned which = 0;

        for (size_t i = 0; i < n; i++)
            if (span_eq(keyword, span_of(keywords[i])))
                which = 1U << i;
        promise(which != 0 && !(seen & which) && word.n > keyword.n + 1);
        seen |= which;
    }
}

/* What the command would be told: only what is on, of its own kind, without an octet that ends a
 * word or a line. */
void check_extras(const struct smtp_session *s)
{
    static const char *const of_mail[] = {"RET", "ENVID",   "MT-PRIORITY",
                                          "BY",  "HOLDFOR", "HOLDUNTIL"};
    static const char *const of_rcpt[] = {"NOTIFY", "ORCPT"};
    const struct smtp_options *o = s->options;
    const struct smtp_transaction *t = &s->transaction;

    check_list(t->extras, of_mail, sizeof of_mail / sizeof *of_mail);
    promise(o->dsn || (smtp_extra(t->extras, SPAN("RET")).p == NULL &&
                       smtp_extra(t->extras, SPAN("ENVID")).p == NULL));
    promise(o->mt_priority || smtp_extra(t->extras, SPAN("MT-PRIORITY")).p == NULL);
    promise(o->deliver_by || smtp_extra(t->extras, SPAN("BY")).p == NULL);
    promise(t->release <= s->now + o->future_release / 1000);
    for (const struct smtp_recipient *r = t->first; r != NULL; r = r->next) {
        const struct span extras = span_of(r->extras);

        check_list(extras, of_rcpt, sizeof of_rcpt / sizeof *of_rcpt);
        promise(extras.n == 0 || o->dsn);
        promise(span_is_ascii(extras) || t->smtputf8);
    }
}

uint64_t input_number(const uint8_t **p, const uint8_t *end)
{
    const uint64_t n = *p < end ? *(*p)++ : 0;

    return n == 255 ? UINT64_MAX : n == 254 ? 65536 : n;
}

struct span input_octets(const uint8_t **p, const uint8_t *end)
{
    const size_t n = (size_t)input_number(p, end) % 64;
    const struct span s = {.p = (const char *)*p,
                           .n = n < (size_t)(end - *p) ? n : (size_t)(end - *p)};

    *p += s.n;
    return s;
}

/* A list of parameters: good ones, some of them of the other command, and what is none. */
struct span input_extras(const uint8_t **p, const uint8_t *end)
{
    static const char *const lists[] = {"RET=FULL",
                                        "RET=HDRS ENVID=a+2Bb",
                                        "MT-PRIORITY=-9 BY=60;RT",
                                        "HOLDFOR=60",
                                        "HOLDUNTIL=2026-11-23T19:00:00Z",
                                        "NOTIFY=NEVER",
                                        "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb",
                                        "ORCPT=utf-8;a\\x{E4}\xc3\xa4",
                                        "RET=FULL RET=FULL",
                                        "SIZE=5"};
    const uint64_t n = input_number(p, end);

    return n < sizeof lists / sizeof *lists ? span_of(lists[n])
           : n & 1                          ? input_octets(p, end)
                                            : SPAN("");
}

/* One recipient, as `added` has it. */
void input_recipient(struct text *room, const uint8_t **p, const uint8_t *end)
{
    char one[600];
    struct text text = TEXT(one);
    const struct span extras = input_extras(p, end);

    text_add(&text, SPAN("b@example.org"));
    if (extras.n > 0) {
        text_addc(&text, '\0');
        text_add(&text, extras);
    }
    packet_put(room, text_span(&text));
}

/* Recipients, most of them good ones; or something. */
struct span input_recipients(const uint8_t **p, const uint8_t *end, struct text *room)
{
    for (uint64_t n = input_number(p, end) % 4; n > 0; n--)
        if (n == 3)
            packet_put(room, input_octets(p, end));
        else
            input_recipient(room, p, end);
    if (input_number(p, end) == 1)
        text_add(room, input_octets(p, end));
    return text_span(room);
}
