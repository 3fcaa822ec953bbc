#include "sandbox/monitor.h"

#include "backend/status.h"

enum { REQUESTS_MORE = 100 }; /* of a kind, beyond what is counted: the end, last errors */

/* Another transaction than the last one: nothing of that is left. */
static const char *turn_to_transaction(struct monitor *m, uint64_t transaction)
{
    if (transaction == m->transaction)
        return NULL;
    if (transaction < m->transaction || m->state != MONITOR_IDLE)
        return "goes back to another transaction";
    /* The MAIL that is one too many has been counted when it is refused. */
    if (transaction - 1 > m->backend->config->smtp.max_transactions)
        return "has too many transactions";
    if (m->unfiltered)
        return "goes on without its filter";
    if (monitor_lacks_tls(m))
        return "has mail outside TLS";
    if (monitor_lacks_login(m))
        return "has mail without a login";
    smtp_forget_transaction(m->backend->session);
    m->transaction = m->backend->session->transactions = transaction;
    m->asked &= SMTP_ABOUT_CLIENT;
    m->passed &= SMTP_ABOUT_CLIENT | SMTP_ABOUT_GREETING;
    m->over = m->begun = false;
    return NULL;
}

/* How many requests of such a kind an honest session may have sent at its end. */
static uint64_t most_requests(const struct config *c, enum request_pace pace)
{
    const uint64_t most[] = {
        [REQUEST_EACH_COMMAND] = c->smtp.max_commands,
        [REQUEST_EACH_TRANSACTION] = c->smtp.max_transactions,
        [REQUEST_EACH_SECOND] = c->session_timeout / STATUS_INTERVAL,
    };

    if (pace == REQUEST_ONCE)
        return 1;
    return most[pace] < UINT64_MAX - REQUESTS_MORE ? most[pace] + REQUESTS_MORE : UINT64_MAX;
}

static const char *count_request(struct monitor *m, const struct request *r)
{
    /* The size of a message bounds these. */
    if (r->octets.n >= REQUEST_OCTETS_FEW && r->kind == REQUEST_OCTETS)
        return NULL;
    return ++m->requests[r->kind] > most_requests(m->backend->config, request_about(r->kind)->pace)
               ? "has too many requests"
               : NULL;
}

/* Where a proxy is in front, nothing is decided about whoever is behind it before it has said who
 * that is. */
static const char *check_proxied(const struct monitor *m, const struct request *r)
{
    const bool may_be_first =
        r->kind == REQUEST_PROXY || r->kind == REQUEST_END || r->kind == REQUEST_NO_FILTER;

    return m->backend->config->proxy_protocol != 0 && !m->proxied &&
                   (!may_be_first || r->transaction > 0 || r->added.n > 0)
               ? "goes on without the header of its proxy"
               : NULL;
}

#define HANDLER(kind, handler, pace, fields) [REQUEST_##kind] = monitor_##handler,

const char *monitor_handle(struct monitor *m, struct span packet)
{
    static const char *(*const handlers[])(struct monitor *,
                                           const struct request *) = {REQUEST_KINDS(HANDLER)};
    struct request r;
    const char *wrong;

    if (m->closed)
        return "goes on after its end";
    if (!request_read(packet, &r)) {
        m->last = NULL; /* this one has no name */
        return "sends what is no request";
    }
    wrong = check_proxied(m, &r);
    if (wrong == NULL)
        wrong = count_request(m, &r);
    if (wrong == NULL)
        wrong = turn_to_transaction(m, r.transaction);
    if (wrong == NULL)
        wrong = monitor_add_recipients(m, r.added);
    if (wrong == NULL)
        wrong = handlers[r.kind](m, &r);
    m->last = request_about(r.kind);
    return wrong;
}
