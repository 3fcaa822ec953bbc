/* Who the client is, where a proxy says it: as serve_client.c does it. */
#include "commands/replay/core_state.h"

#include <string.h>

void core_open(struct server *s)
{
    s->want = smtp_session_open(&s->session, &s->config.smtp, &s->out, &s->arena, s->available);
    s->session.now = s->config.fixed_time;
    if (s->config.smtp.auth || s->config.smtp.xclient_login)
        s->session.login = &s->login;
    if (proxied_may_xclient(&s->config, &s->peer))
        s->session.xclient = &s->xclient;
    if (s->peer.tls != NULL)
        s->want = smtp_session_is_secure(&s->session, s->want);
}

bool core_take_header(struct server *s)
{
    struct proxied_client client;
    struct proxy_header h;
    enum proxy_result result = PROXY_WRONG;

    if (proxied_is_trusted(&s->config, &s->peer))
        result = proxy_read(text_span(&s->in), &h);
    if (result == PROXY_MORE && !s->ended)
        return false;
    s->header_first = false;
    if (result != PROXY_HEADER) {
        s->want = SMTP_NEXT_CLOSE;
        return true;
    }
    s->in.n -= h.octets;
    memmove(s->in.p, s->in.p + h.octets, s->in.n);
    proxied_by_header(&client, &h);
    proxied_take(&s->peer, &s->proxied, &client);
    proxied_take_facts(&s->peer, &s->proxied, h.facts, &s->config);
    core_open(s);
    return true;
}

enum smtp_want core_take_client(struct server *s)
{
    struct proxied_names names;
    struct proxied_client client;

    if (!proxied_by_xclient(&client, &s->xclient, &s->peer, &names))
        return smtp_session_client(&s->session, SMTP_REPLY_BAD_PARAMETERS);
    proxied_take(&s->peer, &s->proxied, &client);
    return smtp_session_client(&s->session, SMTP_REPLY_OK);
}
