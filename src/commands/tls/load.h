/* The certificates of the command line. */
#ifndef SMTPIN_COMMANDS_TLS_LOAD_H
#define SMTPIN_COMMANDS_TLS_LOAD_H

#include "commands/tls/certificates.h"
#include "commands/tls/options.h"

/* Reads all that --certificate names. NULL: no memory. What is wrong is in its problems; n is 0
 * where there is no certificate that can be used. */
struct certificates *load_certificates(const struct tls_options *o);

#endif
