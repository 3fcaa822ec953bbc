#include "backend/status.h"

#include "io/clock.h"

void status_open(struct status *s, const struct record *r, struct title *title)
{
    *s = (struct status){.record = r, .title = title, .next = r->started + STATUS_INTERVAL};
    if (title == NULL)
        s->manager = manager_hears() ? r->log->manager : NULL;
}

static const char *phase_name(const struct smtp_session *session)
{
    switch (session->phase) {
    case SMTP_CONNECTED:
        return "connected";
    case SMTP_GREETED:
        return "greeted";
    case SMTP_MAIL:
        return "mail";
    case SMTP_CHUNKS:
        return "bdat";
    default:
        return "rcpt";
    }
}

static void name(const struct status *s, const char *doing, struct text *out)
{
    const struct span address = s->record->peer->address;

    text_add(out, address.n > 0 ? address : SPAN("local"));
    text_adds(out, doing == NULL ? "" : " ");
    text_adds(out, doing == NULL ? "" : doing);
}

static void describe(const struct status *s, const char *doing, struct text *out)
{
    const struct record *r = s->record;

    name(s, doing != NULL ? doing : phase_name(r->session), out);
    text_adds(out, ", commands ");
    text_addn(out, r->session->commands, 1);
    text_adds(out, ", messages ");
    text_addn(out, r->session->messages, 1);
    text_adds(out, ", refusals ");
    text_addn(out, r->refusals, 1);
}

void status_refresh(struct status *s, const char *doing)
{
    char room[256];
    struct text t = TEXT(room);

    if (s->title != NULL) {
        text_adds(&t, s->of_monitor ? "smtpin: for " : "smtpin: ");
        if (!s->of_monitor)
            describe(s, doing, &t);
        else
            name(s, doing, &t);
        title_show(s->title, text_span(&t));
    } else if (s->manager != NULL && !s->of_monitor && clock_now() >= s->next) {
        /* The monitor hears of news from the worker (REQUEST_STATUS). */
        status_send(s, doing);
    }
}

void status_send(struct status *s, const char *doing)
{
    char room[256];
    struct text t = TEXT(room);

    if (s->title != NULL) {
        status_refresh(s, doing);
    } else if (s->manager != NULL) {
        text_adds(&t, "STATUS=");
        describe(s, doing, &t);
        s->manager->notify(text_string(&t));
        s->next = clock_now() + STATUS_INTERVAL;
    }
}
