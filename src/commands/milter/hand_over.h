/* The rest of the command line, on the message as it is now. */
#ifndef SMTPIN_COMMANDS_MILTER_HAND_OVER_H
#define SMTPIN_COMMANDS_MILTER_HAND_OVER_H

#include "commands/milter/envelope.h"

/* Becomes the command, or, where a filter has changed who gets the message, runs it and says what
 * has become of each recipient. `message` is its descriptor 0; `each`: a reply line for each
 * recipient is read. Returns the exit status. */
int hand_over(struct envelope *e, int message, bool each);

#endif
