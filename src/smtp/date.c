#include "smtp/date.h"

#include "base/number.h"

enum { DAY = 86400, CYCLE_YEARS = 400, CYCLE_DAYS = 146097, BEFORE = 719468 };

/* Of years that begin with March, so that a leap day is a year's last: 719,468 days before 1970
 * began the first of them, in a cycle of 400 years and 146,097 days. Five months in turn have 153
 * days, from March and from August on. */
struct smtp_date smtp_date_of(uint64_t time)
{
    const uint64_t second = time % DAY, day = time / DAY, since = day + BEFORE;
    const uint64_t in_cycle = since % CYCLE_DAYS;
    const uint64_t years =
        (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
    const uint64_t in_year = in_cycle - (365 * years + years / 4 - years / 100);
    const uint64_t month = (5 * in_year + 2) / 153;

    return (struct smtp_date){
        .year = since / CYCLE_DAYS * CYCLE_YEARS + years + (month >= 10),
        .month = (month + 2) % 12 + 1,
        .day = in_year - (153 * month + 2) / 5 + 1,
        .hour = second / 3600,
        .minute = second / 60 % 60,
        .second = second % 60,
        .weekday = (day + 4) % 7, /* day 0 was a Thursday */
    };
}

static uint64_t days_until(uint64_t year, uint64_t month, uint64_t day)
{
    const uint64_t y = year - (month <= 2), in_cycle = y % CYCLE_YEARS;
    const uint64_t in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

    return y / CYCLE_YEARS * CYCLE_DAYS + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year -
           BEFORE;
}

/* Takes `digits` of them off *s, and then the octet `behind` (0: none). */
static bool take(struct span *s, size_t digits, char behind, uint64_t most, uint64_t *out)
{
    if (s->n < digits + (behind != 0) ||
        number_parse(span_first(*s, digits), most, out) != NUMBER_OK ||
        (behind != 0 && s->p[digits] != behind))
        return false;
    *s = span_from(*s, digits + (behind != 0));
    return true;
}

/* time-secfrac: it does not matter. */
static bool skip_fraction(struct span *s)
{
    size_t n = 1;

    if (s->n == 0 || s->p[0] != '.')
        return true;
    while (n < s->n && byte_is_digit(s->p[n]))
        n++;
    *s = span_from(*s, n);
    return n > 1;
}

/* time-offset: seconds that local time is ahead of UTC, or behind it. */
static bool take_offset(struct span *s, uint64_t *ahead, uint64_t *late)
{
    const char sign = s->n > 0 ? s->p[0] : '\0';
    uint64_t hours, minutes, *to = sign == '-' ? late : ahead;

    *ahead = *late = 0;
    if (span_eq_nocase(*s, SPAN("Z")))
        return true;
    *s = span_from(*s, 1);
    if ((sign != '+' && sign != '-') || !take(s, 2, ':', 23, &hours) ||
        !take(s, 2, '\0', 59, &minutes))
        return false;
    *to = hours * 3600 + minutes * 60;
    return s->n == 0;
}

bool smtp_read_date(struct span s, uint64_t *time)
{
    struct smtp_date d, is;
    uint64_t ahead, late, local;

    if (!take(&s, 4, '-', 9999, &d.year) || !take(&s, 2, '-', 12, &d.month) || s.n < 3 ||
        (s.p[2] != 'T' && s.p[2] != 't') || !take(&s, 2, s.p[2], 31, &d.day) ||
        !take(&s, 2, ':', 23, &d.hour) || !take(&s, 2, ':', 59, &d.minute) ||
        !take(&s, 2, '\0', 60, &d.second) || !skip_fraction(&s) ||
        !take_offset(&s, &ahead, &late) || d.year < 1970 || d.month == 0 || d.day == 0)
        return false;
    local = days_until(d.year, d.month, d.day) * DAY;
    is = smtp_date_of(local);
    local += d.hour * 3600 + d.minute * 60 + d.second + late;
    if (is.month != d.month || is.day != d.day || local < ahead) /* no such day, or too early */
        return false;
    *time = local - ahead;
    return true;
}

void smtp_add_date(struct text *out, uint64_t time)
{
    const struct smtp_date d = smtp_date_of(time);

    text_addn(out, d.year, 4);
    text_addc(out, '-');
    text_addn(out, d.month, 2);
    text_addc(out, '-');
    text_addn(out, d.day, 2);
    text_addc(out, 'T');
    text_addn(out, d.hour, 2);
    text_addc(out, ':');
    text_addn(out, d.minute, 2);
    text_addc(out, ':');
    text_addn(out, d.second, 2);
    text_addc(out, 'Z');
}
