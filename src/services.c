#include "services.h"

#include "io/clock.h"

#include <unistd.h>

void services_before_step(struct services *s)
{
    backend_before_step(&s->backend);
}

void services_after_step(struct services *s, enum smtp_want want)
{
    const bool news = backend_after_step(&s->backend, want);

    if (services_in_sandbox(s))
        worker_after_step(&s->worker, &s->backend.record, want, news);
}

void services_end(struct services *s, const char *why)
{
    backend_end(&s->backend, why);
}

void services_close(struct services *s)
{
    if (!services_in_sandbox(s)) {
        backend_close(&s->backend);
        return;
    }
    recorder_close(&s->backend.recorder, s->backend.record.end);
    worker_close(&s->worker, &s->backend.record);
}

bool services_prepare_tls(struct services *s, int in, int out)
{
    return services_in_sandbox(s) ? worker_prepare_tls(&s->worker, s->backend.session)
                                  : backend_prepare_tls(&s->backend, in, out);
}

bool services_start_tls(struct services *s, int in, int out, int stop)
{
    if (!services_in_sandbox(s))
        return backend_start_tls(&s->backend, in, out, stop);
    if (!worker_start_tls(&s->worker, s->backend.session, &s->backend.recorder)) {
        services_end(s, "tls_failed");
        return false;
    }
    /* Nothing is opened in the worker, so nothing comes into their places. */
    close(in);
    if (out != in)
        close(out);
    return true;
}

enum smtp_reply_id services_take_header(struct services *s, const struct proxied_client *client,
                                        struct span facts)
{
    struct backend *b = &s->backend;
    enum smtp_reply_id answer;

    if (!services_in_sandbox(s))
        return backend_take_client(b, client, &facts);
    answer = worker_take_header(&s->worker, client, facts);
    proxied_take(b->peer, b->proxied, client);
    proxied_take_facts(b->peer, b->proxied, facts, b->config);
    return answer;
}

enum smtp_reply_id services_take_client(struct services *s, const struct proxied_client *client,
                                        const struct smtp_xclient *said)
{
    struct backend *b = &s->backend;
    enum smtp_reply_id answer;

    if (!services_in_sandbox(s))
        return backend_take_client(b, client, NULL);
    answer = worker_take_client(&s->worker, b->session, client, said);
    proxied_take(b->peer, b->proxied, client);
    return answer;
}

struct span services_mechanisms(struct services *s)
{
    return services_in_sandbox(s) ? worker_mechanisms(&s->worker, s->backend.session)
                                  : backend_mechanisms(&s->backend);
}

enum smtp_login_result services_login(struct services *s, struct span *text)
{
    return services_in_sandbox(s) ? worker_login(&s->worker, s->backend.session, text)
                                  : backend_login(&s->backend, text);
}

bool services_begin_message(struct services *s)
{
    if (!services_in_sandbox(s))
        return backend_begin_message(&s->backend);
    worker_begin_message(&s->worker);
    return true;
}

char *services_message_room(struct services *s, size_t *room)
{
    return services_in_sandbox(s) ? worker_message_room(&s->worker, s->backend.session, room)
                                  : backend_message_room(&s->backend, room);
}

void services_add_octets(struct services *s, size_t n)
{
    if (services_in_sandbox(s))
        worker_add_octets(&s->worker, n);
    else
        backend_add_octets(&s->backend, n);
}

void services_finish_message(struct services *s, struct smtp_data *data)
{
    if (!services_in_sandbox(s)) {
        backend_finish_message(&s->backend, data);
        return;
    }
    if (smtp_data_is_over(data))
        s->backend.record.size = data->size;
    if (!data->ended || data->fault != SMTP_DATA_FINE)
        worker_finish_message(&s->worker, s->backend.session, data);
}

void services_keep_message(struct services *s)
{
    if (services_in_sandbox(s))
        worker_announce_message(&s->worker, s->backend.session);
}

bool services_deliver(struct services *s, struct arena *a)
{
    struct backend *b = &s->backend;

    if (services_in_sandbox(s))
        return worker_deliver(&s->worker, b->session, b->record.size, &b->recorder, a);
    backend_deliver(b, a);
    return true;
}

bool services_was_quick(const struct services *s)
{
    return services_in_sandbox(s) ? s->worker.quick : backend_was_quick(&s->backend);
}

/* A title is this process's own; the service manager listens to the monitor. */
static bool is_status_of_monitor(const struct services *s)
{
    return services_in_sandbox(s) && s->backend.status.title == NULL;
}

void services_refresh_status(struct services *s, const char *doing)
{
    if (!is_status_of_monitor(s))
        backend_refresh_status(&s->backend, doing);
    else if (s->worker.status_is_read && clock_now() >= s->worker.next_status)
        worker_send_status(&s->worker, &s->backend.record, doing);
}

void services_send_status(struct services *s, const char *doing)
{
    if (!is_status_of_monitor(s))
        backend_send_status(&s->backend, doing);
    else if (s->worker.status_is_read)
        worker_send_status(&s->worker, &s->backend.record, doing);
}

bool services_has_status_reader(const struct services *s)
{
    return services_in_sandbox(s) ? s->worker.status_is_read : s->backend.status.manager != NULL;
}
