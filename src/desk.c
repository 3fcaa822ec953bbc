#include "desk.h"

#include "adapters/deliver.h"
#include "adapters/head.h"
#include "adapters/rules.h"
#include "io/clock.h"
#include "smtp/header.h"

#include <errno.h>

void desk_open(struct desk *d, const struct config *c, const struct serve_connection *connection,
               struct smtp_session *session, struct log *log, struct serve_memory *memory)
{
    d->config = c;
    d->peer = connection->peer;
    d->session = session;
    d->ask.fd = -1;
    d->recorder = (struct recorder){.out = TEXT(memory->trace)};
    d->spool = (struct spool){.fd = -1,
                              .buffer = memory->spool,
                              .cap = sizeof memory->spool,
                              .memory = c->spool_memory,
                              .dir = c->spool_dir.p};
    record_open(&d->record, c, connection->peer, session, log);
    status_open(&d->status, &d->record, connection->title);
    if (!recorder_open(&d->recorder, c, connection->peer, record_session_id(&d->record),
                       record_time(&d->record)))
        record_trace_error(&d->record, errno);
}

static bool is_inside(const struct desk *d)
{
    return d->ask.fd >= 0;
}

void desk_before(struct desk *d)
{
    record_before(&d->record);
}

void desk_after(struct desk *d, enum smtp_want want)
{
    const bool news = record_after(&d->record, want);

    if (is_inside(d))
        ask_after(&d->ask, &d->record, want, news);
}

void desk_end(struct desk *d, const char *why)
{
    record_end(&d->record, why);
}

void desk_close(struct desk *d)
{
    recorder_close(&d->recorder, d->record.end);
    if (is_inside(d))
        ask_close(&d->ask, &d->record);
    else
        record_close(&d->record);
}

struct smtp_verdict desk_decide(struct desk *d, const struct smtp_mailbox *recipient)
{
    struct rules_question question;

    if (is_inside(d) && rules_look_outside(recipient))
        return ask_decide(&d->ask, d->session, recipient->address);
    rules_open(&question, d->config, d->peer, recipient);
    return rules_decide(&question);
}

void desk_accept(struct desk *d, struct smtp_mailbox *recipient, struct arena *a)
{
    if (is_inside(d))
        ask_add(&d->ask, d->session, recipient->address);
    else
        head_find_ascii(a, recipient);
    head_complete(d->config, a, recipient);
}

static struct head_facts facts(const struct desk *d)
{
    return (struct head_facts){
        .config = d->config,
        .session = d->session,
        .peer = d->peer,
        .id = record_id(&d->record),
        .time = record_time(&d->record),
    };
}

static bool write_head(struct desk *d)
{
    const struct head_facts f = facts(d);
    struct text head = {.cap = 0};

    head.p = spool_room(&d->spool, &head.cap); /* a whole buffer, which is more than HEAD_MAX */
    if (head.p == NULL)
        return false;
    head_write(&head, &f, deliver_common_fields(d->config), head_only_recipient(d->session));
    d->head = head.n;
    spool_add(&d->spool, head.n);
    /* Does anything of ours stand before it, here or in a run's own copy? */
    d->begun = head.n == 0 &&
               (d->config->deliver_per == CONFIG_PER_MESSAGE || d->config->trace_headers == 0);
    return true;
}

/* A message without a header, or whose first line goes on with another, must not become a part of
 * our trace fields: its text would be header fields, its folded first line a part of our Received:.
 * An empty line goes between. */
static void look_at_start(struct desk *d, bool whole)
{
    const struct span message = {.p = d->spool.buffer + d->head, .n = d->spool.filled - d->head};
    const struct span empty_line = d->config->line_ending == 0 ? SPAN("\n") : SPAN("\r\n");
    const enum smtp_start start = smtp_header_start(message, whole);

    d->begun = start != SMTP_START_MORE;
    if (start != SMTP_START_TEXT)
        return;
    spool_insert(&d->spool, d->head, empty_line);
    d->head += empty_line.n;
}

bool desk_begin(struct desk *d)
{
    if (is_inside(d)) {
        ask_begin(&d->ask);
        return true;
    }
    record_message(&d->record);
    digest_open(&d->digest, d->config, &d->session->transaction);
    if (spool_open(&d->spool, d->session->transaction.declared_size) && write_head(d))
        return true;
    record_spool_error(&d->record, errno);
    return false;
}

char *desk_room(struct desk *d, size_t *room)
{
    char *at = is_inside(d) ? ask_room(&d->ask, d->session, room) : spool_room(&d->spool, room);

    if (at == NULL)
        record_spool_error(&d->record, errno);
    else if (!is_inside(d) && !d->begun)
        *room -= sizeof "\r\n" - 1; /* look_at_start may want it */
    return at;
}

void desk_add(struct desk *d, size_t n)
{
    if (is_inside(d)) {
        d->ask.filled += n;
        return;
    }
    digest_add(&d->digest, (struct span){.p = d->spool.buffer + d->spool.filled, .n = n});
    spool_add(&d->spool, n);
    if (!d->begun)
        look_at_start(d, false);
}

void desk_finish(struct desk *d, struct smtp_data *data)
{
    if (smtp_data_is_over(data))
        d->record.size = data->size;
    if (is_inside(d)) {
        if (!data->ended || data->fault != SMTP_DATA_FINE)
            ask_finish(&d->ask, d->session, data);
        return;
    }
    if (!d->begun && data->ended && data->fault == SMTP_DATA_FINE)
        look_at_start(d, true);
    if (data->ended && data->fault == SMTP_DATA_FINE && spool_finish(&d->spool) < 0) {
        record_spool_error(&d->record, errno);
        data->fault = SMTP_DATA_NO_SPOOL;
    }
    if (!data->ended || data->fault != SMTP_DATA_FINE)
        spool_close(&d->spool);
}

static void deliver_lasts(void *desk)
{
    desk_tell((struct desk *)desk, "delivering");
}

bool desk_deliver(struct desk *d, struct arena *a)
{
    struct smtp_transaction *t = &d->session->transaction;

    if (is_inside(d))
        return ask_deliver(&d->ask, d->session, d->record.size, &d->recorder, a);
    d->record.digest = digest_close(&d->digest, t, a);
    deliver_all(&(struct deliver){.lasts = deliver_lasts,
                                  .context = d,
                                  .facts = facts(d),
                                  .transaction = t,
                                  .spool = &d->spool,
                                  .head = d->head,
                                  .size = d->record.size,
                                  .digest = d->record.digest,
                                  .arena = a},
                &d->record.delivery);
    recorder_delivery(&d->recorder, &d->record.delivery);
    spool_close(&d->spool);
    record_delivered(&d->record);
    return true;
}

bool desk_was_quick(const struct desk *d)
{
    return is_inside(d) ? d->ask.quick : !d->record.delivery.waited;
}

/* The title is this process's own; the service manager listens to the other one. */
static bool tells_across(const struct desk *d)
{
    return is_inside(d) && d->status.title == NULL;
}

void desk_show(struct desk *d, const char *doing)
{
    if (!tells_across(d))
        status_show(&d->status, doing);
    else if (d->ask.tells && clock_now() >= d->ask.next)
        ask_tell(&d->ask, &d->record, doing);
}

void desk_tell(struct desk *d, const char *doing)
{
    if (!tells_across(d))
        status_tell(&d->status, doing);
    else if (d->ask.tells)
        ask_tell(&d->ask, &d->record, doing);
}

bool desk_tells(const struct desk *d)
{
    return is_inside(d) ? d->ask.tells : d->status.notify.fd >= 0;
}
