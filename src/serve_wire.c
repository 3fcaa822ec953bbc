#include "serve_wire.h"

#include "adapters/setup.h"
#include "io/clock.h"
#include "serve_state.h"

enum smtp_want serve_give_up(struct serve *s, enum wire_result why, enum smtp_reply_id slow)
{
    const bool over = clock_left(s->session_deadline) == 0;

    services_end(&s->services, why == WIRE_EOF     ? "eof"
                               : why == WIRE_ERROR ? "lost"
                               : s->stopping       ? "shutdown"
                                                   : "timeout");
    if (why != WIRE_TIMEOUT && why != WIRE_STOP)
        return smtp_session_gone(&s->session);
    /* A replay would have to wait as long for this reply: the recording ends before it. */
    recorder_close(&s->services.backend.recorder, s->stopping ? "shutdown" : "timeout");
    return smtp_session_interrupt(&s->session, s->stopping ? SMTP_REPLY_SHUTDOWN
                                               : over      ? SMTP_REPLY_SESSION_OVER
                                                           : slow);
}

uint64_t serve_late_time(const struct config *c)
{
    return earlier(c->command_timeout, SERVE_LATE);
}

void serve_begin_to_stop(struct serve *s)
{
    s->stopping = true;
    s->wire.stop = -1;
    s->session_deadline = earlier(s->session_deadline, clock_now() + s->config->drain_timeout);
}

/* A reply has command_timeout, and however late it is, a moment: it may be a 250. All late ones
 * together have a bound: a client gets no more time by asking for many. */
static uint64_t reply_deadline(struct serve *s)
{
    const uint64_t now = clock_now();

    if (s->session_deadline > now + SERVE_LINGER)
        return earlier(now + s->config->command_timeout, s->session_deadline);
    if (s->late == 0)
        s->late = now + serve_late_time(s->config);
    return earlier(now + SERVE_LINGER, s->late);
}

void serve_watch_stop(struct serve *s)
{
    int stop;

    s->brief_fills = 0;
    s->decided = 0;
    if (s->wire.stop != SERVE_STOP_LATER)
        return;
    stop = setup_stop();
    if (stop >= 0)
        s->wire.stop = stop;
}

enum wire_result serve_flush(struct serve *s)
{
    enum wire_result pushed = wire_try_flush(&s->wire);

    s->spoken = 0;
    if (pushed != WIRE_TIMEOUT)
        return pushed;
    serve_watch_stop(s);
    pushed = wire_flush(&s->wire, reply_deadline(s));
    s->brief_fills = WIRE_BRIEF_FILLS; /* the next line looks at stop and clock */
    return pushed;
}

/* Is this the wait for a new line, or message, of a client that keeps up so far? It is looked for
 * without clock and stop, a few times. */
static bool may_wait_briefly(const struct serve *s, uint64_t deadline)
{
    return deadline == 0 && s->brief_fills < WIRE_BRIEF_FILLS && wire_unread(&s->wire).n == 0 &&
           !s->stopping && !services_has_status_reader(&s->services);
}

enum wire_result serve_fill(struct serve *s, uint64_t *deadline, uint64_t timeout,
                            const char *doing)
{
    const size_t before = wire_unread(&s->wire).n;
    enum wire_result filled = serve_flush(s);

    if (filled != WIRE_OK || wire_unread(&s->wire).n > before)
        return filled;
    if (may_wait_briefly(s, *deadline)) {
        s->brief_fills++;
        filled = wire_fill_briefly(&s->wire);
        if (filled != WIRE_TIMEOUT)
            return filled;
    }
    serve_watch_stop(s);
    services_refresh_status(&s->services, doing);
    if (*deadline == 0)
        *deadline = clock_now() + timeout;
    if (services_has_status_reader(&s->services)) {
        filled = wire_fill(&s->wire, earlier(earlier(*deadline, s->session_deadline),
                                             clock_now() + STATUS_INTERVAL));
        if (filled != WIRE_TIMEOUT)
            return filled;
        services_send_status(&s->services, doing);
    }
    return wire_fill(&s->wire, earlier(*deadline, s->session_deadline));
}
