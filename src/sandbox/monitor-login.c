#include "base/base64.h"
#include "io/clock.h"
#include "sandbox/handlers.h"
#include "smtp/login.h"

#include <string.h>

/* May the client log in now, as far as this process knows? */
static const char *check(struct monitor *m, const struct request *r)
{
    const char *wrong = monitor_keep_greeting(m, r);

    if (wrong != NULL)
        return wrong;
    if (m->backend->auth == NULL || !smtp_offers_login(m->backend->session))
        return "wants a login that it can't have";
    return m->state == MONITOR_IDLE ? NULL : "wants a login within a message";
}

static const char *answer(struct monitor *m, const enum smtp_login_result *result, struct span text)
{
    uint64_t deadline = 0;

    m->room.n = 0;
    if (result != NULL)
        packet_put_number(&m->room, *result);
    packet_put(&m->room, text);
    return monitor_send_answer(m, &deadline);
}

const char *monitor_tell_mechanisms(struct monitor *m, const struct request *r)
{
    struct smtp_login *l = m->backend->session->login;
    const char *wrong = check(m, r);
    const uint64_t before = clock_now();
    struct span mechanisms;

    if (wrong != NULL)
        return wrong;
    mechanisms = span_first(backend_mechanisms(m->backend), sizeof l->mechanisms_room);
    monitor_count_time(m, clock_now() - before);
    memcpy(l->mechanisms_room, mechanisms.p, mechanisms.n);
    l->mechanisms = (struct span){.p = l->mechanisms_room, .n = mechanisms.n};
    return answer(m, NULL, l->mechanisms);
}

/* The step of the login is taken over where it can follow what has been; a mechanism is one that
 * was offered. */
static const char *take_step(struct monitor *m, const struct request *r)
{
    struct smtp_login *l = m->backend->session->login;
    struct span left = l->mechanisms, word;
    bool offered = false;

    if (r->octets.n > SMTP_AUTH_LINE_MAX || !base64_is(r->octets) ||
        (!r->has_response && r->octets.n > 0))
        return "has a response that is none";
    if ((r->step != SMTP_LOGIN_BEGINS) != l->going_on)
        return "goes on with another login";
    l->step = r->step;
    l->response = r->has_response ? r->octets : (struct span){0};
    if (r->step != SMTP_LOGIN_BEGINS)
        return NULL;
    while (span_word(&left, " ", &word))
        offered = offered || span_eq(word, r->mechanism);
    if (!offered)
        return "logs in in a way that was not offered";
    memcpy(l->mechanism_room, r->mechanism.p, r->mechanism.n);
    l->mechanism = (struct span){.p = l->mechanism_room, .n = r->mechanism.n};
    return NULL;
}

/* There is no login within a transaction (RFC 4954 4): what was said of one before it was no user's
 * word. */
static bool log_in(struct monitor *m, struct span user)
{
    if (!smtp_log_in(m->backend->session, user))
        return false;
    if (m->transaction > 0)
        monitor_end_transaction(m);
    return true;
}

const char *monitor_log_in(struct monitor *m, const struct request *r)
{
    struct smtp_session *s = m->backend->session;
    const char *wrong = check(m, r);
    const uint64_t before = clock_now();
    enum smtp_login_result result;
    struct span text;

    /* Who guesses on is not an honest session: that has hung up. */
    if (wrong == NULL && s->login->errors >= m->backend->config->smtp.max_auth_errors)
        wrong = "logs in after too many failures";
    if (wrong == NULL)
        wrong = take_step(m, r);
    if (wrong != NULL)
        return wrong;
    result = backend_login(m->backend, &text);
    monitor_count_time(m, clock_now() - before);
    explicit_bzero((char *)r->octets.p, r->octets.n);
    s->login->response = (struct span){0};
    s->login->going_on = s->login->step != SMTP_LOGIN_CANCELLED && result == SMTP_LOGIN_CHALLENGE;
    if (s->login->step == SMTP_LOGIN_CANCELLED)
        return NULL;
    s->login->errors += result == SMTP_LOGIN_WRONG;
    if (result == SMTP_LOGIN_DONE && !log_in(m, text))
        result = SMTP_LOGIN_LATER;
    return answer(m, &result, text);
}
