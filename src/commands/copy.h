/* Copying a message from one descriptor to another, until somebody asks us to end. */
#ifndef SMTPIN_COMMANDS_COPY_H
#define SMTPIN_COMMANDS_COPY_H

#include <stdbool.h>
#include <stdint.h>

/* The whole of `from`, which can be sought, to the end of `to`; *size is how many octets that were.
 * False and errno when it could not be; EINTR: copy_must_end. */
bool copy_all(int from, int to, uint64_t *size);
/* Standard input as a descriptor that copy_all can read, as often as it is asked to; -1 and errno.
 */
int copy_input(void);

/* From here on SIGTERM, SIGINT and SIGHUP wait until somebody looks. One that is ignored (nohup(1))
 * stays ignored. */
void copy_hold_signals(void);
/* Has one of them come? */
bool copy_must_end(void);

#endif
