/* As long as the end-of-data has not been sent nothing has happened yet, and the next server may be
 * tried; from then on what the server does not say is 451. */
#include "commands/lmtp.h"

enum {
    GROUP_MAX = 64, /* RCPT commands sent before their replies are read */
};

bool lmtp_is_good(const struct lmtp_reply *r)
{
    return r->code >= 200 && r->code < 300;
}

static bool is_refusal(const struct lmtp_reply *r)
{
    return r->code >= 400 && r->code != 421 && r->code != 503;
}

void lmtp_say(struct lmtp_reply *r, const char *line)
{
    struct text kept = TEXT(r->line);

    text_adds(&kept, line);
    text_string(&kept);
    r->code = 0;
    r->after_data = false;
    for (size_t i = 0; i < 3; i++)
        r->code = 10 * r->code + (unsigned)(line[i] - '0');
}

static bool hello(struct lmtp_session *s)
{
    struct lmtp_reply r;

    if (!lmtp_read_reply(s, &r, false) || !lmtp_is_good(&r))
        return false;
    return lmtp_puts(s, s->mail->smtp ? "EHLO " : "LHLO ") && lmtp_puts(s, s->mail->helo) &&
           lmtp_puts(s, "\r\n") && lmtp_in_step(s) && lmtp_read_reply(s, &r, true) &&
           lmtp_is_good(&r) && lmtp_in_step(s);
}

/* RFC 6531 3.2: without SMTPUTF8 only the A-label of a domain may be sent. */
static bool put_path(struct lmtp_session *s, const char *command, const struct lmtp_address *a)
{
    return lmtp_puts(s, command) && lmtp_puts(s, "<") &&
           lmtp_puts(s, !s->utf8 && a->ascii != NULL ? a->ascii : a->given) && lmtp_puts(s, ">");
}

/* BODY=8BITMIME goes by what the content is (RFC 6152 3). Where the server does not know it, such
 * content goes as it is: a bounce would lose mail that nearly every server takes. */
static bool send_mail(struct lmtp_session *s, struct lmtp_reply *r)
{
    const struct lmtp_mail *m = s->mail;

    if (m->utf8 && !s->utf8 && m->plain != LMTP_PLAIN_YES)
        s->lack = LMTP_LACKS_SMTPUTF8;
    else if (m->binary && !(s->chunking && s->binarymime))
        s->lack = LMTP_LACKS_BINARYMIME;
    else if (lmtp_must_be_in_time(m) && !s->deliver_by)
        s->lack = LMTP_LACKS_DELIVERBY;
    if (s->lack != LMTP_LACKS_NOTHING)
        return false;
    return put_path(s, "MAIL FROM:", &m->sender) &&
           lmtp_puts(s, m->binary                 ? " BODY=BINARYMIME"
                        : m->high && s->eight_bit ? " BODY=8BITMIME"
                                                  : "") &&
           (!(m->utf8 && s->utf8) || lmtp_puts(s, " SMTPUTF8")) && lmtp_put_extras(s) &&
           lmtp_puts(s, "\r\n") && lmtp_read_reply(s, r, false);
}

/* RCPT for all, in groups where the server takes that; each recipient's reply in result. */
static bool send_recipients(struct lmtp_session *s, struct lmtp_reply *result)
{
    const size_t group = s->pipelining ? GROUP_MAX : 1, n = s->mail->n;

    for (size_t i = 0; i < n; i += group) {
        const size_t end = i + group < n ? i + group : n;

        for (size_t k = i; k < end; k++)
            if (!put_path(s, "RCPT TO:", &s->mail->recipient[k]) ||
                !lmtp_put_recipient_extras(s, &s->mail->recipient[k]) || !lmtp_puts(s, "\r\n"))
                return false;
        for (size_t k = i; k < end; k++)
            if (!lmtp_read_reply(s, &result[k], false) ||
                !(lmtp_is_good(&result[k]) || is_refusal(&result[k])))
                return false;
    }
    return true;
}

static bool any_is_good(const struct lmtp_session *s, const struct lmtp_reply *result)
{
    for (size_t i = 0; i < s->mail->n; i++)
        if (lmtp_is_good(&result[i]))
            return true;
    return false;
}

/* The same for every recipient that has been accepted so far. */
static void refuse_accepted(const struct lmtp_session *s, struct lmtp_reply *result,
                            const struct lmtp_reply *why)
{
    for (size_t i = 0; i < s->mail->n; i++)
        if (lmtp_is_good(&result[i]))
            result[i] = *why;
}

/* Octets that are no lines (RFC 3030): as they are, in one chunk. */
static bool send_binary(struct lmtp_session *s)
{
    if (!lmtp_send_chunk(s) || !lmtp_in_step(s))
        return false;
    s->sent = true;
    return lmtp_flush(s);
}

/* The message and its end. A result that comes before the message has is none. */
static bool send_all(struct lmtp_session *s)
{
    if (s->mail->binary)
        return send_binary(s);
    if (!lmtp_send_message(s) || !lmtp_flush(s) || !lmtp_in_step(s))
        return false;
    s->sent = true;
    return lmtp_puts(s, ".\r\n") && lmtp_flush(s);
}

/* The replies after the dot: one for each recipient that was accepted, or one for them all. What is
 * not said is not known: 451. A 421 is no result, and none comes after it. */
static void read_results(struct lmtp_session *s, struct lmtp_reply *result)
{
    struct lmtp_reply last = {0};
    bool heard = false;

    for (size_t i = 0; i < s->mail->n; i++) {
        if (!lmtp_is_good(&result[i]))
            continue;
        if (!s->over && (!heard || !s->mail->smtp)) {
            if (!lmtp_read_reply(s, &last, false)) {
                s->over = true;
                lmtp_say(&last, "451 4.4.2 The next server did not answer");
            } else if (last.code == 421) {
                s->over = true;
                lmtp_say(&last, "451 4.4.2 The next server stopped before it answered");
            }
        }
        heard = true;
        result[i] = last;
    }
}

/* Every result is there. Is there more, nobody knows which belongs to whom. */
static void doubt_results(struct lmtp_session *s, struct lmtp_reply *result)
{
    if (s->over || lmtp_ended_in_step(s))
        return;
    for (size_t i = 0; i < s->mail->n; i++)
        if (result[i].after_data)
            lmtp_say(&result[i], "451 4.4.2 The next server gave one reply too many");
}

/* From MAIL to the reply to DATA. True: all are refused, or *go and the message may be sent. */
static bool send_envelope(struct lmtp_session *s, struct lmtp_reply *result, bool *go)
{
    struct lmtp_reply r;

    *go = false;
    if (!send_mail(s, &r))
        return false;
    if (r.code >= 500 && is_refusal(&r)) {
        for (size_t i = 0; i < s->mail->n; i++)
            result[i] = r;
        return lmtp_ended_in_step(s);
    }
    if (!lmtp_is_good(&r) || !lmtp_in_step(s) || !send_recipients(s, result))
        return false;
    if (!any_is_good(s, result))
        return lmtp_ended_in_step(s);
    if (s->mail->binary) {
        *go = lmtp_in_step(s);
        return *go;
    }
    if (!lmtp_in_step(s) || !lmtp_puts(s, "DATA\r\n") || !lmtp_read_reply(s, &r, false))
        return false;
    *go = r.code == 354;
    if (*go)
        return lmtp_in_step(s);
    if (!is_refusal(&r))
        return false;
    refuse_accepted(s, result, &r);
    return lmtp_ended_in_step(s);
}

bool lmtp_talk(struct lmtp_session *s, struct lmtp_reply *result)
{
    struct lmtp_reply lost;
    bool go;

    if (!hello(s) || !send_envelope(s, result, &go))
        return false;
    if (!go)
        return true;
    if (send_all(s)) {
        read_results(s, result);
        doubt_results(s, result);
        return true;
    }
    s->over = true;
    lmtp_say(&lost, "451 4.4.2 The connection to the next server was lost");
    refuse_accepted(s, result, &lost);
    return s->sent;
}
