/* Times as people and logs write them, in local time where no zone is named. */
#ifndef SMTPIN_COMMANDS_REPORT_DATES_H
#define SMTPIN_COMMANDS_REPORT_DATES_H

#include "base/text.h"

/* A time for --since and --until, of those that systemd.time(7) has:
 * "YYYY-MM-DD [HH:MM[:SS]]", "HH:MM[:SS]" (today), "now", "today", "yesterday", "tomorrow",
 * "-2h", "+30min", "2h ago", "@SECONDS". `now` and *out are microseconds since 1970. False: it is
 * none of them. */
bool dates_parse(struct span s, uint64_t now, uint64_t *out);
/* The time at the front of a log's line, which is cut off from *line with the blank behind it:
 * "Nov 29 21:20:18[.123456]" (of the last twelve months), "[Sun ]2026-11-29 21:20:18[.123] [UTC]",
 * RFC 3339, or seconds with a fraction. 0: there is none. */
uint64_t dates_take(struct span *line, uint64_t now);
/* "2026-11-29 21:20:18", local. */
void dates_add(struct text *out, uint64_t time);

#endif
