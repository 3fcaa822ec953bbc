#include "io/clock.h"
#include "sandbox/handlers.h"

bool monitor_lacks_tls(const struct monitor *m)
{
    return m->backend->config->smtp.tls >= SMTP_TLS_REQUIRED && !m->backend->session->secure;
}

bool monitor_lacks_login(const struct monitor *m)
{
    return m->backend->config->smtp.auth_required && !m->backend->session->authenticated;
}

/* An answer: numbers from 0 to 1. */
static const char *answer(struct monitor *m, const bool *number, size_t n)
{
    uint64_t deadline = 0;

    m->room.n = 0;
    for (size_t i = 0; i < n; i++)
        packet_put_number(&m->room, number[i]);
    return monitor_send_answer(m, &deadline);
}

/* TLS that is there is asked for once, between transactions. */
static const char *check(const struct monitor *m)
{
    if (m->backend->tls == NULL || m->backend->session->secure)
        return "wants TLS that it can't have";
    return m->state == MONITOR_IDLE ? NULL : "wants TLS within a message";
}

const char *monitor_prepare_tls(struct monitor *m, const struct request *r)
{
    const char *wrong = check(m);
    const uint64_t before = clock_now();
    bool ready;

    if (wrong != NULL)
        return wrong;
    m->backend->session->commands = r->commands;
    ready = backend_prepare_tls(m->backend, m->in, m->out);
    monitor_count_time(m, clock_now() - before);
    return answer(m, &ready, 1);
}

const char *monitor_start_tls(struct monitor *m, const struct request *r)
{
    struct smtp_session *s = m->backend->session;
    const uint64_t before = clock_now();
    const char *wrong = check(m);
    bool said[2];

    if (wrong == NULL && !m->backend->tls->ready)
        wrong = "starts TLS that is not ready";
    if (wrong != NULL)
        return wrong;
    s->commands = r->commands;
    recorder_continue(&m->backend->recorder, r->boundary);
    said[1] = backend_start_tls(m->backend, m->in, m->out, m->stop);
    said[0] = recorder_leave(&m->backend->recorder);
    s->secure = said[1];
    monitor_count_time(m, clock_now() - before);
    /* RFC 3207 4.2: what the client has said in plain text counts no longer. */
    smtp_forget_client(s);
    m->over = m->transaction > 0;
    m->passed &= ~(unsigned)SMTP_ABOUT_GREETING;
    return answer(m, said, 2);
}
