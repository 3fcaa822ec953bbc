/* Eva's entries for the parts of the protocol, each alone: what reads a line, a message, a path or
 * a name, and what makes a result, a trace field or a date. No session is opened here: session.c
 * does that. */
#include "any.h"
#include "smtp/header.h"
#include "smtp/result.h"
#include "smtp/session.h"
#include "smtp/trace.h"

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
