#include "smtp/trace.h"

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
    static const char days[] = "ThuFriSatSunMonTueWed"; /* day 0 was a Thursday */
    /* Of years that begin with March, so that a leap day is a year's last: 719,468 days before 1970
     * began the first of them, in a cycle of 400 years and 146,097 days. */
    const uint64_t second = time % 86400, day = time / 86400, since = day + 719468;
    const uint64_t in_cycle = since % 146097;
    const uint64_t in_cycle_years =
        (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
    const uint64_t in_year =
        in_cycle - (365 * in_cycle_years + in_cycle_years / 4 - in_cycle_years / 100);
    /* Five months in turn have 153 days, from March and from August on. */
    const uint64_t month = (5 * in_year + 2) / 153, in_month = in_year - (153 * month + 2) / 5;
    const uint64_t year = since / 146097 * 400 + in_cycle_years + (month >= 10);

    text_add(out, (struct span){.p = days + day % 7 * 3, .n = 3});
    text_adds(out, ", ");
    text_addn(out, in_month + 1, 1);
    text_addc(out, ' ');
    text_add(out, (struct span){.p = names + (month + 2) % 12 * 3, .n = 3});
    text_addc(out, ' ');
    text_addn(out, year, 4);
    text_addc(out, ' ');
    text_addn(out, second / 3600, 2);
    text_addc(out, ':');
    text_addn(out, second / 60 % 60, 2);
    text_addc(out, ':');
    text_addn(out, second % 60, 2);
    text_adds(out, " +0000");
}
