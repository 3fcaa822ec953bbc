/* `sandbox`: the process that reads a client's bytes is cut off from everything else, and asks its
 * parent, which never reads from the connection, for what a session needs. docs/security.md has the
 * whole picture.
 */
#ifndef SMTPIN_WALL_WALL_H
#define SMTPIN_WALL_WALL_H

#include "desk.h"

enum wall_side {
    WALL_NONE,    /* no second process could be had */
    WALL_INSIDE,  /* this is the one that reads; the desk asks from now on */
    WALL_OUTSIDE, /* the session is over, and has its record */
    WALL_BROKEN,  /* the same, but the other process crashed, or did what no session does */
};

/* `deadline`: when the session ends at the latest, but for a delivery. Returns twice, as fork(2).
 */
enum wall_side wall_raise(struct desk *d, const struct serve_connection *connection,
                          struct serve_memory *memory, struct arena *transaction, uint64_t deadline,
                          bool *available);
/* Is there anything here that hinders it? NULL, or what. */
const char *wall_check(void);

#endif
