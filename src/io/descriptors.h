/* Descriptors of this process, by the range. Which ones are needed is for the caller to say. */
#ifndef SMTPIN_IO_DESCRIPTORS_H
#define SMTPIN_IO_DESCRIPTORS_H

#include <stdbool.h>

/* Closes `from` to `to`, those that are there. close_range(2), or one by one where the kernel
 * (before 5.9), or a filter around us, has none. */
void descriptors_close(unsigned from, unsigned to);

/* Opens /dev/null on those of 0, 1 and 2 that are closed: a connection must not get the number of
 * one, or what is printed would go to a stranger. False and errno: it cannot be opened. */
bool descriptors_fill_standard(void);

#endif
