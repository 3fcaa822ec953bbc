/* Playing a transcript against a server. Which server that is, it does not know: server.h. */
#ifndef SMTPIN_REPLAY_PLAY_H
#define SMTPIN_REPLAY_PLAY_H

#include "commands/replay/differences.h"
#include "commands/replay/endpoint.h"
#include "commands/replay/transcript.h"

struct play_options {
    uint64_t chunk; /* octets in a write, 0: as the transcript has them */
    bool whole;     /* everything is sent before anything is read */
};

void play(const struct transcript *t, const struct endpoint *e, const struct play_options *o,
          struct arena *a, struct differences *d);

#endif
