/* What is not set. */
#ifndef SMTPIN_CONFIG_DEFAULTS_H
#define SMTPIN_CONFIG_DEFAULTS_H

#include "config/config.h"

/* All that does not depend on other settings, or on this host. */
extern const struct config config_defaults;

/* hostname: this host's, if it is a domain name. */
void defaults_hostname(struct config *c, struct arena *a);
/* deliver: the embedded default, Maildirs. NULL, or what is wrong. */
const char *defaults_delivery(struct config *c, struct arena *a);
/* tls_command. False: the arena is full. */
bool defaults_tls_command(struct config *c, struct arena *a);

#endif
