/* The calendar: seconds since 1970 began, UTC, and the dates that they are. */
#ifndef SMTPIN_SMTP_DATE_H
#define SMTPIN_SMTP_DATE_H

#include "base/text.h"

/* Months and days count from 1; the weekday from 0, a Sunday. */
struct smtp_date {
    uint64_t year, month, day, hour, minute, second, weekday;
};

struct smtp_date smtp_date_of(uint64_t time);
/* date-time (RFC 3339 5.6): with any offset, at most 24 hours; from 1970 on. False: it is none, or
 * no day of the calendar. */
bool smtp_read_date(struct span s, uint64_t *time);
/* The same, in UTC and without fractions of a second. */
void smtp_add_date(struct text *out, uint64_t time);

#endif
