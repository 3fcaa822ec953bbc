/* A server that stands in for one that smtpin asks: a process with sockets, which takes questions,
 * and leaves the answers to what it stands in for. */
#ifndef SMTPIN_REPLAY_STAND_IN_SERVER_H
#define SMTPIN_REPLAY_STAND_IN_SERVER_H

#include "commands/replay/place.h"
#include "config/config.h"

#include <sys/types.h>

enum {
    STAND_IN_SERVERS = CONFIG_POLICY_SERVERS_MAX,
    /* smtpin has one with each; one more, where it has lost it */
    STAND_IN_CONNECTIONS = 2 * STAND_IN_SERVERS,
    STAND_IN_QUESTION_MAX = 16384,
};

struct stand_in_connection {
    int fd;    /* -1: free */
    bool kept; /* it has had an answer */
    char bytes[STAND_IN_QUESTION_MAX];
    size_t n;
};

struct stand_in_server {
    /* Set by the caller. */
    enum told_kind kind; /* names its sockets in the directory */
    const char *directory;
    size_t servers;  /* at most STAND_IN_SERVERS */
    bool everybody;  /* other users may ask it */
    struct span end; /* of a question */
    void *context;
    /* Somebody has connected. NULL: the client speaks first. */
    void (*greet)(void *context, struct stand_in_connection *c);
    /* A question, without its end. */
    void (*answer)(void *context, struct stand_in_connection *c, struct span question);

    int server[STAND_IN_SERVERS];
    struct stand_in_connection connection[STAND_IN_CONNECTIONS];
};

/* Starts it: its sockets are open before this returns. -1 and errno. *s stays the caller's. */
pid_t stand_in_server_start(struct stand_in_server *s);
void stand_in_server_stop(pid_t pid);
/* The path of socket number i, terminated, in `path`. */
const char *stand_in_server_socket(struct text *path, const char *directory, enum told_kind kind,
                                   size_t i);
void stand_in_server_hang_up(struct stand_in_connection *c);

#endif
