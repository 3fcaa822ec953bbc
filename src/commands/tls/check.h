/* What smtpin-tls --check prints. */
#ifndef SMTPIN_COMMANDS_TLS_CHECK_H
#define SMTPIN_COMMANDS_TLS_CHECK_H

#include "commands/tls/options.h"

/* Each certificate, its TLSA record, and what is wrong, on standard output. 0, or EX_CONFIG where
 * something is wrong. */
int check(const struct tls_options *o);

#endif
