/* TLS and logins. */
#include "drive_state.h"

#include <string.h>

/* By chance that is the same however the octets come: what stands behind the line has come with it,
 * in plain text, or is said inside TLS. */
static unsigned chance_of_line(const struct drive *d)
{
    return (unsigned)((drive_address_sum(d, SPAN("")) + d->start * 0x9e3779b97f4a7c15UL) >> 40) % 8;
}

static bool may_log_in(const struct drive *d)
{
    return d->options.auth && !d->logged.done && (d->secure || d->options.auth_plaintext);
}

enum smtp_want drive_tell_mechanisms(struct drive *d)
{
    promise(may_log_in(d));
    return smtp_session_mechanisms(&d->session,
                                   chance_of_line(d) == 0 ? SPAN("") : SPAN("PLAIN LOGIN X-1"));
}

/* Nothing is kept of what may be a password. A client may say the same octets elsewhere, as its
 * name: what the session held before the line does not count. */
static void check_forgotten(const struct drive *d, struct span response)
{
    promise(d->login.response.p == NULL && d->login.response.n == 0);
    promise(response.n < 16 || memmem(&d->before, sizeof d->before, response.p, 16) != NULL ||
            (memmem(&d->session, sizeof d->session, response.p, 16) == NULL &&
             memmem(&d->login, sizeof d->login, response.p, 16) == NULL));
}

/* A step of a login; the last row: a name that no user has. */
enum smtp_want drive_log_in(struct drive *d)
{
    static const struct {
        enum smtp_login_result result;
        const char *text;
        unsigned code;
    } rows[] = {{SMTP_LOGIN_DONE, "jane@example.org", 235},
                {SMTP_LOGIN_CHALLENGE, "AAAA", 334},
                {SMTP_LOGIN_CHALLENGE, "", 334},
                {SMTP_LOGIN_WRONG, "", 535},
                {SMTP_LOGIN_MALFORMED, "", 501},
                {SMTP_LOGIN_UNKNOWN, "", 504},
                {SMTP_LOGIN_CHALLENGE, "\r\n250 x", 454},
                {SMTP_LOGIN_DONE, "a\nb", 454}};
    const unsigned chance = chance_of_line(d);
    const struct span response = d->login.response;
    const bool cancelled = d->login.step == SMTP_LOGIN_CANCELLED;
    unsigned code = 0, wanted = rows[chance].code;
    enum smtp_want want;

    promise(may_log_in(d) && !d->model.open && d->logged.failures < MAX_AUTH_ERRORS);
    promise((d->login.step != SMTP_LOGIN_BEGINS) == d->logged.going_on);
    promise(d->login.step != SMTP_LOGIN_BEGINS || span_eq(d->login.mechanism, SPAN("PLAIN")) ||
            span_eq(d->login.mechanism, SPAN("LOGIN")) || span_eq(d->login.mechanism, SPAN("X-1")));
    promise(response.n % 4 == 0 && response.n <= SMTP_AUTH_LINE_MAX);
    want = smtp_session_login(&d->session, rows[chance].result, span_of(rows[chance].text));
    promise(drive_replies(d, &code) == 1);
    check_forgotten(d, response);
    d->logged.going_on = !cancelled && wanted == 334;
    d->logged.done = !cancelled && wanted == 235;
    d->logged.failures += !cancelled && wanted == 535;
    if (d->logged.failures == MAX_AUTH_ERRORS)
        wanted = 421;
    promise(cancelled ? code == 501 || code == 500 || code == 421 || drive_is_too_early(d, code)
                      : code == wanted);
    /* 500: a line that is too long, or a bare line end, which closes. */
    promise((cancelled && code == 500) ||
            (want == SMTP_NEXT_CLOSE) == (code == 421 || drive_is_too_early(d, code)));
    promise(d->session.authenticated == d->logged.done);
    d->line.most = d->logged.going_on ? SMTP_AUTH_LINE_MAX + 2 : 0; /* as serve.c does */
    return want;
}

enum smtp_want drive_greet(struct drive *d, enum smtp_want want)
{
    if (want != SMTP_NEXT_GREETING)
        return want;
    promise(d->options.greet_delay > 0 && !d->options.lmtp && d->out.n == 0);
    return smtp_session_greet(&d->session, false);
}

enum smtp_want drive_begin_tls(struct drive *d)
{
    const bool implicit = d->options.tls == SMTP_TLS_IMPLICIT;
    const unsigned chance = chance_of_line(d);
    const bool alone = implicit || chance > 1;
    const enum smtp_tls_offer offer = !alone        ? SMTP_TLS_NOT_ALONE
                                      : chance == 2 ? SMTP_TLS_UNAVAILABLE
                                                    : SMTP_TLS_READY;
    const enum smtp_want want = smtp_session_tls(&d->session, offer);
    unsigned code = 0;
    const size_t n = drive_replies(d, &code);

    promise(n == !(implicit && alone));
    promise(n == 0 || code == (offer == SMTP_TLS_READY       ? 220
                               : offer == SMTP_TLS_NOT_ALONE ? 554
                                                             : 454));
    promise(want == (offer == SMTP_TLS_READY                   ? SMTP_NEXT_HANDSHAKE
                     : offer == SMTP_TLS_NOT_ALONE || implicit ? SMTP_NEXT_CLOSE
                                                               : SMTP_NEXT_LINE));
    return want;
}

/* RFC 3207 4.2: the session is what it was after the greeting. */
enum smtp_want drive_shake_hands(struct drive *d)
{
    const bool secure = chance_of_line(d) != 3;
    const enum smtp_want want = drive_greet(d, smtp_session_secured(&d->session, secure));
    unsigned code = 0;
    const size_t n = drive_replies(d, &code);

    promise(want == (secure ? SMTP_NEXT_LINE : SMTP_NEXT_CLOSE));
    promise(n == (secure && d->options.tls == SMTP_TLS_IMPLICIT));
    promise(!secure || (d->session.helo.n == 0 && d->session.phase == SMTP_CONNECTED));
    drive_forget(&d->model);
    d->secure = secure;
    d->logged.done = false;
    promise(!d->session.authenticated || !secure);
    return want;
}
