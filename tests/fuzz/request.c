/* What a compromised worker may send to the monitor: packets made of the input, some of them whole
 * requests. The backend is a stand-in that keeps count. */
#include "sandbox/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "broken: %s\n", #condition);                                           \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct {
    size_t accepted;
    uint64_t octets;
    bool message, finished;
    char room[4096];
} kept;

struct smtp_verdict backend_decide(struct backend *b, const struct smtp_mailbox *recipient)
{
    /* Another transaction, without a word on the end of the last one. */
    if (b->session->transaction.recipients == 0)
        kept.accepted = 0;
    return (struct smtp_verdict){.opinion =
                                     recipient->address.n % 3 == 0 ? SMTP_REFUSE : SMTP_ACCEPT};
}

void backend_add_recipient(struct backend *b, struct smtp_mailbox *recipient, struct arena *a)
{
    (void)b;
    (void)a;
    promise(recipient->address.n % 3 != 0);
    kept.accepted++;
}

bool backend_begin_message(struct backend *b)
{
    const struct smtp_transaction *t = &b->session->transaction;

    promise(!kept.message && t->recipients > 0 && t->recipients == kept.accepted);
    promise(t->reverse_path.address.p != NULL && b->session->helo.n <= SMTP_DOMAIN_MAX);
    kept.message = true;
    kept.octets = 0;
    return true;
}

char *backend_message_room(struct backend *b, size_t *room)
{
    (void)b;
    promise(kept.message);
    *room = sizeof kept.room;
    return kept.room;
}

void backend_add_octets(struct backend *b, size_t n)
{
    kept.octets += n;
    promise(n <= sizeof kept.room && kept.octets <= b->config->smtp.max_message_size);
}

void backend_finish_message(struct backend *b, struct smtp_data *data)
{
    (void)b;
    promise(kept.message);
    kept.message = false;
    kept.finished = data->ended && data->fault == SMTP_DATA_FINE;
}

void backend_deliver(struct backend *b, struct arena *a)
{
    struct smtp_transaction *t = &b->session->transaction;
    size_t n = 0;

    promise(kept.finished && a->cap > a->used);
    for (struct smtp_recipient *r = t->first; r != NULL; r = r->next, n++)
        r->result =
            (struct smtp_reply){.code = 250, .enhanced = SPAN("2.0.0"), .text = r->mailbox.address};
    promise(n > 0 && n == t->recipients && n == kept.accepted);
    kept.finished = false;
}

bool backend_was_quick(const struct backend *b)
{
    return b->record.messages % 2 == 0;
}

void backend_before_step(struct backend *b)
{
    record_before(&b->record);
}

bool backend_after_step(struct backend *b, enum smtp_want want)
{
    const bool news = record_after(&b->record, want);

    if (b->session->phase < SMTP_MAIL || want == SMTP_NEXT_CLOSE)
        kept.accepted = 0;
    return news;
}

void backend_send_status(struct backend *b, const char *doing)
{
    (void)b;
    promise(doing == NULL || request_is_word(span_of(doing)));
}

void backend_end(struct backend *b, const char *why)
{
    (void)b;
    promise(request_is_word(span_of(why)));
}

static uint64_t small(const uint8_t **p, const uint8_t *end)
{
    const uint64_t n = *p < end ? *(*p)++ : 0;

    return n == 255 ? UINT64_MAX : n == 254 ? 65536 : n;
}

static struct span some(const uint8_t **p, const uint8_t *end)
{
    const size_t n = (size_t)small(p, end) % 64;
    const struct span s = {.p = (const char *)*p,
                           .n = n < (size_t)(end - *p) ? n : (size_t)(end - *p)};

    *p += s.n;
    return s;
}

/* Recipients, most of them good ones; or something. */
static struct span add_some(const uint8_t **p, const uint8_t *end, struct text *room)
{
    for (uint64_t n = small(p, end) % 4; n > 0; n--)
        packet_put(room, n == 3 ? some(p, end) : SPAN("b@example.org"));
    if (small(p, end) == 1)
        text_add(room, some(p, end));
    return text_span(room);
}

static void make_request(const uint8_t **p, const uint8_t *end, struct text *packet)
{
    static char octets[REQUEST_OCTETS_MAX];
    static const enum smtp_phase phases[] = {0, 1, 2, 4, 8, 3};
    const uint64_t flags = small(p, end);
    char room[256];
    struct text added = TEXT(room);
    struct request r = {.kind = (enum request_kind)(small(p, end) % REQUEST_KIND_COUNT),
                        .transaction = small(p, end),
                        .recipients = small(p, end),
                        .size = small(p, end),
                        .begins = flags & 1,
                        .esmtp = flags & 2,
                        .smtputf8 = flags & 4,
                        .ended = flags & 8,
                        .close = flags & 16,
                        .prdr = flags & 32,
                        .fault = (enum smtp_data_fault)(flags >> 6)};

    r.octets = (struct span){.p = octets, .n = (size_t)small(p, end) % (sizeof octets + 2)};
    r.added = add_some(p, end, &added);
    r.before = phases[small(p, end) % 6];
    r.phase = phases[small(p, end) % 6];
    r.address = flags & 128 ? some(p, end) : SPAN("a@example.com");
    r.helo = flags & 64 ? some(p, end) : SPAN("x");
    r.word = some(p, end);
    r.argument = some(p, end);
    r.judged = some(p, end);
    r.reply = (struct smtp_reply){.code = (unsigned)small(p, end) * 4,
                                  .text = some(p, end),
                                  .rule = flags & 1 ? "relay" : NULL};
    request_write(packet, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log log = {.target = CONFIG_LOG_NONE};
    static char arena_room[1 << 16], packets[PACKET_MAX];
    static struct backend b;
    static struct smtp_session session;
    static struct config config;
    const struct peer peer = {.address = SPAN("192.0.2.1"), .name = SPAN("")};
    struct arena arena = {.base = arena_room, .cap = sizeof arena_room / 2};
    struct monitor m = {.backend = &b,
                        .stop = -1,
                        .fd = -1,
                        .room = TEXT(packets),
                        .arena = &arena,
                        .arena_max = sizeof arena_room};
    const uint8_t *p = data, *const end = data + size;

    memset(&kept, 0, sizeof kept);
    config = (struct config){.smtp = {.hostname = SPAN("mx.example.org"),
                                      .max_message_size = 100000,
                                      .max_recipients = 4,
                                      .max_transactions = 5,
                                      .prdr = size & 1,
                                      .lmtp = size & 2}};
    session = (struct smtp_session){.options = &config.smtp, .transaction = {.arena = &arena}};
    memset(&b, 0, sizeof b);
    b.config = &config;
    b.peer = &peer;
    b.session = &session;
    b.recorder.fd = -1;
    record_open(&b.record, &config, &peer, &session, &log);
    while (p < end) {
        /* As in the monitor: the packet that is read and the answer share one buffer. */
        struct text packet = {.p = m.room.p, .cap = m.room.cap};

        if (*p++ & 1)
            make_request(&p, end, &packet);
        else
            text_add(&packet, some(&p, end));
        if (monitor_handle(&m, text_span(&packet)) != NULL)
            break;
    }
    return 0;
}
