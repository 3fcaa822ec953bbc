#include "sandbox/request.h"

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
    return packet->p + sizeof(uint64_t);
}

void request_write(struct text *out, const struct request *r)
{
    out->n = 0;
    packet_put_number(out, r->octets.n);
    if (r->octets.p == request_octets(out))
        out->n += r->octets.n;
    else
        text_add(out, r->octets);
    packet_put_number(out, r->kind);
    packet_put_number(out, r->transaction);
    packet_put(out, r->added);
    packet_put(out, r->address); /* not cut: what is too long is no request */
    packet_put(out, r->helo);
    packet_put_number(out, (uint64_t)r->esmtp | (uint64_t)r->smtputf8 << 1 |
                               (uint64_t)r->eight_bit << 2 | (uint64_t)r->ended << 3 |
                               (uint64_t)r->close << 4 | (uint64_t)r->begins << 5 |
                               (uint64_t)r->prdr << 6);
    packet_put_number(out, r->recipients);
    packet_put_number(out, r->declared_size);
    packet_put_number(out, r->size);
    packet_put_number(out, r->boundary);
    packet_put_number(out, r->fault);
    packet_put_number(out, r->before);
    packet_put_number(out, r->phase);
    packet_put_number(out, r->commands);
    request_write_reply(out, &r->reply);
    packet_put(out, span_first(r->argument, REQUEST_ARGUMENT_MAX));
    packet_put(out, span_first(r->judged, REQUEST_ARGUMENT_MAX));
    packet_put(out, span_first(r->word, REQUEST_WORD_MAX));
}

static enum smtp_phase read_phase(struct packet *p)
{
    const uint64_t phase = packet_number_up_to(p, SMTP_RCPT);

    /* One bit, or none where the kind has no phase. */
    p->wrong = p->wrong || (phase & (phase - 1)) != 0;
    return (enum smtp_phase)phase;
}

bool request_read(struct span packet, struct request *out)
{
    struct packet p = {.left = packet};
    uint64_t flags;

    *out = (struct request){.octets = packet_text(&p, REQUEST_OCTETS_MAX)};
    out->kind = (enum request_kind)packet_number_up_to(&p, REQUEST_NO_FILTER);
    out->transaction = packet_number(&p);
    out->added = packet_text(&p, REQUEST_ADDED_MAX);
    out->address = packet_text(&p, SMTP_ADDRESS_MAX);
    out->helo = packet_text(&p, SMTP_DOMAIN_MAX);
    flags = packet_number_up_to(&p, 127);
    out->esmtp = flags & 1;
    out->smtputf8 = flags & 2;
    out->eight_bit = flags & 4;
    out->ended = flags & 8;
    out->close = flags & 16;
    out->begins = flags & 32;
    out->prdr = flags & 64;
    out->recipients = packet_number(&p);
    out->declared_size = packet_number(&p);
    out->size = packet_number(&p);
    out->boundary = packet_number(&p);
    out->fault = (enum smtp_data_fault)packet_number_up_to(&p, SMTP_DATA_BARE_CR);
    out->before = read_phase(&p);
    out->phase = read_phase(&p);
    out->commands = packet_number(&p);
    request_read_reply(&p, &out->reply, &out->rule);
    out->argument = packet_text(&p, REQUEST_ARGUMENT_MAX);
    out->judged = packet_text(&p, REQUEST_ARGUMENT_MAX);
    out->word = packet_text(&p, REQUEST_WORD_MAX);
    return packet_is_good(&p) && out->kind != 0 && request_is_word(out->word) &&
           (out->octets.n == 0 || out->kind == REQUEST_OCTETS || out->kind == REQUEST_DELIVER);
}
