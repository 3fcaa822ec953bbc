#include "commands/report/tally.h"

#include "syntax/network.h"

#include <netinet/in.h>
#include <time.h>

void tally_open(struct tally *t, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < TOP_KINDS; i++)
        top_open(&t->top[i], seed);
}

static void keep(struct tally_word *w, struct span s)
{
    w->n = (unsigned char)(s.n < TALLY_WORD ? s.n : TALLY_WORD);
    if (w->n > 0)
        memcpy(w->p, s.p, w->n);
}

/* Which hour of which day it is, local time. Records of one hour come together. */
static void look_up_hour(struct tally *t, uint64_t second)
{
    const time_t seconds = (time_t)second;
    struct tm tm;

    if ((second >= t->hour_from && second < t->hour_to) || localtime_r(&seconds, &tm) == NULL)
        return;
    t->hour_from = second - (uint64_t)tm.tm_min * 60 - (uint64_t)tm.tm_sec;
    t->hour_to = t->hour_from + 3600;
    t->hour_is = (unsigned)tm.tm_hour % 24;
    t->day_is = (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
}

/* The counts of that day, in the order of days; NULL: there is no room for it. */
static uint64_t *day_of(struct tally *t, int key)
{
    size_t i = t->days;

    while (i > 0 && t->day[i - 1].key > key)
        i--;
    if (i > 0 && t->day[i - 1].key == key)
        return t->day[i - 1].result;
    if (t->days == TALLY_DAYS) {
        if (i == 0)
            return t->earlier;
        for (size_t r = 0; r < RESULTS; r++)
            t->earlier[r] += t->day[0].result[r];
        i--;
        memmove(t->day, t->day + 1, i * sizeof *t->day);
    } else {
        memmove(t->day + i + 1, t->day + i, (t->days - i) * sizeof *t->day);
        t->days++;
    }
    t->day[i] = (struct tally_day){.key = key};
    return t->day[i].result;
}

static struct span domain_of(struct span address)
{
    size_t n = address.n;

    if (span_eq(address, SPAN("<>")))
        return address;
    while (n > 0 && address.p[n - 1] != '@')
        n--;
    return n == 0 ? SPAN("(no domain)") : span_from(address, n);
}

/* Small letters: a domain is the same in others. */
static void add_small(struct top *t, struct span s)
{
    char room[TOP_KEY_MAX];

    s = span_first(s, sizeof room);
    for (size_t i = 0; i < s.n; i++)
        room[i] = byte_lower(s.p[i]);
    top_add(t, (struct span){.p = room, .n = s.n}, 1);
}

static void add_slow(struct tally *t, const struct entry *e, uint64_t ms)
{
    size_t i = t->slow;

    if (i == TALLY_SLOWEST && ms <= t->slowest[i - 1].milliseconds)
        return;
    if (i == TALLY_SLOWEST)
        i--;
    else
        t->slow++;
    for (; i > 0 && t->slowest[i - 1].milliseconds < ms; i--)
        t->slowest[i] = t->slowest[i - 1];
    t->slowest[i].milliseconds = ms;
    t->slowest[i].time = e->time;
    keep(&t->slowest[i].id, e->value[FIELD_ID]);
    keep(&t->slowest[i].command, e->value[FIELD_COMMAND]);
    keep(&t->slowest[i].recipient, e->value[FIELD_FORWARD_PATH]);
    keep(&t->slowest[i].result, e->value[FIELD_RESULT]);
}

/* The same recipient twice counts once: the journal keeps it once. */
static void add_recipients(struct top *t, const struct entry *e)
{
    struct span recipient, other;
    size_t at = 0;

    while (entry_next(e, FIELD_FORWARD_PATH, &at, &recipient)) {
        bool again = false;

        for (size_t i = 0; !again && entry_next(e, FIELD_FORWARD_PATH, &i, &other) && i < at;)
            again = span_eq(recipient, other);
        if (!again)
            add_small(t, recipient);
    }
}

static void add_transaction(struct tally *t, const struct entry *e)
{
    const enum total_result result = totals_result(e->value[FIELD_RESULT]);

    if (e->time != 0) {
        look_up_hour(t, e->time / 1000000);
        t->hour[t->hour_is][result]++;
        day_of(t, t->day_is)[result]++;
    }
    if (e->value[FIELD_REVERSE_PATH].n > 0)
        add_small(&t->top[TOP_SENDERS], domain_of(e->value[FIELD_REVERSE_PATH]));
    add_recipients(&t->top[TOP_RECIPIENTS], e);
    if (e->value[FIELD_DELIVERY_MILLISECONDS].n > 0) {
        const uint64_t ms = entry_number(e, FIELD_DELIVERY_MILLISECONDS);

        sketch_add(&t->delivery, ms);
        add_slow(t, e, ms);
    }
}

/* "192.0.2.7" in four numbers as smtpin writes them: up to the last dot. */
static bool is_plain_ipv4(struct span s, size_t *last_dot)
{
    size_t dots = 0;

    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '.') {
            dots++;
            *last_dot = i;
        } else if (!byte_is_digit(s.p[i])) {
            return false;
        }
    return dots == 3 && s.n <= 15;
}

static void add_network(struct top *t, struct span address)
{
    char room[INET6_ADDRSTRLEN + 4];
    struct text text = TEXT(room);
    struct network network;
    size_t dot = 0;

    if (is_plain_ipv4(address, &dot)) {
        text_add(&text, span_first(address, dot));
        text_adds(&text, ".0/24");
    } else {
        if (!network_parse_address(address, &network))
            return;
        memset(network.address + 8, 0, 8);
        text.n = network_address(network.address, room, sizeof room).n;
        text_adds(&text, "/64");
    }
    top_add(t, text_span(&text), 1);
}

/* Each session with TLS says when the certificate ends, where that is soon: one that does not has
 * another certificate. Logs may come in any order. */
static void add_certificate(struct tally *t, const struct entry *e)
{
    const struct span ends = e->value[FIELD_CERTIFICATE_ENDS];

    if ((ends.n == 0 && e->value[FIELD_TLS].n == 0) || e->time < t->certificate_time)
        return;
    t->certificate_time = e->time;
    keep(&t->certificate, ends);
}

static void add_session(struct tally *t, const struct entry *e)
{
    const struct span address = e->value[FIELD_CLIENT_ADDRESS];

    if (address.n > 0) {
        top_add(&t->top[TOP_CLIENTS], address, 1);
        add_network(&t->top[TOP_NETWORKS], address);
    }
    if (e->value[FIELD_HELO].n > 0)
        add_small(&t->top[TOP_HELOS], e->value[FIELD_HELO]);
    add_certificate(t, e);
}

/* As many as it stands for: a service says once how many it has turned away. */
static void add_refusal(struct tally *t, const struct entry *e)
{
    const uint64_t count = entry_number(e, FIELD_COUNT);

    if (e->value[FIELD_CLIENT_ADDRESS].n > 0)
        top_add(&t->top[TOP_REFUSED], e->value[FIELD_CLIENT_ADDRESS], count > 0 ? count : 1);
}

static struct tally_alarm *add_alarm(struct tally_alarms *all, const struct entry *e,
                                     enum entry_field what, enum entry_field where)
{
    struct tally_alarm *a = &all->last[all->n++ % TALLY_ALARMS];

    a->time = e->time;
    a->violation = false;
    keep(&a->client, e->value[FIELD_CLIENT_ADDRESS]);
    keep(&a->session, e->value[FIELD_SESSION]);
    keep(&a->what, e->value[what]);
    keep(&a->where, e->value[where]);
    return a;
}

/* What it did that no session does, or the signal or status that ended it. */
static void add_crash(struct tally *t, const struct entry *e)
{
    if (e->value[FIELD_VIOLATION].n > 0)
        add_alarm(&t->crashes, e, FIELD_VIOLATION, FIELD_REQUEST)->violation = true;
    else
        add_alarm(&t->crashes, e, FIELD_SIGNAL, FIELD_STATUS);
}

void tally_add(struct tally *t, const struct entry *e)
{
    totals_add(&t->totals, e);
    t->skipped += e->skipped;
    if (e->time == 0)
        t->undated++;
    else if (t->first == 0 || e->time < t->first)
        t->first = e->time;
    if (e->time > t->last)
        t->last = e->time;
    switch (e->kind) {
    case LOG_SESSION:
        add_session(t, e);
        break;
    case LOG_TRANSACTION:
        add_transaction(t, e);
        break;
    case LOG_REFUSAL:
        add_refusal(t, e);
        break;
    case LOG_CRASH:
        add_crash(t, e);
        break;
    case LOG_CONFIGURATION:
        if (!span_starts_nocase(e->value[FIELD_MISTAKE], SPAN("note")))
            add_alarm(&t->mistakes, e, FIELD_MISTAKE, FIELD_KEY);
        break;
    default:
        break;
    }
}
