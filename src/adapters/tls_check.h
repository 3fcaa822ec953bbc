/* What `smtpin --check` says of TLS: smtpin-tls, which alone can read a certificate, is asked about
 * those that the configuration names. */
#ifndef SMTPIN_ADAPTERS_TLS_CHECK_H
#define SMTPIN_ADAPTERS_TLS_CHECK_H

#include "adapters/check_user.h"
#include "config/report.h"

/* `outer`: what was checked before, if the same there need not be said again; NULL: nothing. What
 * smtpin-tls prints is reported line by line. False: sessions would have no TLS. */
bool tls_check(const struct config *c, const struct config *outer, const struct check_user *user,
               const struct config_report *report);

#endif
