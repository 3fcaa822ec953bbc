/* What an administrator should know of a configuration with proxies in front: for --check. */
#ifndef SMTPIN_ADAPTERS_PROXY_CHECK_H
#define SMTPIN_ADAPTERS_PROXY_CHECK_H

#include "config/report.h"

/* Notes alone: nothing of it is a mistake. */
void proxy_check(const struct config *c, const struct config_report *report);

#endif
