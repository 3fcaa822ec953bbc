/* The socket of --serve. */
#ifndef SMTPIN_COMMANDS_TLS_LISTENING_H
#define SMTPIN_COMMANDS_TLS_LISTENING_H

#include <stdbool.h>

/* The socket that systemd has passed (sd_listen_fds(3)), or one that is made at `path`, mode 0660;
 * path may be NULL. Close-on-exec, not blocking. -1: it has reported why. made: the path is ours to
 * remove. */
int listening_open(const char *path, bool *made);

#endif
