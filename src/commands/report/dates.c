#include "commands/report/dates.h"

#include "base/number.h"
#include "smtp/date.h"

#include <time.h>

enum { SECOND = 1000000, DAY_SECONDS = 86400, TEXT_MAX = 64 };

static const uint64_t latest = 4102444800; /* seconds: 2100 */

/* Local time; false: no such time. */
static bool make(struct tm *t, uint64_t *out)
{
    const struct tm wanted = *t;
    time_t seconds;

    t->tm_isdst = -1;
    seconds = mktime(t);
    if (seconds < 0 || t->tm_mday != wanted.tm_mday || t->tm_mon != wanted.tm_mon)
        return false;
    *out = (uint64_t)seconds * SECOND;
    return true;
}

static bool midnight(uint64_t now, int days, uint64_t *out)
{
    const time_t seconds = (time_t)(now / SECOND);
    struct tm t;

    if (localtime_r(&seconds, &t) == NULL)
        return false;
    t.tm_hour = t.tm_min = t.tm_sec = 0;
    t.tm_mday += days;
    t.tm_isdst = -1;
    *out = (uint64_t)mktime(&t) * SECOND;
    return true;
}

static bool digits(struct span *s, size_t n, int least, int most, int *out)
{
    uint64_t number;

    if (s->n < n || number_parse(span_first(*s, n), (uint64_t)most, &number) != NUMBER_OK ||
        (int)number < least)
        return false;
    *s = span_from(*s, n);
    *out = (int)number;
    return true;
}

static bool take(struct span *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = span_from(*s, 1);
    return true;
}

/* A fraction of a second behind a dot or a comma, if there is one: microseconds. */
static uint64_t fraction(struct span *s)
{
    uint64_t micros = 0, unit = SECOND;

    if (s->n < 2 || (s->p[0] != '.' && s->p[0] != ',') || !byte_is_digit(s->p[1]))
        return 0;
    *s = span_from(*s, 1);
    for (; s->n > 0 && byte_is_digit(s->p[0]); *s = span_from(*s, 1)) {
        unit /= 10;
        micros += unit * (uint64_t)(s->p[0] - '0');
    }
    return micros;
}

/* "HH:MM[:SS]" */
static bool clock_time(struct span *s, struct tm *t, bool with_seconds)
{
    t->tm_sec = 0;
    if (!digits(s, 2, 0, 23, &t->tm_hour) || !take(s, ':') || !digits(s, 2, 0, 59, &t->tm_min))
        return false;
    return take(s, ':') ? digits(s, 2, 0, 60, &t->tm_sec) : !with_seconds;
}

/* "YYYY-MM-DD" */
static bool day(struct span *s, struct tm *t)
{
    if (!digits(s, 4, 1970, 2099, &t->tm_year) || !take(s, '-') ||
        !digits(s, 2, 1, 12, &t->tm_mon) || !take(s, '-') || !digits(s, 2, 1, 31, &t->tm_mday))
        return false;
    t->tm_year -= 1900;
    t->tm_mon--;
    return true;
}

/* "2h30min": microseconds. */
static bool length(struct span s, uint64_t *out)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"s", 1},         {"sec", 1},        {"second", 1},   {"seconds", 1},
                 {"m", 60},        {"min", 60},       {"minute", 60},  {"minutes", 60},
                 {"h", 3600},      {"hr", 3600},      {"hour", 3600},  {"hours", 3600},
                 {"d", 86400},     {"day", 86400},    {"days", 86400}, {"w", 604800},
                 {"week", 604800}, {"weeks", 604800}, {"", 1}};
    uint64_t sum = 0;

    s = span_trim(s);
    if (s.n == 0)
        return false;
    for (; s.n > 0; s = span_trim(s)) {
        size_t n = 0, word = 0, unit = 0;
        uint64_t number;

        while (n < s.n && byte_is_digit(s.p[n]))
            n++;
        if (number_parse(span_first(s, n), UINT32_MAX, &number) != NUMBER_OK)
            return false;
        s = span_trim(span_from(s, n));
        while (word < s.n && byte_is_alpha(s.p[word]))
            word++;
        while (unit < sizeof units / sizeof *units &&
               !span_eq(span_first(s, word), span_of(units[unit].name)))
            unit++;
        if (unit == sizeof units / sizeof *units)
            return false;
        s = span_from(s, word);
        sum += number * units[unit].seconds;
        if (sum > latest)
            return false;
    }
    *out = sum * SECOND;
    return true;
}

static bool relative(struct span s, uint64_t now, uint64_t *out)
{
    const struct span ago = SPAN(" ago");
    const bool is_ago = s.n > ago.n && span_eq(span_from(s, s.n - ago.n), ago);
    uint64_t micros;

    if (s.p[0] == '+' || s.p[0] == '-' || is_ago) {
        const bool sign = s.p[0] == '+' || s.p[0] == '-';

        if ((sign && is_ago) ||
            !length(span_first(span_from(s, sign), is_ago ? s.n - ago.n : s.n - 1), &micros))
            return false;
        if (s.p[0] == '+')
            *out = now + micros;
        else
            *out = micros > now ? 0 : now - micros;
        return true;
    }
    return false;
}

/* A date, a time of day, or both. */
static bool absolute(struct span s, uint64_t now, uint64_t *out)
{
    const time_t seconds = (time_t)(now / SECOND);
    struct tm t;

    if (localtime_r(&seconds, &t) == NULL)
        return false;
    t.tm_hour = t.tm_min = t.tm_sec = 0;
    if (s.n > 4 && s.p[4] == '-') {
        if (!day(&s, &t))
            return false;
        if (s.n > 0 && ((!take(&s, ' ') && !take(&s, 'T')) || !clock_time(&s, &t, false)))
            return false;
    } else if (!clock_time(&s, &t, false)) {
        return false;
    }
    return s.n == 0 && make(&t, out);
}

bool dates_parse(struct span s, uint64_t now, uint64_t *out)
{
    static const struct {
        const char *name;
        int days;
    } words[] = {{"today", 0}, {"yesterday", -1}, {"tomorrow", 1}};
    uint64_t seconds;

    s = span_trim(s);
    if (s.n == 0 || s.n > TEXT_MAX)
        return false;
    if (span_eq(s, SPAN("now"))) {
        *out = now;
        return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_eq(s, span_of(words[i].name)))
            return midnight(now, words[i].days, out);
    if (s.p[0] == '@') {
        if (number_parse(span_from(s, 1), latest, &seconds) != NUMBER_OK)
            return false;
        *out = seconds * SECOND;
        return true;
    }
    return relative(s, now, out) || absolute(s, now, out);
}

/* "Nov 29 21:20:18": the year is that in which it was last so. */
static bool syslog_time(struct span *s, uint64_t now, uint64_t *out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const time_t seconds = (time_t)(now / SECOND);
    struct tm t, today;
    int month = 0;

    while (month < 12 && (s->n < 4 || memcmp(s->p, months + (size_t)month * 3, 3) != 0))
        month++;
    if (month == 12 || s->p[3] != ' ' || localtime_r(&seconds, &today) == NULL)
        return false;
    *s = span_from(*s, 4);
    t = today;
    if (!(take(s, ' ') ? digits(s, 1, 1, 9, &t.tm_mday) : digits(s, 2, 1, 31, &t.tm_mday)) ||
        !take(s, ' ') || !clock_time(s, &t, true))
        return false;
    for (int year = today.tm_year; year > today.tm_year - 9; year--) { /* 29 February */
        struct tm is = t;

        is.tm_year = year;
        is.tm_mon = month;
        if (make(&is, out) && *out <= now + (uint64_t)DAY_SECONDS * SECOND) {
            *out += fraction(s);
            return true;
        }
    }
    return false;
}

/* RFC 3339, as journalctl's short-iso has it too: with an offset without a colon. */
static bool iso_time(struct span *s, uint64_t *out)
{
    const struct span word = span_first(*s, span_find(*s, ' '));
    char room[TEXT_MAX];
    struct text t = TEXT(room);
    struct span at = span_from(word, 19);
    uint64_t seconds, micros;

    if (word.n < 20 || word.n > 40 || word.p[10] != 'T')
        return false;
    micros = fraction(&at);
    text_add(&t, span_first(word, 19));
    text_add(&t, span_first(at, 3));
    if (at.n == 5)
        text_addc(&t, ':');
    text_add(&t, span_from(at, 3));
    if (!smtp_read_date(text_span(&t), &seconds))
        return false;
    *out = seconds * SECOND + micros;
    *s = span_from(*s, word.n);
    return true;
}

/* "[Sun ]2026-11-29 21:20:18[.123456][ UTC]" */
static bool full_time(struct span *s, uint64_t *out)
{
    struct tm t = {.tm_isdst = -1};
    struct span at = *s;

    if (at.n > 4 && byte_is_alpha(at.p[0]) && at.p[3] == ' ')
        at = span_from(at, 4);
    if (!day(&at, &t) || !take(&at, ' ') || !clock_time(&at, &t, true))
        return false;
    if (span_eq(span_first(span_from(at, at.n > 0 && at.p[0] == '.' ? span_find(at, ' ') : 0), 5),
                SPAN(" UTC "))) {
        const time_t seconds = timegm(&t);

        if (seconds < 0)
            return false;
        *out = (uint64_t)seconds * SECOND;
    } else if (!make(&t, out)) {
        return false;
    }
    *out += fraction(&at);
    *s = at;
    return true;
}

/* "1764451218.123456" */
static bool unix_time(struct span *s, uint64_t *out)
{
    size_t n = 0;
    uint64_t seconds;
    struct span at;

    while (n < s->n && byte_is_digit(s->p[n]))
        n++;
    if (n < 9 || n >= s->n || s->p[n] != '.' ||
        number_parse(span_first(*s, n), latest, &seconds) != NUMBER_OK)
        return false;
    at = span_from(*s, n);
    *out = seconds * SECOND + fraction(&at);
    *s = at;
    return true;
}

uint64_t dates_take(struct span *line, uint64_t now)
{
    struct span at = *line;
    uint64_t time = 0;

    if (!iso_time(&at, &time) && !full_time(&at, &time)) {
        at = *line;
        if (!unix_time(&at, &time) && !syslog_time(&at, now, &time))
            return 0;
    }
    if (!take(&at, ' '))
        return 0;
    *line = at;
    return time;
}

void dates_add(struct text *out, uint64_t time)
{
    const time_t seconds = (time_t)(time / SECOND);
    struct tm t;
    char room[TEXT_MAX];

    if (localtime_r(&seconds, &t) != NULL)
        text_add(out, (struct span){.p = room,
                                    .n = strftime(room, sizeof room, "%Y-%m-%d %H:%M:%S", &t)});
}
