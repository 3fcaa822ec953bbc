/* Octets to and from a server that is connected (connect.h), by a deadline. */
#ifndef SMTPIN_IO_EXCHANGE_H
#define SMTPIN_IO_EXCHANGE_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* Waits for `events` of poll(2). False: there are none by the deadline (clock.h). */
bool exchange_wait(int fd, short events, uint64_t deadline);

/* Sends all the octets. 0, or errno: ETIMEDOUT where the server does not take them by the deadline.
 */
int exchange_send(int fd, struct span octets, uint64_t deadline);

#endif
