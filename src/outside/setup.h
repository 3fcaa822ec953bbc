/* Making the process safe before anything else, whatever the super-server left in it. */
#ifndef SMTPIN_OUTSIDE_SETUP_H
#define SMTPIN_OUTSIDE_SETUP_H

#include "config.h"

#include <sys/socket.h>

enum { SETUP_LISTENERS_MAX = 16 };

/* What the super-server gave: a connection, or sockets to listen on. */
struct setup {
    int in, out;                  /* the connection; -1 where there are listeners */
    struct sockaddr_storage from; /* whose it is; AF_UNSPEC: no socket */
    bool gone;                    /* its client has left already */
    int client[2];                /* what descriptor 2 must not be for the log; -1: nothing */
    int listener[SETUP_LISTENERS_MAX];
    struct span name[SETUP_LISTENERS_MAX]; /* LISTEN_FDNAMES; in the environment; empty: none */
    size_t listeners;
    const char *wrong; /* with what was given; NULL: nothing */
};

/* Descriptors 0 to 2 exist, and no other is open but the connection or the listeners where those
 * came as sd_listen_fds(3) has them, or as a descriptor 0 that listens (inetd's "wait"). Signals
 * have their usual actions; those are blocked that must not end this process by themselves, SIGTERM
 * among them. The umask is 077. */
void setup_process(struct setup *s);
/* A descriptor (the caller's, close-on-exec) that is readable once this process is asked to end, by
 * a SIGTERM now or earlier; -1 when none can be had: then SIGTERM ends it at once. */
int setup_stop(void);
/* `user =`: drops root for good. False, and reported, when that can't be done. */
bool setup_user(const struct config *c, const struct config_report *report);
/* What the next connection would trip over besides the configuration's own text: programs,
 * directories, the user. */
bool setup_check(const struct config *c, const struct config_report *report);

#endif
