#include "sandbox/handlers.h"
#include "smtp/login.h"
#include "smtp/xclient.h"

static struct proxied_client client_of(const struct request *r)
{
    return (struct proxied_client){.address = r->client,
                                   .port = r->client_port,
                                   .name = r->client_name,
                                   .server_address = r->server,
                                   .server_port = r->server_port};
}

/* The listening process alone may turn the client away: without one there is no answer. */
static const char *take(struct monitor *m, const struct proxied_client *client,
                        const struct span *facts)
{
    const enum smtp_reply_id reply = backend_take_client(m->backend, client, facts);
    uint64_t deadline = 0;

    if (m->backend->seat < 0)
        return NULL;
    m->room.n = 0;
    packet_put_number(&m->room, reply);
    return monitor_send_answer(m, &deadline);
}

/* That the proxy is trusted has been looked at before the worker was there. */
const char *monitor_take_header(struct monitor *m, const struct request *r)
{
    const struct proxied_client client = client_of(r);
    const char *wrong;

    if (m->backend->config->proxy_protocol == 0)
        return "has no proxy in front";
    if (client.name.n > 0 || !proxied_is_client(&client))
        return "has a client that is none";
    m->proxied = true;
    wrong = take(m, &client, &r->facts);
    m->backend->session->secure = m->backend->peer->tls != NULL;
    return wrong;
}

const char *monitor_take_client(struct monitor *m, const struct request *r)
{
    const struct proxied_client client = client_of(r);
    struct smtp_session *s = m->backend->session;

    if (s->xclient == NULL)
        return "is no proxy that may name its client";
    if (m->state != MONITOR_IDLE)
        return "names its client within a message";
    if (!proxied_is_client(&client))
        return "has a client that is none";
    if (r->has_user && r->user.n > 0 && (!s->options->xclient_login || span_has_control(r->user)))
        return "has a login that counts for nothing";
    s->commands = r->commands;
    *s->xclient =
        (struct smtp_xclient){.given = r->has_user ? SMTP_XCLIENT_LOGIN : 0, .login = r->user};
    smtp_take_xclient(s);
    /* What has been said and asked was another client's. */
    m->over = m->transaction > 0;
    m->asked = m->passed = 0;
    return take(m, &client, NULL);
}
