/* Who the client is, where a proxy says it: the PROXY header before the session, and XCLIENT. */
#include "io/clock.h"
#include "serve_state.h"
#include "serve_wire.h"

/* Why no header has come. */
static const char *end_of(enum wire_result why, bool begun)
{
    switch (why) {
    case WIRE_TIMEOUT:
        return "proxy_timeout";
    case WIRE_STOP:
        return "shutdown";
    case WIRE_EOF:
        return begun ? "proxy_cut" : "eof";
    default:
        return "lost";
    }
}

/* Exactly its octets: what is behind them may be for smtpin-tls. What a look shows as the beginning
 * of a header belongs to it; where there can be no look, only what must belong to it is taken. The
 * clock is read where it has not all come at once. NULL, or why the session ends. */
static const char *read_header(struct serve *s, struct proxy_header *h)
{
    enum proxy_result result = proxy_read(wire_unread(&s->wire), h);
    uint64_t deadline = 0;

    while (result == PROXY_MORE) {
        const size_t have = wire_unread(&s->wire).n, seen = wire_peek(&s->wire);
        size_t most = h->needs - have;
        enum wire_result taken;

        if (deadline == 0 && (seen == 0 || have > 0)) {
            serve_watch_stop(s);
            deadline = earlier(clock_now() + s->config->proxy_timeout, s->session_deadline);
        }
        if (seen > 0) {
            result = proxy_read((struct span){.p = s->wire.buffer, .n = have + seen}, h);
            most = result == PROXY_HEADER ? h->octets - have : seen;
        }
        if (result == PROXY_WRONG)
            return h->wrong;
        taken = deadline > 0 && clock_left(deadline) == 0 ? WIRE_TIMEOUT
                                                          : wire_take(&s->wire, most, deadline);
        if (taken != WIRE_OK)
            return end_of(taken, have + seen > 0);
        if (result == PROXY_MORE || wire_unread(&s->wire).n < h->octets)
            result = proxy_read(wire_unread(&s->wire), h);
    }
    return result == PROXY_WRONG ? h->wrong : NULL;
}

bool serve_take_header(struct serve *s, enum smtp_reply_id *answer)
{
    struct proxy_header h;
    const char *wrong = read_header(s, &h);
    struct proxied_client client;

    recorder_octets(&s->services.backend.recorder, wire_unread(&s->wire));
    wire_used(&s->wire, wire_unread(&s->wire).n);
    if (wrong != NULL) {
        services_end(&s->services, wrong);
        return false;
    }
    proxied_by_header(&client, &h);
    *answer = services_take_header(&s->services, &client, h.facts);
    return true;
}

enum smtp_want serve_take_client(struct serve *s)
{
    const struct smtp_xclient *x = s->session.xclient;
    struct proxied_names names;
    struct proxied_client client;
    enum smtp_reply_id answer = SMTP_REPLY_BAD_PARAMETERS;

    if (proxied_by_xclient(&client, x, s->services.backend.peer, &names))
        answer = services_take_client(&s->services, &client, x);
    return smtp_session_client(&s->session, answer);
}
