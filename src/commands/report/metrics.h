/* Totals as metrics: names and units as OpenMetrics has them, labels of this program's own tables
 * alone. */
#ifndef SMTPIN_COMMANDS_REPORT_METRICS_H
#define SMTPIN_COMMANDS_REPORT_METRICS_H

#include "commands/report/totals.h"

#include <stdio.h>

enum metrics_form {
    METRICS_OPENMETRICS, /* OpenMetrics 1.0: a family's name is without _total, # EOF ends it */
    METRICS_PROMETHEUS,  /* Prometheus' text format 0.0.4, as node_exporter's textfile reads it */
};

void metrics_write(FILE *out, enum metrics_form form, const struct totals *t);

#endif
