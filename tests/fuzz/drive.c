#include "drive_state.h"

#include <stdlib.h>
#include <string.h>

unsigned long drive_mix(unsigned long sum, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ (unsigned char)p[i]) * 0x100000001b3UL;
    return sum;
}

unsigned long drive_address_sum(const struct drive *d, struct span address)
{
    return drive_mix(FNV_START + d->in->verdicts, address.p, address.n);
}

unsigned long drive_random(struct drive *d)
{
    d->random = d->random * 6364136223846793005UL + 1442695040888963407UL;
    return d->random >> 33;
}

static struct smtp_options drive_options(unsigned bits)
{
    return (struct smtp_options){
        .hostname = {.p = "mx.example.org", .n = 14},
        .lmtp = bits & 1,
        .prdr = bits & 2,
        .single = bits & 4,
        .helo_required = bits & 8,
        .max_message_size = bits & 16 ? 100 : 1 << 20,
        .max_recipients = bits & 32 ? 2 : 100,
        .max_errors = bits & 64 ? 3 : 1000,
        .smtputf8 = true,
        .chunking = true,
        .binarymime = bits & 4,
        .max_discarded_size = bits & 64 ? 100 : 1 << 20,
        .max_refused_recipients = 1000,
        .max_commands = bits & 128 ? 8 : 10000,
        .max_transactions = bits & 128 ? 2 : 1000,
        .max_received = bits & 256 ? 1 : 100,
        .max_text_line = bits & 256 ? 40 : 65536,
        .tls = bits >> 10 & 3,
        .requiretls = bits & 2,
        .dsn = bits & 1,
        .mt_priority = bits & 2,
        .deliver_by = bits & 4,
        .future_release = bits & 8 ? 3600000 : 0,
        .auth = bits & 4096,
        .auth_plaintext = bits & 8192,
        .auth_required = (bits & 4096) > 0 && (bits & 16384) > 0,
        .auth_old_clients = bits & 32768,
        .max_auth_errors = MAX_AUTH_ERRORS,
        .greet_delay = bits & 32,
        .error_delay = bits & 16,
        .unexpected_pipelining = (bits & 24) == 24,
    };
}

size_t drive_replies(struct drive *d, unsigned *last)
{
    struct span said = text_span(&d->out);
    unsigned open = 0;
    size_t finals = 0;

    promise(!d->out.cut);
    d->sums.replies = drive_mix(d->sums.replies, said.p, said.n);
    while (said.n > 0) {
        const size_t lf = span_find(said, '\n');
        const struct span line = span_first(said, lf + 1);
        unsigned code;

        promise(lf < said.n && line.n <= SMTP_REPLY_LINE_MAX && line.n >= 6);
        promise(line.p[line.n - 2] == '\r');
        promise(line.p[0] >= '2' && line.p[0] <= '5' && byte_is_digit(line.p[1]) &&
                byte_is_digit(line.p[2]) && (line.p[3] == ' ' || line.p[3] == '-'));
        for (size_t i = 0; i + 2 < line.n; i++)
            promise(!byte_is_control(line.p[i]));
        code = (unsigned)(line.p[0] - '0') * 100 + (unsigned)(line.p[1] - '0') * 10 +
               (unsigned)(line.p[2] - '0');
        promise(open == 0 || open == code);
        open = line.p[3] == '-' ? code : 0;
        finals += open == 0;
        *last = code;
        d->sums.lines++;
        said = span_from(said, line.n);
    }
    promise(open == 0);
    d->out.n = 0;
    return finals;
}

bool drive_more(struct drive *d)
{
    const size_t left = d->in->bytes.n - d->visible;

    if (left == 0)
        return false;
    d->visible += d->in->pieces == 0 ? left : 1 + drive_random(d) % (left < 40 ? left : 40);
    return true;
}

struct span drive_unread(const struct drive *d)
{
    return span_from(span_first(d->in->bytes, d->visible), d->start);
}

static bool is_verb(struct span line, const char *verb)
{
    return span_starts_nocase(line, span_of(verb)) && (line.n == 4 || line.p[4] == ' ');
}

bool drive_is_too_early(const struct drive *d, unsigned code)
{
    return code == 503 && d->session.followed && d->session.said.reply.close;
}

void drive_forget(struct model *m)
{
    *m = (struct model){.open = false};
}

static enum smtp_want say_line(struct drive *d, struct span line)
{
    unsigned code = 0;
    enum smtp_want want;
    size_t n;

    if (d->options.auth)
        d->before = d->session;
    /* Of all that comes, so that it is the same in whatever pieces. */
    d->session.followed = d->options.unexpected_pipelining == 1 && d->start < d->in->bytes.n;
    want = smtp_session_line(&d->session, line);
    n = drive_replies(d, &code);

    /* A response is no command. */
    promise(!d->logged.going_on || want == SMTP_NEXT_LOGIN);
    if (want == SMTP_NEXT_LOGIN) {
        promise(n == 0 && (d->logged.going_on || is_verb(line, "AUTH")));
        return want;
    }
    if (want == SMTP_NEXT_MECHANISMS) {
        promise(n == 0 && (is_verb(line, "EHLO") || is_verb(line, "LHLO")));
        want = drive_tell_mechanisms(d);
        n = drive_replies(d, &code);
    }
    if (want == SMTP_NEXT_DECISION) {
        promise(n == 0 && d->model.open && is_verb(line, "RCPT"));
        return want;
    }
    if (want == SMTP_NEXT_TLS) {
        promise(n == 0 && !d->model.open && !d->secure);
        return want;
    }
    if (want == SMTP_NEXT_CHUNK) {
        promise(n == 0 && is_verb(line, "BDAT"));
        return want;
    }
    promise(n == 1);
    /* BDAT: where the next command begins can't be known, or is too far off. */
    promise((want == SMTP_NEXT_CLOSE) ==
            (code == 221 || code == 421 || drive_is_too_early(d, code) ||
             (span_starts_nocase(line, SPAN("BDAT")) && (code == 501 || code == 552))));
    promise(!d->session.followed || is_verb(line, "QUIT") || is_verb(line, "BDAT") ||
            span_starts_nocase(line, SPAN("STARTTLS")) || d->session.esmtp || code == 421 ||
            (span_starts_nocase(line, SPAN("BDAT")) && code == 501) || drive_is_too_early(d, code));
    if (is_verb(line, "MAIL") && code == 250) {
        promise(!d->model.open && (d->secure || d->options.tls <= SMTP_TLS_MAY));
        promise(d->logged.done || !d->options.auth_required);
        d->model.open = true;
    }
    if ((is_verb(line, "RSET") || is_verb(line, "EHLO") || is_verb(line, "HELO") ||
         is_verb(line, "LHLO")) &&
        code == 250)
        drive_forget(&d->model);
    if (want == SMTP_NEXT_DATA)
        promise(code == 354 && d->model.open && d->model.recipients > 0);
    promise(want != SMTP_NEXT_DELIVERY && want != SMTP_NEXT_MORE);
    return want;
}

static enum smtp_want next_line(struct drive *d)
{
    for (;;) {
        struct span line;
        size_t used;
        unsigned code;
        enum smtp_want want;
        const enum smtp_line_result found = smtp_line_scan(&d->line, drive_unread(d), &line, &used);

        promise(used <= drive_unread(d).n);
        d->start += used;
        if (found == SMTP_LINE_READY)
            return say_line(d, line);
        if (found != SMTP_LINE_MORE) {
            want = smtp_session_bad_line(&d->session, found);
            if (want == SMTP_NEXT_LOGIN)
                promise(d->logged.going_on && drive_replies(d, &code) == 0);
            else
                promise(drive_replies(d, &code) == 1 && code >= 400);
            return want;
        }
        if (!drive_more(d))
            return SMTP_NEXT_CLOSE;
    }
}

static enum smtp_want decide(struct drive *d)
{
    static const enum smtp_opinion opinions[] = {SMTP_ACCEPT, SMTP_ACCEPT, SMTP_REFUSE, SMTP_DEFER};
    const struct span address = d->session.candidate->mailbox.address;
    const unsigned long sum = drive_address_sum(d, address);
    struct smtp_verdict verdict = {.opinion = opinions[sum >> 7 & 3]};
    unsigned code = 0;
    enum smtp_want want;

    if (verdict.opinion != SMTP_ACCEPT && (sum & 64) != 0)
        verdict.reply = (struct smtp_reply){.code = verdict.opinion == SMTP_REFUSE ? 550 : 450,
                                            .text = address, /* foreign text */
                                            .enhanced = SPAN("5.7.1"),
                                            .close = (sum & 32) != 0,
                                            .rule = "test"};
    want = smtp_session_decided(&d->session, &verdict);
    promise(drive_replies(d, &code) == 1);
    promise((code == 250) == (verdict.opinion == SMTP_ACCEPT));
    if (code == 250) {
        d->model.recipients++;
        d->model.addresses += sum;
    }
    return want;
}

/* The message again, from the bytes between DATA and its end, by lines: what RFC 5321 4.5.2 says,
 * and nothing clever. */
static unsigned long plain_message(struct span raw, bool crlf, size_t *size)
{
    unsigned long sum = FNV_START;

    *size = 0;
    for (;;) {
        const size_t lf = span_find(raw, '\n');
        struct span line = span_first(raw, lf);

        promise(lf < raw.n && lf > 0 && raw.p[lf - 1] == '\r');
        line.n--;
        promise(span_find(line, '\r') == line.n);
        raw = span_from(raw, lf + 1);
        if (span_eq(line, SPAN(".")))
            break;
        if (line.n > 0 && line.p[0] == '.')
            line = span_from(line, 1);
        *size += line.n + 2;
        sum = drive_mix(drive_mix(sum, line.p, line.n), crlf ? "\r\n" : "\n", crlf ? 2 : 1);
    }
    promise(raw.n == 0);
    return sum;
}

/* The same octets once more, one at a time: the machine without its vectors. */
static void decode_slowly(struct smtp_data *slow, struct span bytes, unsigned long *sum)
{
    for (size_t i = 0; i < bytes.n; i++) {
        struct span one = {.p = bytes.p + i, .n = 1};
        char out[4];

        *sum = drive_mix(*sum, out, smtp_data_decode(slow, &one, out, 2));
        promise(one.n == 0);
    }
}

size_t drive_replies_to_come(struct drive *d, enum smtp_want *want, unsigned *code)
{
    size_t n = 0;

    while (*want == SMTP_NEXT_MORE) {
        *want = smtp_session_more(&d->session);
        n += drive_replies(d, code);
    }
    return n;
}

static enum smtp_want collect(struct drive *d)
{
    const size_t first = d->start, recipients = d->model.recipients;
    unsigned long sum = FNV_START, slow_sum = FNV_START;
    struct smtp_data data, slow;
    unsigned code = 0;
    enum smtp_want want;
    size_t n, size;

    smtp_session_decoder(&d->session, &data);
    data.crlf = d->in->options & 512;
    slow = data;
    while (!smtp_data_is_over(&data)) {
        const struct span before = drive_unread(d);
        struct span in = before;
        const size_t room = d->in->pieces == 0 ? 4096 : 2 + drive_random(d) % 100;
        char *out = malloc(room);

        n = smtp_data_decode(&data, &in, out, room);
        promise(n <= room && in.n <= before.n);
        sum = drive_mix(sum, out, n);
        free(out);
        decode_slowly(&slow, span_first(before, before.n - in.n), &slow_sum);
        d->start += before.n - in.n;
        if (in.n == 0 && !smtp_data_is_over(&data) && !drive_more(d))
            break;
    }
    /* What was put out before a fault is thrown away. */
    promise(sum == slow_sum || data.fault != SMTP_DATA_FINE);
    promise(data.fault == slow.fault && data.ended == slow.ended && data.size == slow.size);
    promise(data.lines == slow.lines && data.received == slow.received);
    want = smtp_session_collected(&d->session, &data);
    n = drive_replies(d, &code);
    if (!smtp_data_is_over(&data)) {
        promise(n == 0 && want == SMTP_NEXT_CLOSE);
    } else if (data.fault == SMTP_DATA_FINE) {
        promise(n == 0 && want == SMTP_NEXT_DELIVERY && data.ended);
        promise(plain_message((struct span){.p = d->in->bytes.p + first, .n = d->start - first},
                              data.crlf, &size) == sum);
        promise(size == data.size);
        d->sums.deliveries = drive_mix(d->sums.deliveries, (const char *)&sum, sizeof sum);
    } else {
        n += drive_replies_to_come(d, &want, &code);
        promise(n == (d->options.lmtp ? recipients : 1) && code >= 400);
        drive_forget(&d->model);
    }
    return want;
}

static enum smtp_want deliver(struct drive *d)
{
    struct smtp_transaction *t = &d->session.transaction;
    const bool report = t->prdr && t->recipients > 1 && !d->options.lmtp;
    unsigned long addresses = 0;
    size_t n = 0, accepted = 0, total = 0;
    unsigned code = 0;
    enum smtp_want want;

    d->sums.messages++;
    d->sums.deliveries =
        drive_mix(d->sums.deliveries, t->reverse_path.address.p, t->reverse_path.address.n);
    for (struct smtp_recipient *r = t->first; r != NULL; r = r->next, n++) {
        const unsigned long sum = drive_address_sum(d, r->mailbox.address);

        addresses += sum;
        r->result =
            sum & 4 ? (struct smtp_reply){.code = 250,
                                          .enhanced = SPAN("2.0.0"),
                                          .text = r->mailbox.address}
            : sum & 8
                ? (struct smtp_reply){.code = 550, .enhanced = SPAN("5.2.1"), .text = SPAN("no")}
                : (struct smtp_reply){
                      .code = 451, .enhanced = SPAN("4.2.1"), .text = SPAN("later")};
        accepted += r->result.code == 250;
        d->sums.deliveries =
            drive_mix(d->sums.deliveries, r->mailbox.address.p, r->mailbox.address.n);
    }
    promise(d->model.open && n == d->model.recipients && n == t->recipients &&
            addresses == d->model.addresses);
    want = smtp_session_delivered(&d->session);
    total = drive_replies(d, &code);
    total += drive_replies_to_come(d, &want, &code);
    promise(total == (d->options.lmtp ? n : report ? n + 2 : 1));
    /* One reply for all: a success is everybody's. */
    if (!d->options.lmtp)
        promise((code == 250) == (report ? accepted > 0 : accepted == n));
    drive_forget(&d->model);
    return want;
}

struct drive_output drive(const struct drive_input *in)
{
    struct drive d = {.in = in, .options = drive_options(in->options), .random = in->pieces};
    enum smtp_want want;
    unsigned code = 0;
    size_t steps = 0;

    d.sums = (struct drive_output){.replies = FNV_START, .deliveries = FNV_START};
    d.arena_room = malloc(ARENA);
    d.arena = (struct arena){.base = d.arena_room, .cap = in->options & 64 ? 700 : ARENA};
    d.out = TEXT(d.out_room);
    d.raw = (struct text){.p = malloc(in->bytes.n + 1), .cap = in->bytes.n + 1};
    want = smtp_session_open(&d.session, &d.options, &d.out, &d.arena, true);
    want = drive_greet(&d, want);
    if (want == SMTP_NEXT_TLS)
        promise(drive_replies(&d, &code) == 0);
    else
        promise(drive_replies(&d, &code) == 1 && code == 220);
    if (d.options.auth)
        d.session.login = &d.login;
    while (want != SMTP_NEXT_CLOSE) {
        promise(steps++ <= 3 * in->bytes.n + 10);
        promise(d.arena.used <= d.arena.cap);
        d.in_chunks = d.in_chunks && (d.session.phase == SMTP_CHUNKS || want == SMTP_NEXT_DELIVERY);
        switch (want) {
        case SMTP_NEXT_LINE:
            want = next_line(&d);
            break;
        case SMTP_NEXT_PAUSE:
            promise(d.options.error_delay > 0 && !d.options.lmtp && d.session.errors > 0);
            want = smtp_session_paused(&d.session);
            break;
        case SMTP_NEXT_TLS:
            want = drive_begin_tls(&d);
            break;
        case SMTP_NEXT_LOGIN:
            want = drive_log_in(&d);
            break;
        case SMTP_NEXT_HANDSHAKE:
            want = drive_shake_hands(&d);
            break;
        case SMTP_NEXT_DECISION:
            want = decide(&d);
            break;
        case SMTP_NEXT_DATA:
            want = collect(&d);
            break;
        case SMTP_NEXT_CHUNK:
            want = drive_take_chunk(&d);
            break;
        case SMTP_NEXT_DELIVERY:
            want = deliver(&d);
            break;
        default:
            promise(false);
        }
    }
    free(d.arena_room);
    free(d.raw.p);
    return d.sums;
}
