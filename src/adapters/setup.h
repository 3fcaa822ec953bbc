/* Making the process safe before anything else, whatever the super-server left in it. No byte of
 * the client's is read. */
#ifndef SMTPIN_ADAPTERS_SETUP_H
#define SMTPIN_ADAPTERS_SETUP_H

#include "adapters/manager.h"
#include "config/report.h"

#include <sys/socket.h>

/* What the super-server gave: a connection, or sockets to listen on. */
struct setup {
    const struct manager *manager;
    int in, out;                  /* the connection; -1 where there are listeners */
    struct sockaddr_storage from; /* whose it is; AF_UNSPEC: no socket */
    bool gone;                    /* its client has left already */
    int listener[MANAGER_SOCKETS_MAX];
    struct span name[MANAGER_SOCKETS_MAX]; /* LISTEN_FDNAMES; in the environment; empty: none */
    size_t listeners;
    bool stderr_is_ours;
    const char *wrong; /* with what was given; NULL: nothing */
};

/* Descriptors 0 to 2 exist, 2 is not the client's, and no other is open but the connection or the
 * listeners where those came as sd_listen_fds(3) has them, or as a descriptor 0 that listens
 * (inetd's "wait"). Signals have their usual actions; those are blocked that must not end this
 * process by themselves, SIGTERM among them. The umask is 077. */
void setup_process(struct setup *s);
/* A descriptor (the caller's, close-on-exec) that is readable once this process is asked to end, by
 * a SIGTERM now or earlier; -1 when none can be had. */
int setup_stop(void);
/* There is none, and none will be looked for: SIGTERM ends the process at once, rather than never.
 */
void setup_no_stop(void);
/* A connection whose client has left before it was looked at. */
bool setup_is_gone(int fd);
/* `user =`: drops root for good. False, and reported, when that can't be done. */
bool setup_user(const struct config *c, const struct config_report *report);
/* What the next connection would trip over besides the configuration's own text: programs,
 * directories, the user. */
bool setup_check(const struct config *c, const struct config_report *report);
/* The same of TLS, for `smtpin --check` alone: a certificate that has expired is no reason to keep
 * an old configuration in force. `outer`: the configuration outside of sections, which has been
 * checked before; NULL: this is it. */
bool setup_check_tls(const struct config *c, const struct config *outer,
                     const struct config_report *report);
/* And of logins: is there somebody who can be asked about them? */
bool setup_check_auth(const struct config *c, const struct config *outer,
                      const struct config_report *report);

#endif
