/* Reads every table that a configuration names, for `smtpin --check`: what is damaged, and entries
 * that will never be found or can't be obeyed, are named before a client meets them. */
#ifndef SMTPIN_ADAPTERS_TABLE_CHECK_H
#define SMTPIN_ADAPTERS_TABLE_CHECK_H

#include "config/report.h"

/* False: a table can't be used as it is. */
bool table_check_all(const struct config *c, const struct config_report *report);

#endif
