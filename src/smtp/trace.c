#include "smtp/trace.h"

#include "smtp/date.h"

enum { RECEIVED_FOLD = 200 };

static void end_line(struct text *out, const struct smtp_trace *t)
{
    text_adds(out, t->crlf ? "\r\n" : "\n");
}

void smtp_trace_return_path(struct text *out, const struct smtp_trace *t)
{
    text_adds(out, "Return-Path: <");
    text_add(out, t->sender);
    text_addc(out, '>');
    end_line(out, t);
}

void smtp_trace_delivered_to(struct text *out, const struct smtp_trace *t)
{
    if (t->recipient.n == 0)
        return;
    text_adds(out, "Delivered-To: ");
    text_add(out, t->recipient);
    end_line(out, t);
}

void smtp_trace_original_to(struct text *out, const struct smtp_trace *t)
{
    if (t->original.n == 0)
        return;
    text_adds(out, "X-Original-To: ");
    text_add(out, t->original);
    end_line(out, t);
}

static void add_literal(struct text *out, struct span address)
{
    text_addc(out, '[');
    if (span_find(address, ':') < address.n)
        text_adds(out, "IPv6:");
    text_add(out, address);
    text_addc(out, ']');
}

void smtp_add_helo_name(struct text *out, struct span name)
{
    static const char digits[] = "0123456789ABCDEF";

    if (name.n > 0 && name.p[name.n - 1] == '.')
        name.n--;
    if (span_is_ascii(name) && span_find(name, ' ') == name.n) {
        text_add(out, name);
        return;
    }
    for (size_t i = 0; i < name.n; i++) {
        const unsigned char c = (unsigned char)name.p[i];

        if (c != ' ' && !byte_is_high(name.p[i])) {
            text_addc(out, name.p[i]);
            continue;
        }
        text_addc(out, '=');
        text_addc(out, digits[c / 16]);
        text_addc(out, digits[c % 16]);
    }
}

/* A comment (RFC 5322 3.2.2): no standard has a clause for these. */
static void add_tls_comment(struct text *out, const struct smtp_trace *t)
{
    if (t->tls_version.n == 0)
        return;
    end_line(out, t);
    text_adds(out, "\t(");
    text_add(out, t->tls_version);
    if (t->tls_sni.n > 0) {
        text_adds(out, " to ");
        text_add(out, t->tls_sni);
    }
    if (t->tls_client.n > 0) {
        text_adds(out, ", client certificate of ");
        text_add(out, t->tls_client);
    }
    text_addc(out, ')');
}

/* RFC 8314 4.3: the "tls" clause goes last. */
static void add_tls_clause(struct text *out, const struct smtp_trace *t)
{
    if (t->tls_cipher.n == 0)
        return;
    end_line(out, t);
    text_adds(out, "\ttls ");
    text_add(out, t->tls_cipher);
    if (t->tls_group.n > 0) {
        text_adds(out, " group ");
        text_add(out, t->tls_group);
    }
}

/* From-domain = "FROM" FWS Extended-Domain; Extended-Domain = Domain [FWS "(" TCP-info ")"];
 * TCP-info = address-literal / ( Domain FWS address-literal ) */
void smtp_trace_received(struct text *out, const struct smtp_trace *t)
{
    text_adds(out, "Received: from ");
    if (t->helo.n > 0)
        smtp_add_helo_name(out, t->helo);
    else if (t->client_address.n > 0)
        add_literal(out, t->client_address);
    else
        text_adds(out, "unknown");
    if (t->client_address.n > 0) {
        /* RFC 5322 2.1.1: no line of more than 998 octets, however long the client's names are. */
        if (t->helo.n + t->client_name.n > RECEIVED_FOLD) {
            end_line(out, t);
            text_addc(out, '\t');
        } else {
            text_addc(out, ' ');
        }
        text_addc(out, '(');
        if (t->client_name.n > 0) {
            text_add(out, t->client_name);
            text_addc(out, ' ');
        }
        add_literal(out, t->client_address);
        text_addc(out, ')');
    }
    add_tls_comment(out, t);
    end_line(out, t);
    text_adds(out, "\tby ");
    text_add(out, t->hostname);
    text_adds(out, " (smtpin) with ");
    text_add(out, t->protocol);
    text_adds(out, " id ");
    text_add(out, t->id);
    if (t->recipient.n > 0) {
        end_line(out, t);
        text_adds(out, "\tfor <");
        text_add(out, t->original.n > 0 ? t->original : t->recipient);
        text_addc(out, '>');
    }
    add_tls_clause(out, t);
    text_addc(out, ';');
    end_line(out, t);
    text_addc(out, '\t');
    smtp_trace_date(out, t->time);
    end_line(out, t);
}

void smtp_trace_date(struct text *out, uint64_t time)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char days[] = "SunMonTueWedThuFriSat";
    const struct smtp_date d = smtp_date_of(time);

    text_add(out, (struct span){.p = days + d.weekday * 3, .n = 3});
    text_adds(out, ", ");
    text_addn(out, d.day, 1);
    text_addc(out, ' ');
    text_add(out, (struct span){.p = names + (d.month - 1) * 3, .n = 3});
    text_addc(out, ' ');
    text_addn(out, d.year, 4);
    text_addc(out, ' ');
    text_addn(out, d.hour, 2);
    text_addc(out, ':');
    text_addn(out, d.minute, 2);
    text_addc(out, ':');
    text_addn(out, d.second, 2);
    text_adds(out, " +0000");
}
