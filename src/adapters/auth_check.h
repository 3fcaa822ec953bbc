/* What `smtpin --check` says of logins: whether sessions could ask anybody about one, and whether
 * their clients could begin one. */
#ifndef SMTPIN_ADAPTERS_AUTH_CHECK_H
#define SMTPIN_ADAPTERS_AUTH_CHECK_H

#include "adapters/check_user.h"
#include "config/report.h"

/* `outer`: what was checked before, and if the same there need not be asked again; NULL: nothing.
 * A Dovecot is asked for its mechanisms, a command is not run. False: nobody could log in. */
bool auth_check(const struct config *c, const struct config *outer, const struct check_user *user,
                const struct config_report *report);

#endif
