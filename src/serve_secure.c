#include "serve_state.h"
#include "serve_wire.h"

#include <string.h>
#include <unistd.h>

/* STARTTLS, or the first octet on a port of TLS's own. */
enum smtp_want serve_prepare_tls(struct serve *s)
{
    const enum wire_result pushed = serve_flush(s);

    if (pushed != WIRE_OK)
        return serve_give_up(s, pushed, SMTP_REPLY_TIMEOUT);
    if (wire_unread(&s->wire).n > 0) {
        serve_record_unread(s);
        return smtp_session_tls(&s->session, SMTP_TLS_NOT_ALONE);
    }
    if (services_prepare_tls(&s->services, s->wire.in, s->wire.out))
        return smtp_session_tls(&s->session, SMTP_TLS_READY);
    if (s->config->smtp.tls == SMTP_TLS_IMPLICIT)
        services_end(&s->services, "tls_unavailable");
    return smtp_session_tls(&s->session, SMTP_TLS_UNAVAILABLE);
}

/* What a read would find goes to smtpin-tls. Nothing more is said on the connection itself,
 * whatever comes of it. */
enum smtp_want serve_shake_hands(struct serve *s)
{
    const struct tls_stream *plain = &s->services.backend.tls->ours;
    enum wire_result pushed;

    s->wire.ahead = 0; /* what comes behind this reply is for smtpin-tls */
    pushed = serve_flush(s);
    if (pushed != WIRE_OK)
        return serve_give_up(s, pushed, SMTP_REPLY_TIMEOUT);
    serve_watch_stop(s);
    s->wire.broken = !services_start_tls(&s->services, s->wire.in, s->wire.out, s->wire.stop);
    s->wire.in = plain->in;
    s->wire.out = plain->out;
    s->wire.prompt = plain->prompt;
    s->wire.no_socket = false;
    s->wire.ended = WIRE_OK;
    s->wire.ahead = SERVE_AHEAD_MAX;
    return smtp_session_secured(&s->session, !s->wire.broken);
}

enum smtp_want serve_mechanisms(struct serve *s)
{
    const struct span mechanisms = services_mechanisms(&s->services);

    recorder_mechanisms(&s->services.backend.recorder, mechanisms);
    return smtp_session_mechanisms(&s->session, mechanisms);
}

/* The client waits for this, so there is nothing else to be said yet. What it has said is wiped
 * where it was read. */
enum smtp_want serve_login(struct serve *s)
{
    const struct span response = s->session.login->response;
    const enum wire_result pushed = serve_flush(s);
    enum smtp_login_result result;
    enum smtp_want want;
    struct span text;

    if (pushed != WIRE_OK)
        return serve_give_up(s, pushed, SMTP_REPLY_TIMEOUT);
    result = services_login(&s->services, &text);
    if (response.n > 0)
        explicit_bzero((char *)response.p, response.n);
    recorder_login(&s->services.backend.recorder, s->session.login, result, text);
    s->brief_fills = WIRE_BRIEF_FILLS; /* it may have taken its time */
    s->wire.send.cap = SERVE_SEND_MAX;
    want = smtp_session_login(&s->session, result, text);
    s->line.most = s->session.login->going_on ? SMTP_AUTH_LINE_MAX + 2 : 0;
    return want;
}

void serve_open_tls(struct serve *s, struct peer *peer, struct tls *tls)
{
    tls_open(tls, s->config);
    s->services.backend.tls = tls;
    if (tls->given)
        peer->tls = &tls->facts;
}

void serve_close_tls(struct serve *s)
{
    struct tls_stream *ours;

    if (s->services.backend.tls == NULL)
        return;
    ours = &s->services.backend.tls->ours;
    if (ours->in >= 0)
        close(ours->in);
    if (ours->out >= 0 && ours->out != ours->in)
        close(ours->out);
}
