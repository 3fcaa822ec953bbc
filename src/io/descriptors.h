/* Descriptors of this process, by the range. Which ones are needed is for the caller to say. */
#ifndef SMTPIN_IO_DESCRIPTORS_H
#define SMTPIN_IO_DESCRIPTORS_H

/* Closes `from` to `to`, those that are there. close_range(2), or one by one where the kernel
 * (before 5.9), or a filter around us, has none. */
void descriptors_close(unsigned from, unsigned to);

#endif
