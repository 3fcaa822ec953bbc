/* The client's side of a connection, in plain text or over TLS: for session.c. One at a time. */
#ifndef SMTPIN_BENCH_SECURE_H
#define SMTPIN_BENCH_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The handshake, over that descriptor; "1.2" or "1.3" alone is offered. False: it has failed. */
bool secure_start(int fd, const char *version);
/* As read(2) and write(2); over TLS from secure_start on. */
ssize_t secure_read(int fd, void *room, size_t n);
ssize_t secure_write(int fd, const void *octets, size_t n);
/* Says goodbye and, if asked, waits for the other end's. Plain text from here on. */
void secure_end(bool wait);

#endif
