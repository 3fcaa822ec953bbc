#include "sandbox/request.h"

#include <stddef.h>

bool request_is_word(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_digit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'z') && s.p[i] != '_' &&
            s.p[i] != '-')
            return false;
    return s.n <= REQUEST_WORD_MAX;
}

void request_write_reply(struct text *out, const struct smtp_reply *reply)
{
    packet_put_number(out, reply->code);
    packet_put_number(out, reply->close);
    packet_put(out, span_first(reply->enhanced, REQUEST_WORD_MAX));
    packet_put(out, span_first(reply->text, REQUEST_TEXT_MAX));
    packet_put(out, span_first(span_of(reply->rule), REQUEST_WORD_MAX));
}

static bool is_enhanced(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_digit(s.p[i]) && s.p[i] != '.')
            return false;
    return true;
}

void request_read_reply(struct packet *p, struct smtp_reply *reply, struct span *rule)
{
    *reply = (struct smtp_reply){.code = (unsigned)packet_number_up_to(p, 599)};
    reply->close = packet_number_up_to(p, 1);
    reply->enhanced = packet_text(p, REQUEST_WORD_MAX);
    reply->text = packet_text(p, REQUEST_TEXT_MAX);
    *rule = packet_text(p, REQUEST_WORD_MAX);
    p->wrong = p->wrong || !is_enhanced(reply->enhanced) || !request_is_word(*rule);
}

char *request_octets(const struct text *packet)
{
    return packet->p;
}

#define ABOUT(kind, handler, pace_, fields_)                                                       \
    [REQUEST_##kind] = {.name = {.p = #kind, .n = sizeof(#kind) - 1},                              \
                        .pace = REQUEST_##pace_,                                                   \
                        .fields = (fields_)},

static const struct request_about kinds[] = {REQUEST_KINDS(ABOUT)};

const struct request_about *request_about(enum request_kind kind)
{
    return &kinds[kind];
}

/* A field's form, and what is held against it when it is read. */
enum form {
    NUMBER,  /* uint64_t, at most `most` */
    FLAG,    /* bool */
    FAULT,   /* enum smtp_data_fault */
    PHASE,   /* enum smtp_phase: one bit, or none */
    SUBJECT, /* enum smtp_subject: one bit */
    WHOLE,   /* struct span; longer than `most`, it is no request */
    CUT,     /* struct span; only its first `most` octets are sent */
    WORD,    /* the same: request_is_word */
    REPLY,   /* struct smtp_reply, and its rule */
};

struct field {
    enum request_field of;
    enum form form;
    size_t at;
    uint64_t most;
};

#define FIELD(of_, name, form_, most_)                                                             \
    {                                                                                              \
        .of = (of_), .form = (form_), .at = offsetof(struct request, name), .most = (most_)        \
    }

/* In the order of the packet: read and written from this one table. */
static const struct field fields[] = {
    FIELD(REQUEST_ADDRESS, address, WHOLE, SMTP_ADDRESS_MAX),
    FIELD(REQUEST_SUBJECT, about, SUBJECT, SMTP_ABOUT_USER),
    FIELD(REQUEST_SUBJECT, sender, WHOLE, SMTP_ADDRESS_MAX),
    FIELD(REQUEST_SUBJECT, candidate_extras, WHOLE, SMTP_EXTRAS_MAX),
    FIELD(REQUEST_GREETING, helo, WHOLE, SMTP_DOMAIN_MAX),
    FIELD(REQUEST_GREETING, esmtp, FLAG, 1),
    FIELD(REQUEST_COMMANDS, commands, NUMBER, UINT64_MAX),
    FIELD(REQUEST_ENVELOPE, begins, FLAG, 1),
    FIELD(REQUEST_ENVELOPE, body, NUMBER, SMTP_BODY_BINARYMIME),
    FIELD(REQUEST_ENVELOPE, prdr, FLAG, 1),
    FIELD(REQUEST_ENVELOPE, requiretls, FLAG, 1),
    FIELD(REQUEST_ENVELOPE, recipients, NUMBER, UINT64_MAX),
    FIELD(REQUEST_ENVELOPE, declared_size, NUMBER, UINT64_MAX),
    FIELD(REQUEST_ENVELOPE, auth, WHOLE, SMTP_ADDRESS_MAX),
    FIELD(REQUEST_ENVELOPE, extras, WHOLE, SMTP_EXTRAS_MAX),
    FIELD(REQUEST_LOGIN_STEP, step, NUMBER, SMTP_LOGIN_CANCELLED),
    FIELD(REQUEST_LOGIN_STEP, mechanism, WHOLE, SMTP_MECHANISM_MAX),
    FIELD(REQUEST_LOGIN_STEP, has_response, FLAG, 1),
    FIELD(REQUEST_CLIENT, client, WHOLE, REQUEST_IP_MAX),
    FIELD(REQUEST_CLIENT, client_port, WHOLE, REQUEST_PORT_MAX),
    FIELD(REQUEST_CLIENT, client_name, WHOLE, SMTP_DOMAIN_MAX),
    FIELD(REQUEST_CLIENT, server, WHOLE, REQUEST_IP_MAX),
    FIELD(REQUEST_CLIENT, server_port, WHOLE, REQUEST_PORT_MAX),
    FIELD(REQUEST_FACTS, facts, WHOLE, PROXY_FACTS_MAX),
    FIELD(REQUEST_USER, has_user, FLAG, 1),
    FIELD(REQUEST_USER, user, WHOLE, SMTP_USER_MAX),
    FIELD(REQUEST_SMTPUTF8, smtputf8, FLAG, 1),
    FIELD(REQUEST_OUTCOME, fault, FAULT, SMTP_DATA_BARE_CR),
    FIELD(REQUEST_OUTCOME, ended, FLAG, 1),
    FIELD(REQUEST_SIZE, size, NUMBER, UINT64_MAX),
    FIELD(REQUEST_BOUNDARY, boundary, NUMBER, UINT64_MAX),
    FIELD(REQUEST_PHASE, phase, PHASE, SMTP_CHUNKS),
    FIELD(REQUEST_STEP, before, PHASE, SMTP_CHUNKS),
    FIELD(REQUEST_STEP, close, FLAG, 1),
    FIELD(REQUEST_STEP, reply, REPLY, 0),
    FIELD(REQUEST_STEP, argument, CUT, REQUEST_ARGUMENT_MAX),
    FIELD(REQUEST_STEP, judged, CUT, REQUEST_ARGUMENT_MAX),
    FIELD(REQUEST_WORD, word, WORD, REQUEST_WORD_MAX),
};

enum { FIELDS = sizeof fields / sizeof *fields };

static void write_field(struct text *out, const struct field *f, const struct request *r)
{
    const void *at = (const char *)r + f->at;

    switch (f->form) {
    case NUMBER:
        packet_put_number(out, *(const uint64_t *)at);
        break;
    case FLAG:
        packet_put_number(out, *(const bool *)at);
        break;
    case FAULT:
        packet_put_number(out, *(const enum smtp_data_fault *)at);
        break;
    case PHASE:
        packet_put_number(out, *(const enum smtp_phase *)at);
        break;
    case SUBJECT:
        packet_put_number(out, *(const enum smtp_subject *)at);
        break;
    case WHOLE:
        packet_put(out, *(const struct span *)at);
        break;
    case CUT:
    case WORD:
        packet_put(out, span_first(*(const struct span *)at, f->most));
        break;
    case REPLY:
        request_write_reply(out, &r->reply);
        break;
    }
}

void request_write(struct text *out, const struct request *r)
{
    const unsigned has = kinds[r->kind].fields;

    out->n = 0;
    if (r->octets.p == request_octets(out))
        out->n = r->octets.n;
    else
        text_add(out, r->octets);
    packet_put_number(out, r->kind);
    packet_put_number(out, r->transaction);
    packet_put(out, r->added);
    for (const struct field *f = fields; f < fields + FIELDS; f++)
        if (has & f->of)
            write_field(out, f, r);
    packet_put_number(out, r->octets.n);
}

/* One bit, or none. */
static uint64_t read_bit(struct packet *p, uint64_t most)
{
    const uint64_t bit = packet_number_up_to(p, most);

    p->wrong = p->wrong || (bit & (bit - 1)) != 0;
    return bit;
}

static void read_field(struct packet *p, const struct field *f, struct request *out)
{
    void *at = (char *)out + f->at;

    switch (f->form) {
    case NUMBER:
        *(uint64_t *)at = packet_number_up_to(p, f->most);
        break;
    case FLAG:
        *(bool *)at = packet_number_up_to(p, f->most);
        break;
    case FAULT:
        *(enum smtp_data_fault *)at = (enum smtp_data_fault)packet_number_up_to(p, f->most);
        break;
    case PHASE:
        *(enum smtp_phase *)at = (enum smtp_phase)read_bit(p, f->most);
        break;
    case SUBJECT:
        *(enum smtp_subject *)at = (enum smtp_subject)read_bit(p, f->most);
        p->wrong = p->wrong || *(enum smtp_subject *)at == 0;
        break;
    case WHOLE:
    case CUT:
        *(struct span *)at = packet_text(p, f->most);
        break;
    case WORD:
        *(struct span *)at = packet_text(p, f->most);
        p->wrong = p->wrong || !request_is_word(*(struct span *)at);
        break;
    case REPLY:
        request_read_reply(p, &out->reply, &out->rule);
        break;
    }
}

/* Its octets, and the fields behind them: how many octets there are stands at the end. */
static struct packet split(struct span packet, struct span *octets)
{
    const size_t n = packet.n < sizeof(uint64_t) ? 0 : packet.n - sizeof(uint64_t);
    struct packet end = {.left = span_from(packet, n)};
    const uint64_t most = n < REQUEST_OCTETS_MAX ? n : REQUEST_OCTETS_MAX;

    *octets = span_first(packet, (size_t)packet_number_up_to(&end, most));
    return (struct packet){.left = span_from(span_first(packet, n), octets->n), .wrong = end.wrong};
}

bool request_read(struct span packet, struct request *out)
{
    struct span octets;
    struct packet p = split(packet, &octets);
    unsigned has;

    *out = (struct request){.octets = octets};
    out->kind = (enum request_kind)packet_number_up_to(&p, REQUEST_KIND_COUNT - 1);
    has = kinds[out->kind].fields;
    out->transaction = packet_number(&p);
    out->added = packet_text(&p, REQUEST_ADDED_MAX);
    for (const struct field *f = fields; f < fields + FIELDS; f++)
        if (has & f->of)
            read_field(&p, f, out);
    return packet_is_good(&p) && (out->octets.n == 0 || has & REQUEST_MESSAGE_OCTETS);
}
