/* What a filter wants changed: kept until it has said its last word, and then done, all of it. A
 * filter that fails in between has changed nothing. */
#ifndef SMTPIN_COMMANDS_MILTER_CHANGES_H
#define SMTPIN_COMMANDS_MILTER_CHANGES_H

#include "commands/milter/envelope.h"
#include "commands/milter/message.h"
#include "commands/milter/reply.h"

struct changes {
    /* Set by the caller. */
    struct arena *arena;
    size_t most;         /* requests of one filter */
    uint64_t body_max;   /* octets of a new body */
    bool crlf, binary;   /* the message's line ends; its body has none */
    bool leading_blank;  /* values have theirs with them */
    struct spool *spool; /* for a new body: buffer, memory and dir are set */

    struct milter_change *list;
    size_t n;
    bool body,
        cr;    /* there is a new body; a CR at the end of its last piece waits for what follows */
    char last; /* octet of it */
};

/* Nothing is wanted yet. False: no memory. */
bool changes_begin(struct changes *c);
/* Keeps a change. NULL, or what is wrong with it. */
const char *changes_add(struct changes *c, const struct milter_change *change);
/* Does all of it. `reason`, if a filter has one for quarantine, is in the arena. NULL, or what is
 * wrong: the message is then as it was, the envelope for the caller to restore. */
const char *changes_apply(struct changes *c, struct message *m, struct envelope *e,
                          struct span *reason);
/* Forgets it. */
void changes_drop(struct changes *c);

#endif
