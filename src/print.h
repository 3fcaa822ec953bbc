/* smtpin --print: the settings in force, and where each was made. */
#ifndef SMTPIN_PRINT_H
#define SMTPIN_PRINT_H

#include "config/report.h"

/* Prints to stdout, as a configuration that says the same: `origin` is what config_load wrote for
 * *c. only_made: without those that have their default. 0, or 1: it could not be written. */
int print_settings(const struct config *c, const struct config_origin *origin, bool only_made);

#endif
