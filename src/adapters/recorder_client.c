/* What the client says, as far as it may be written down. */
#include "adapters/recorder.h"
#include "adapters/recorder_write.h"
#include "base/base64.h"
#include "smtp/verbs.h"

/* Without its end, and blanks before that. */
static struct span without_end(struct span line)
{
    while (line.n > 0 && (byte_is_blank(line.p[line.n - 1]) || line.p[line.n - 1] == '\r' ||
                          line.p[line.n - 1] == '\n'))
        line.n--;
    return line;
}

/* A printable byte as an x: what decides a line's fate, its length and its control bytes, stays.
 * `wrong`: the last one as one that base64 has not. */
static void put_masked(struct recorder *r, struct span s, bool wrong)
{
    const size_t end = without_end(s).n;

    for (size_t i = 0; i < s.n; i++) {
        const bool stays = s.p[i] == ' ' || byte_is_control(s.p[i]);
        const char c = stays ? s.p[i] : wrong && i + 1 == end ? '!' : 'x';

        recorder_put_escaped(r, (struct span){.p = &c, .n = 1});
    }
}

/* A line, or a piece of one: what may be written of it, and the rest masked. A response that is
 * base64 is that still (so many x are), and another is none. */
static void put_line(struct recorder *r, struct span s)
{
    const struct span clear = span_first(s, r->clear), rest = span_from(s, clear.n);

    if (r->clear < SIZE_MAX)
        r->clear -= clear.n;
    recorder_put_escaped(r, clear);
    put_masked(r, rest, r->response && !base64_is(without_end(rest)));
}

/* Whole lines as "C:", pieces of lines as "C!". */
static void put_client(struct recorder *r, struct span bytes)
{
    while (bytes.n > 0 && r->fd >= 0) {
        const size_t lf = span_find(bytes, '\n');
        const bool whole = !r->in_line && lf > 0 && lf < bytes.n && bytes.p[lf - 1] == '\r' &&
                           span_find(bytes, '\r') == lf - 1;

        recorder_put(r, whole ? SPAN("C: ") : SPAN("C! "));
        put_line(r, span_first(bytes, whole ? lf - 1 : lf < bytes.n ? lf + 1 : lf));
        recorder_put(r, SPAN("\n"));
        r->in_line = lf == bytes.n;
        bytes = span_from(bytes, lf + 1);
    }
}

bool recorder_is_harmless(struct span line)
{
    /* Not our verbs, but what clients try. */
    static const char words[] = "STARTTLS GET HEAD POST PUT DELETE OPTIONS CONNECT PATCH TRACE PRI";
    struct span left = SPAN(words), word;
    struct span first = span_first(line, span_find(line, ' '));

    first = span_first(first, span_find(first, '\r'));
    first = span_first(first, span_find(first, '\n'));
    if (smtp_verb_may_be_recorded(first))
        return true;
    while (span_word(&left, " ", &word))
        if (span_eq_nocase(word, first))
            return true;
    return first.n == 0 && line.n > 0 && line.p[0] == '\r';
}

static bool has_word(struct span list, struct span wanted)
{
    struct span word;

    while (span_word(&list, " ", &word))
        if (span_eq_nocase(word, wanted))
            return true;
    return false;
}

/* Where the initial response begins, in "AUTH mechanism [initial-response]". What stands in the
 * place of a mechanism and is none may be a response. */
static size_t before_response(struct span line, const struct smtp_login *login)
{
    static const char known[] = "PLAIN LOGIN CRAM-MD5 DIGEST-MD5 NTLM GSSAPI EXTERNAL ANONYMOUS "
                                "XOAUTH2 OAUTHBEARER SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 "
                                "SCRAM-SHA-256-PLUS SCRAM-SHA-512 SCRAM-SHA-512-PLUS";
    const struct span verb = SPAN("AUTH ");
    struct span rest = span_from(line, verb.n);
    const struct span mechanism = span_first(rest, span_find(rest, ' '));

    if (!has_word(SPAN(known), mechanism) &&
        (login == NULL || !has_word(login->mechanisms, mechanism)))
        return verb.n;
    rest = span_from(rest, mechanism.n + 1);
    /* The empty one is no secret. */
    return span_eq(rest, SPAN("=")) ? line.n : line.n - rest.n;
}

/* How much of the line that these bytes begin may be written down. */
static void look_at_line(struct recorder *r, struct span bytes, const struct smtp_login *login)
{
    const struct span line = without_end(span_first(bytes, span_find_line_end(bytes)));
    const bool goes_on = login != NULL && login->going_on;
    const bool begins = span_starts_nocase(line, SPAN("AUTH "));

    r->response = goes_on || begins;
    if (goes_on)
        r->clear = span_eq(bytes, SPAN("*\r\n")) ? SIZE_MAX : 0;
    else if (begins)
        r->clear = before_response(line, login);
    else
        r->clear = recorder_is_harmless(bytes) || span_eq_nocase(line, SPAN("AUTH")) ? SIZE_MAX : 0;
}

/* A bare CR ends a line for the session, with the octet behind it. */
static bool ends_with_bare_cr(struct span bytes)
{
    return bytes.n >= 2 && bytes.p[bytes.n - 2] == '\r' && bytes.p[bytes.n - 1] != '\n';
}

void recorder_commands(struct recorder *r, struct span bytes, const struct smtp_login *login)
{
    if (r->fd < 0 || bytes.n == 0)
        return;
    if (!r->in_line)
        r->boundary = r->total;
    if (!r->in_command)
        look_at_line(r, bytes, login);
    put_client(r, bytes);
    r->in_command = r->in_line && !ends_with_bare_cr(bytes);
}

void recorder_masked(struct recorder *r, struct span bytes)
{
    if (r->fd < 0)
        return;
    r->clear = 0;
    r->response = false;
    put_client(r, bytes);
}

void recorder_text(struct recorder *r, struct span bytes)
{
    r->clear = SIZE_MAX;
    r->response = false;
    if (r->fd >= 0 && r->messages)
        put_client(r, bytes);
}

void recorder_octets(struct recorder *r, struct span bytes)
{
    if (r->fd < 0 || bytes.n == 0)
        return;
    recorder_put(r, SPAN("C! "));
    recorder_put_escaped(r, bytes);
    recorder_put(r, SPAN("\n"));
}
