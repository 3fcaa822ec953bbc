/* What the delivery command may reach: the setting `confine`, as rules of the kernel's (Landlock).
 * They are made before the command is started, and it keeps to them from its first instruction. */
#ifndef SMTPIN_ADAPTERS_CONFINE_H
#define SMTPIN_ADAPTERS_CONFINE_H

#include "config/report.h"

/* The rules for a run of the delivery command, as a descriptor above 2, for landlock_enter. 0: it
 * is not confined, by the configuration or because this kernel can't: *note then says so. -1 and
 * errno: something that is named is not there, or memory is short; nothing may be started then. */
int confine_open(const struct config *c, const char **note);
/* For --check: what this kernel can, and paths that are not there. False: one is not. */
bool confine_check(const struct config *c, const struct config_report *report);

#endif
