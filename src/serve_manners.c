#include "io/clock.h"
#include "serve_state.h"

/* Line by line, as commands are: it may hold a secret. Behind DATA or BDAT it may be a message. */
void serve_record_unread(struct serve *s)
{
    struct recorder *r = &s->services.backend.recorder;
    struct span left = wire_unread(&s->wire);
    bool text = false;

    while (left.n > 0) {
        const struct span line = span_first(left, span_find(left, '\n') + 1);

        if (text)
            recorder_masked(r, line);
        else
            recorder_commands(r, line, s->session.login);
        text = text || span_starts_nocase(line, SPAN("DATA")) ||
               span_starts_nocase(line, SPAN("BDAT"));
        left = span_from(left, line.n);
    }
}

/* RFC 5321 3.1: the client waits for the greeting. Inside TLS this is about what it says there. Who
 * is refused anyway has been by now. */
enum smtp_want serve_hold_greeting(struct serve *s)
{
    const uint64_t until = clock_now() + s->config->smtp.greet_delay;
    enum wire_result filled;

    if (rules_is_near(&s->services.backend.rules))
        return smtp_session_greet(&s->session, false);
    serve_watch_stop(s);
    services_refresh_status(&s->services, NULL);
    filled = wire_fill(&s->wire, earlier(until, s->session_deadline));
    if (filled == WIRE_OK) {
        serve_record_unread(s);
        return smtp_session_greet(&s->session, true);
    }
    if (filled == WIRE_STOP)
        serve_begin_to_stop(s);
    if (filled != WIRE_TIMEOUT || clock_left(s->session_deadline) == 0)
        return serve_give_up(s, filled, SMTP_REPLY_TIMEOUT);
    return smtp_session_greet(&s->session, false);
}

/* What was said before it waits, too. Afterwards the clock is looked at before the next command:
 * however many are there, none goes on beyond the session's time. */
enum smtp_want serve_hold_error(struct serve *s)
{
    const uint64_t until = clock_now() + s->config->smtp.error_delay;
    enum wire_result waited = WIRE_STOP;

    serve_watch_stop(s);
    services_refresh_status(&s->services, NULL);
    if (!s->stopping)
        waited = wire_pause(&s->wire, earlier(until, s->session_deadline));
    if (waited == WIRE_STOP && !s->stopping)
        serve_begin_to_stop(s);
    s->brief_fills = WIRE_BRIEF_FILLS;
    waited = serve_flush(s);
    return waited == WIRE_OK ? smtp_session_paused(&s->session)
                             : serve_give_up(s, waited, SMTP_REPLY_TIMEOUT);
}
