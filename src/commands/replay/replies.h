/* What a transcript expects of the server, and what the server says. */
#ifndef SMTPIN_REPLAY_REPLIES_H
#define SMTPIN_REPLAY_REPLIES_H

#include "commands/replay/differences.h"
#include "commands/replay/listener.h"
#include "commands/replay/transcript.h"

/* Listens to what the step and those behind it expect, up to the end of a reply or of the server's
 * part. What differs becomes one difference for the whole reply, which is passed over then. Returns
 * the last step that this was about. */
const struct step *replies_expect(const struct step *s, struct listener *l, struct arena *a,
                                  struct differences *d);
/* Whatever the server still says, until it closes the connection, is one difference. */
void replies_rest(struct listener *l, unsigned line, struct differences *d);

#endif
