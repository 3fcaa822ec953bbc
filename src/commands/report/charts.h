/* Pictures of the report as SVG that stands in HTML: no script, nothing from elsewhere, no text but
 * this program's own. Colours are classes of the page's style. */
#ifndef SMTPIN_COMMANDS_REPORT_CHARTS_H
#define SMTPIN_COMMANDS_REPORT_CHARTS_H

#include "commands/report/tally.h"

#include <stdio.h>

/* Messages by hour of the day: a bar for each, accepted, deferred, refused and abandoned one upon
 * the other. */
void charts_hours(FILE *out, const struct tally *t);
/* Delivery times: how many messages took how long, each bar twice as long as the one before. */
void charts_delivery(FILE *out, const struct tally *t);

#endif
