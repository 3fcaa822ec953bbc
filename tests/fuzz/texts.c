/* Each parser of one foreign text; the first octet chooses it. */
#include "adapters/command.h"
#include "base/number.h"
#include "config/setting.h"
#include "smtp/header.h"
#include "smtp/result.h"
#include "smtp/session.h"
#include "syntax/macro.h"
#include "syntax/network.h"
#include "syntax/tls_facts.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path that is taken is taken again, as itself: the monitor relies on it. */
static void try_path(struct span in, bool forward)
{
    static char room[1 << 14], again_room[1 << 14], text[1 << 12];
    static const struct smtp_tolerance tolerance = {.kinds = ~0U,
                                                    .domain = {.p = "own.example", .n = 11}};
    struct arena a = {.base = room, .cap = sizeof room};
    struct arena b = {.base = again_room, .cap = sizeof again_room};
    struct smtp_mailbox mailbox, again;
    struct text path = TEXT(text);
    struct span left = in;

    if ((forward ? smtp_forward_path : smtp_reverse_path)(&left, &a, &mailbox, &tolerance) !=
        SMTP_PATH_OK)
        return;
    promise(left.n < in.n && mailbox.address.n <= 1024);
    promise(mailbox.address.p[mailbox.address.n] == '\0' && utf8_valid(mailbox.address));
    for (size_t i = 0; i < mailbox.address.n; i++)
        promise(!byte_is_control(mailbox.address.p[i]));
    text_addc(&path, '<');
    text_add(&path, mailbox.address);
    text_addc(&path, '>');
    left = text_span(&path);
    promise((forward ? smtp_forward_path : smtp_reverse_path)(&left, &b, &again, &tolerance) ==
            SMTP_PATH_OK);
    promise(left.n == 0 && span_eq(again.address, mailbox.address));
    promise(span_eq(again.local, mailbox.local) && span_eq(again.domain, mailbox.domain));
}

static void try_lines(struct span in)
{
    struct smtp_line whole = {0}, slow = {0};
    size_t at = 0, seen = 0, used;
    struct span line, slow_line;

    /* Octet by octet, the same lines are found. */
    while (at < in.n) {
        const enum smtp_line_result found = smtp_line_scan(&whole, span_from(in, at), &line, &used);
        enum smtp_line_result then = SMTP_LINE_MORE;
        size_t start = at, n;

        promise(used <= in.n - at);
        at += used;
        for (seen = seen > start ? seen : start; then == SMTP_LINE_MORE && seen <= in.n; seen++) {
            then = smtp_line_scan(&slow, span_first(span_from(in, start), seen - start), &slow_line,
                                  &n);
            start += n;
            if (then != SMTP_LINE_MORE)
                break;
        }
        promise(found == then);
        if (found == SMTP_LINE_MORE)
            break;
        promise(start == at);
        if (found == SMTP_LINE_READY)
            promise(span_eq(line, slow_line));
        /* There, a session ends: what is behind may be a line or the rest of a long one. */
        if (found == SMTP_LINE_BARE_LF || found == SMTP_LINE_BARE_CR)
            break;
    }
}

static void try_result(struct span in)
{
    char room[2 * SMTP_RESULT_TEXT_MAX], line[SMTP_REPLY_MAX];
    struct text text = TEXT(room), out = TEXT(line);
    struct smtp_reply r = smtp_result_of_exit(NULL, in.n > 0 ? (unsigned char)in.p[0] : 0);
    const bool good = r.code < 400;
    struct smtp_exit_map map = {{0}};

    smtp_result_refine(&r, in, in.n % 2 == 0, &text);
    promise((r.code < 400) == good && r.code >= 200 && r.code < 600);
    smtp_reply_line(&out, &r, true, true, SPAN(""));
    promise(out.n <= SMTP_REPLY_LINE_MAX && out.p[out.n - 1] == '\n');
    text = TEXT(room);
    if (smtp_result_of_line(&r, in, &text))
        promise(r.code == 250 || r.code >= 400);
    text = TEXT(room);
    if (smtp_result_of_words(&r, in, &text)) {
        promise(r.code >= 400 && r.code < 600);
        smtp_result_add_words(&r, in, &text);
    }
    smtp_exit_map_add(&map, in);
}

static void try_texts(struct span in)
{
    char room[4096], address[INET6_ADDRSTRLEN + 1];
    struct text out = TEXT(room);
    struct arena a = {.base = room, .cap = sizeof room};
    struct words words;
    struct network n;
    uint64_t number;

    text_add_escaped(&out, in, "\"\\");
    for (size_t i = 0; i < out.n; i++)
        promise(!byte_is_control(room[i]));
    promise(out.cut || utf8_valid(text_span(&out)));
    number_parse(in, 1000, &number);
    number_parse_size(in, UINT64_MAX, &number);
    number_parse_time(in, UINT64_MAX, &number);
    if (network_parse(in, &n)) {
        promise(n.prefix <= 128);
        network_address(n.address, address, sizeof address);
    }
    network_list_has(in, SPAN("192.0.2.1"));
    smtp_is_domain(in, true);
    smtp_is_literal(in);
    smtp_is_ipv6(in);
    smtp_is_helo_name(in, ~0U);
    macro_check(in);
    words_split(in, &a, &words);
}

/* What has come of a message is enough to tell how it begins, or it is not; it never tells two
 * things. */
static void try_header(struct span in)
{
    static struct smtp_header h;
    const enum smtp_start start = smtp_header_start(in, true);
    enum smtp_start now = SMTP_START_MORE;

    promise(start != SMTP_START_MORE);
    for (size_t n = 0; n <= in.n && n < 5000; n++) {
        now = smtp_header_start(span_first(in, n), false);
        promise(now == SMTP_START_MORE || now == start);
        promise(now != SMTP_START_MORE || n <= 2 * SMTP_FIELD_NAME_MAX + 8);
    }
    smtp_header_read(&h, in, SPAN("mx"));
    promise(!h.none || !h.broken);
    promise(h.n <= SMTP_OWN_MAX);
    for (size_t i = 0; i < h.n; i++)
        promise(h.delivered_to[i].p >= in.p &&
                h.delivered_to[i].p + h.delivered_to[i].n <= in.p + in.n);
    smtp_header_has(&h, SPAN("jane@example.org"));
}

/* What is taken of facts is in the input, is no more than that, and ends no line and no comment:
 * certificates' subjects and the verdict go into no comment. */
static void try_facts(struct span in)
{
    struct tls_facts f;
    const bool known = tls_facts_read(in, &f);
    const struct span all[] = {f.protocol, f.cipher,    f.cipher_iana, f.bits,
                               f.group,    f.sni,       f.name,        f.verify,
                               f.subject,  f.issuer,    f.fingerprint, f.key_fingerprint,
                               f.exporter, f.end_point, f.server_end};
    int64_t days;

    promise(known == (f.protocol.n > 0));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        promise(all[i].n == 0 || (all[i].p > in.p && all[i].p + all[i].n < in.p + in.n));
        for (size_t k = 0; k < all[i].n; k++) {
            const char c = all[i].p[k];

            promise(c >= ' ' && c <= '~');
            promise(i > 6 || (c != '(' && c != ')' && c != '\\'));
        }
    }
    if (tls_days_left(f.server_end, 1800000000, &days))
        promise(days >= -1);
    tls_days_left(in, 0, &days);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in;

    if (size < 1)
        return 0;
    in = (struct span){.p = (const char *)data + 1, .n = size - 1};
    if (data[0] == 'h') {
        try_header(in);
        return 0;
    }
    if (data[0] == 't') {
        try_facts(in);
        return 0;
    }
    switch (data[0] % 5) {
    case 0:
        try_path(in, true);
        break;
    case 1:
        try_path(in, false);
        break;
    case 2:
        try_lines(in);
        break;
    case 3:
        try_result(in);
        break;
    default:
        try_texts(in);
    }
    return 0;
}
