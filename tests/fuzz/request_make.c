#include "request_make.h"

#include "request_input.h"

#include <string.h>

void make_request(const uint8_t **p, const uint8_t *end, struct text *packet)
{
    static char octets[REQUEST_OCTETS_MAX];
    static const enum smtp_phase phases[] = {0, 1, 2, 4, 8, 3};
    const uint64_t flags = input_number(p, end);
    char room[1024];
    struct text added = TEXT(room);
    struct request r = {.kind = (enum request_kind)(input_number(p, end) % REQUEST_KIND_COUNT),
                        .transaction = input_number(p, end),
                        .recipients = input_number(p, end),
                        .size = input_number(p, end),
                        .begins = flags & 1,
                        .esmtp = flags & 2,
                        .smtputf8 = flags & 4,
                        .ended = flags & 8,
                        .close = flags & 16,
                        .prdr = flags & 32,
                        .requiretls = flags & 16,
                        .fault = (enum smtp_data_fault)(flags >> 6)};

    memset(octets, 'A', sizeof octets);
    r.octets = (struct span){.p = octets, .n = (size_t)input_number(p, end) % (sizeof octets + 2)};
    r.added = input_recipients(p, end, &added);
    r.before = phases[input_number(p, end) % 6];
    r.phase = phases[input_number(p, end) % 6];
    r.address = flags & 128 ? input_octets(p, end) : SPAN("a@example.com");
    r.sender = flags & 8 ? input_octets(p, end) : SPAN("a@example.com");
    r.about = (enum smtp_subject)(1U << input_number(p, end) % 7);
    if (flags & 128)
        r.about |= (enum smtp_subject)input_number(p, end);
    r.commands = input_number(p, end);
    r.declared_size = flags & 4 ? 0 : input_number(p, end);
    r.boundary = input_number(p, end);
    r.helo = flags & 64 ? input_octets(p, end) : SPAN("x");
    r.word = input_octets(p, end);
    r.argument = input_octets(p, end);
    r.judged = input_octets(p, end);
    r.reply = (struct smtp_reply){.code = (unsigned)input_number(p, end) * 4,
                                  .text = input_octets(p, end),
                                  .rule = flags & 1 ? "relay" : NULL};
    r.step = input_number(p, end) % 4;
    r.mechanism = flags & 1 ? input_octets(p, end) : SPAN("PLAIN");
    r.has_response = flags & 2;
    r.auth = flags & 32 ? input_octets(p, end) : SPAN("");
    r.extras = input_extras(p, end);
    r.candidate_extras = input_extras(p, end);
    r.client = flags & 1 ? input_octets(p, end) : SPAN("198.51.100.7");
    r.client_name = flags & 2 ? input_octets(p, end) : SPAN("");
    r.server_port = flags & 4 ? input_octets(p, end) : SPAN("25");
    r.facts = flags & 8 ? input_octets(p, end) : SPAN("");
    r.has_user = flags & 16;
    r.user = flags & 32 ? input_octets(p, end) : SPAN("");
    request_write(packet, &r);
}

void make_client(const uint8_t **p, const uint8_t *end, bool header, uint64_t transaction,
                 struct text *packet)
{
    const uint64_t flags = input_number(p, end);
    const struct request r = {
        .kind = header ? REQUEST_PROXY : REQUEST_XCLIENT,
        .transaction = header ? 0 : transaction,
        .commands = input_number(p, end),
        .client = flags & 1 ? SPAN("198.51.100.7") : SPAN(""),
        .client_port = flags & 2 ? SPAN("40000") : SPAN(""),
        .client_name = flags & 4 && !header ? SPAN("c.example") : SPAN(""),
        .facts = flags & 8 ? SPAN("SSL_PROTOCOL=TLSv1.3\0") : SPAN(""),
        .has_user = flags & 16,
        .user = flags & 32 ? SPAN("jane") : SPAN(""),
    };

    request_write(packet, &r);
}
