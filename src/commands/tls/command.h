/* COMMAND of --wrap and --ucspi: a child of this process, which stays between it and the client. */
#ifndef SMTPIN_COMMANDS_TLS_COMMAND_H
#define SMTPIN_COMMANDS_TLS_COMMAND_H

#include "commands/tls/options.h"

/* Both return the exit status of this process: COMMAND's, 128 and its signal, or one of sysexits.h
 * where it was not started. */

/* TLS from the first octet on descriptors 0 and 1, then COMMAND with the plain text there and the
 * facts in its environment. */
int command_wrap(const struct tls_options *o);
/* COMMAND at once; TLS when it asks for it, by UCSPI-TLS. OpenSSL is not started before that. */
int command_ucspi(const struct tls_options *o);

#endif
