/* Entry points for Frama-C's Eva: each feeds one part of the protocol core with any bytes.
 *
 * The input ends where its object ends, so that one byte too far is seen, and it lies on a "weak"
 * heap block (-eva-alloc-builtin fresh_weak): a test of a byte does not split the state, so what
 * remains to be kept apart is lengths and places. */
#include "base/arena.h"
#include "base/number.h"
#include "base/sha256.h"
#include "base/text.h"
#include "smtp/header.h"
#include "smtp/param.h"
#include "smtp/result.h"
#include "smtp/session.h"
#include "smtp/trace.h"

#include "__fc_builtin.h"
#include <stdlib.h>
#include <string.h>

#ifndef BYTES
#define BYTES 7
#endif
#ifndef LINE
#define LINE 13
#endif

static uint64_t any_number(void)
{
    return Frama_C_unsigned_long_long_interval(0, UINT64_MAX);
}

static bool any_bool(void)
{
    return Frama_C_interval(0, 1);
}

/* 0 to `most` unknown bytes, the last one of which is the last one of its object. */
static struct span any_bytes(size_t least, size_t most)
{
    char *room = calloc(most, 1);
    size_t n = (size_t)Frama_C_interval((int)least, (int)most);

    //@ split n;
    Frama_C_make_unknown(room, most);
    return (struct span){.p = room + most - n, .n = n};
}

/* On a strong block, where Eva knows that two places are of one object; long enough for eight
 * octets at once, twice. */
static char strong[17];

void eva_find(void)
{
    size_t n = (size_t)Frama_C_interval(0, sizeof strong);
    struct span s = {.p = strong, .n = 0};

    //@ split n;
    Frama_C_make_unknown(strong, sizeof strong);
    s.p = strong + sizeof strong - n;
    s.n = n;
    switch (Frama_C_interval_split(0, 4)) {
    case 0:
        (void)span_find(s, Frama_C_char_interval(-128, 127));
        break;
    case 1:
        (void)span_find_line_end(s);
        break;
    case 2:
        (void)span_has_control_but_tab(s);
        break;
    case 3:
        (void)span_is_ascii(s);
        break;
    default:
        (void)span_eq(s, s);
        break;
    }
}

void eva_span(void)
{
    struct span s = any_bytes(0, BYTES), t, word;
    size_t from = (size_t)any_number();

    switch (Frama_C_interval_split(0, 7)) {
    case 0:
        t = any_bytes(0, BYTES);
        (void)span_eq(s, t);
        (void)span_eq_nocase(s, t);
        (void)span_starts_nocase(s, t);
        break;
    case 1:
        (void)utf8_valid(s);
        break;
    case 2:
        (void)span_trim(s);
        break;
    case 3: /* the empty span that has no place */
        t = span_of(NULL);
        (void)span_eq(s, t);
        (void)span_starts_nocase(s, t);
        (void)utf8_valid(t);
        (void)span_find(t, 'x');
        (void)span_trim(t);
        (void)span_first(span_from(t, from), from);
        (void)span_word(&t, " ", &word);
        break;
    case 4:
        (void)span_first(span_from(s, from), from);
        break;
    case 5:
        (void)byte_hex(Frama_C_char_interval(-128, 127));
        break;
    case 6:
        while (span_word(&s, " \t,", &word))
            ;
        break;
    default:
        break;
    }
}

void eva_number(void)
{
    struct span s = any_bytes(0, BYTES);
    uint64_t most = any_number(), out;

    (void)number_parse(s, most, &out);
    (void)number_parse_size(s, most, &out);
    (void)number_parse_time(s, most, &out);
}

void eva_text(void)
{
    char room[8];
    struct text t = TEXT(room);
    struct span s = any_bytes(0, 5);
    size_t n = (size_t)Frama_C_interval(0, 8);

    t.n = n;
    //@ split n;
    for (size_t i = 0; i < n; i++)
        room[i] = 'x';
    t.n = n;
    switch (Frama_C_interval_split(0, 5)) {
    case 0:
        text_add(&t, s);
        break;
    case 1:
        text_addn(&t, any_number(), Frama_C_unsigned_int_interval(0, UINT32_MAX));
        break;
    case 2:
        text_add32(&t, any_number());
        break;
    case 3:
        text_add_escaped(&t, s, "\\");
        break;
    case 4:
        text_addc(&t, 'x');
        break;
    default:
        text_adds(&t, NULL);
        break;
    }
    (void)text_string(&t);
}

void eva_arena(void)
{
    char room[BYTES];
    size_t n = (size_t)Frama_C_interval(0, BYTES), m = (size_t)Frama_C_interval(0, BYTES);
    struct arena a = {.base = room, .cap = BYTES}, b;
    struct span s = any_bytes(0, BYTES);
    void *p;

    //@ split n;
    //@ split m;
    p = arena_get(&a, n);
    if (p != NULL && m <= n)
        arena_shrink(&a, p, m);
    (void)arena_copy(&a, s);
    b = arena_behind(&a, BYTES);
    (void)arena_copy(&b, s);
}

void eva_sha256(void)
{
    static const unsigned char held[] = {0, 55, 56, 63};
    struct sha256 h;
    char hex[64];
    const unsigned char n = held[Frama_C_interval_split(0, 3)];

    Frama_C_make_unknown((char *)&h, sizeof h);
    h.octets = (any_number() / 128) * 64 + n;
    if (Frama_C_interval_split(0, 1))
        sha256_close(&h, hex);
    else
        sha256_add(&h, any_bytes(0, 66));
}

void eva_line(void)
{
    struct smtp_line l = {.discarding = any_bool()};
    struct span in = any_bytes(0, BYTES), line;
    size_t used;

    switch (smtp_line_scan(&l, in, &line, &used)) {
    case SMTP_LINE_READY:
        /*@ assert line.n <= in.n; */
        /*@ assert \valid_read(line.p + (0 .. line.n - 1)); */
        break;
    default:
        break;
    }
    /*@ assert used <= in.n; */
}

void eva_data(void)
{
    struct smtp_data d = {.max_size = any_number(),
                          .max_line = any_number(),
                          .max_received = any_number(),
                          .crlf = any_bool(),
                          .fault = (enum smtp_data_fault)Frama_C_interval(0, SMTP_DATA_BARE_CR),
                          .ended = any_bool(),
                          .size = any_number(),
                          .state = (unsigned char)Frama_C_interval(0, 4),
                          .in_body = any_bool(),
                          .matched = 0,
                          .received = any_number(),
                          .line = any_number(),
                          .lines = any_number()};
    static const unsigned char matches[] = {0, 8, 10};
    const unsigned matched = matches[Frama_C_interval_split(0, 2)];
    struct span in = any_bytes(0, 3);
    char out[4];
    size_t room = (size_t)Frama_C_interval(2, 4), n;

    //@ split room;
    d.matched = matched;
    d.normalize = any_bool();
    n = smtp_data_decode(&d, &in, out + 4 - room, room);
    /*@ assert n <= room; */
}

static void any_path(bool forward, struct span in)
{
    static char room[256];
    struct arena a = {.base = room, .cap = 256};
    const struct smtp_tolerance t = {.kinds = (unsigned)Frama_C_interval(0, 31),
                                     .domain = {.p = "b.c", .n = 3}};
    struct smtp_mailbox box;
    enum smtp_path_result result =
        forward ? smtp_forward_path(&in, &a, &box, &t) : smtp_reverse_path(&in, &a, &box, &t);

    if (result == SMTP_PATH_OK)
        (void)smtp_is_dot_string(box.local);
}

void eva_path(void)
{
    any_path(any_bool(), any_bytes(0, BYTES));
}

void eva_header(void)
{
    static struct smtp_header h;
    struct span in = any_bytes(0, 5);

    (void)smtp_header_start(in, any_bool());
    smtp_header_read(&h, in, any_bool() ? SPAN("m") : SPAN(""));
    (void)smtp_header_has(&h, SPAN("a@b"));
}

void eva_name(void)
{
    struct span s = any_bytes(0, BYTES);

    (void)smtp_is_domain(s, any_bool());
    (void)smtp_is_literal(s);
    (void)smtp_is_ipv6(s);
    (void)smtp_is_dot_string(s);
}

static const struct smtp_options options = {
    .hostname = {.p = "mx.example.net", .n = 14},
    .max_message_size = UINT64_MAX,
    .max_recipients = 2,
    .max_errors = UINT64_MAX,
    .max_refused_recipients = UINT64_MAX,
    .smtputf8 = true,
    .max_commands = UINT64_MAX,
    .max_transactions = UINT64_MAX,
    .max_received = 100,
    .max_text_line = 1000,
};

static char replies[SMTP_REPLY_MAX], block[2048];
static struct text out;
static struct arena arena;
static struct smtp_session session;
static struct smtp_options opt;

static void open_session(void)
{
    opt = options;
    opt.lmtp = any_bool();
    opt.prdr = any_bool();
    opt.single = any_bool();
    opt.helo_required = any_bool();
    out = TEXT(replies);
    arena = (struct arena){.base = block, .cap = sizeof block};
    smtp_session_open(&session, &opt, &out, &arena, any_bool());
}

void eva_param(void)
{
    open_session();
    (void)smtp_parameters(&session, any_bool() ? "MAIL" : "RCPT", any_bytes(0, BYTES));
}

static void after(enum smtp_want want)
{
    out.n = 0;
    if (want == SMTP_NEXT_DECISION) {
        struct smtp_verdict v = {.opinion =
                                     (enum smtp_opinion)Frama_C_interval_split(0, SMTP_DEFER)};

        if (Frama_C_interval_split(0, 1))
            v.reply = (struct smtp_reply){
                .code = 550, .enhanced = SPAN("5.7.1"), .text = SPAN("no %"), .rule = "rule"};
        (void)smtp_session_decided(&session, &v);
    } else if (want == SMTP_NEXT_DATA) {
        struct smtp_data d;

        smtp_session_decoder(&session, &d);
        d.fault = (enum smtp_data_fault)Frama_C_interval_split(0, SMTP_DATA_BARE_CR);
        d.ended = any_bool();
        want = smtp_session_collected(&session, &d);
        out.n = 0;
        if (want == SMTP_NEXT_DELIVERY) {
            for (struct smtp_recipient *r = session.transaction.first; r != NULL; r = r->next)
                if (Frama_C_interval_split(0, 1))
                    r->result = smtp_result_of_failure();
                else
                    r->result = smtp_result_of_exit(NULL, 0);
            want = smtp_session_delivered(&session);
        }
        while (want == SMTP_NEXT_MORE) {
            out.n = 0;
            want = smtp_session_more(&session);
        }
    }
    (void)smtp_session_protocol(&session, any_bool());
}

static void counters(void)
{
    session.commands = any_number();
    session.errors = any_number();
    session.refused_recipients = any_number();
    session.transactions = any_number();
}

/* A session led to one of its phases, then one line of any bytes, behind `start`. */
static void any_line(unsigned phase, struct span line)
{
    static const struct smtp_verdict yes = {.opinion = SMTP_ACCEPT};

    open_session();
    out.n = 0;
    if (phase > 0)
        smtp_session_line(&session, opt.lmtp ? SPAN("LHLO a.b") : SPAN("EHLO a.b"));
    out.n = 0;
    if (phase > 1)
        smtp_session_line(&session, SPAN("MAIL FROM:<a@b>"));
    out.n = 0;
    if (phase > 2)
        if (smtp_session_line(&session, SPAN("RCPT TO:<c@d>")) == SMTP_NEXT_DECISION)
            smtp_session_decided(&session, &yes);
    out.n = 0;
    counters();
    after(smtp_session_line(&session, line));
}

void eva_session0(void)
{
    any_line(0, any_bytes(0, BYTES));
}

void eva_session1(void)
{
    any_line(1, any_bytes(LINE - 1, LINE - 1));
}

void eva_session2(void)
{
    any_line(2, any_bytes(LINE, LINE));
}

void eva_session3(void)
{
    any_line(3, any_bytes(0, 4));
}

void eva_bad_line(void)
{
    open_session();
    out.n = 0;
    counters();
    after(smtp_session_bad_line(&session, (enum smtp_line_result)Frama_C_interval_split(2, 4)));
}

void eva_reply(void)
{
    struct smtp_reply r;
    struct span argument = any_bytes(0, 2);

    out = TEXT(replies);
    if (Frama_C_interval_split(0, 1)) {
        r = *smtp_reply((enum smtp_reply_id)Frama_C_interval_split(0, SMTP_REPLY_COUNT - 1));
        smtp_reply_line(&out, &r, any_bool(), any_bool(), argument);
    } else { /* longer than a line may be */
        smtp_reply_line(&out, smtp_reply(SMTP_REPLY_BYE), true, true, any_bytes(501, 501));
    }
}

void eva_result(void)
{
    struct text t = {.p = calloc(16, 1), .cap = 16};
    struct smtp_exit_map map = {0};
    struct smtp_reply r = *smtp_reply(SMTP_REPLY_OK);
    struct span s = any_bytes(0, BYTES);

    switch (Frama_C_interval_split(0, 3)) {
    case 0:
        r.code = Frama_C_unsigned_int_interval(0, 999);
        smtp_result_refine(&r, s, any_bool(), &t);
        break;
    case 1:
        (void)smtp_result_of_line(&r, s, &t);
        break;
    case 2:
        (void)smtp_code_of_enhanced(s);
        break;
    default:
        Frama_C_make_unknown((char *)&map, sizeof map);
        (void)smtp_result_of_exit(&map, Frama_C_unsigned_int_interval(0, UINT32_MAX));
        (void)smtp_result_of_qmail_queue(Frama_C_unsigned_int_interval(0, UINT32_MAX));
        break;
    }
}

void eva_exit_map(void)
{
    struct smtp_exit_map map = {0};

    (void)smtp_exit_map_add(&map, SPAN("qmail sysexits 69:550"));
    (void)smtp_exit_map_add(&map, any_bytes(0, 7));
    (void)smtp_result_of_exit(&map, Frama_C_unsigned_int_interval(0, UINT32_MAX));
}

void eva_trace(void)
{
    char room[256];
    struct text t = TEXT(room);
    struct smtp_trace trace = {.hostname = SPAN("mx.example.net"),
                               .helo = any_bytes(0, 1),
                               .client_name = any_bytes(0, 1),
                               .client_address = any_bytes(0, 1),
                               .protocol = SPAN("ESMTP"),
                               .id = SPAN("x"),
                               .recipient = any_bytes(0, 1),
                               .sender = any_bytes(0, 1),
                               .time = any_number(),
                               .crlf = any_bool()};

    switch (Frama_C_interval(0, 2)) {
    case 0:
        smtp_trace_return_path(&t, &trace);
        break;
    case 1:
        smtp_trace_delivered_to(&t, &trace);
        break;
    default:
        trace.time = 0;
        smtp_trace_received(&t, &trace);
        break;
    }
}

void eva_date(void)
{
    char room[48];
    struct text t = TEXT(room);
    /* From 1970, 2000 and 2100: leap years of each kind; and the most that a clock can say. */
    static const uint64_t from[] = {0, 10957, 47482, 213503982334581};
    const int which = Frama_C_interval_split(0, 3);
    const int days = which == 3 ? 20 : 800;

    smtp_trace_date(&t, from[which] * 86400 + (uint64_t)Frama_C_interval(0, days * 86400 - 1));
}
