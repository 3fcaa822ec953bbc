/* The envelope: sender and recipients as smtpin tells them, what filters make of them, and where
 * they stand in the command's words. */
#ifndef SMTPIN_COMMANDS_MILTER_ENVELOPE_H
#define SMTPIN_COMMANDS_MILTER_ENVELOPE_H

#include "base/arena.h"

#include <stdint.h>

struct envelope_recipient {
    struct span address; /* terminated */
    size_t of;           /* which of the run's recipients it is; ENVELOPE_ADDED: a filter's */
    bool deleted;        /* a filter has taken it out */
    struct span refusal; /* a reply line of a filter's, terminated; .p NULL: none */
};

#define ENVELOPE_ADDED ((size_t)-1)

/* The command's words, in which sender and recipients stand. */
struct envelope_words {
    char **word;
    size_t n;
};

struct envelope {
    struct arena *arena;
    uint64_t recipients_max;
    struct span sender, first_sender; /* now; as it came; terminated */
    struct envelope_recipient *recipient;
    size_t n, originals; /* the first ones are those that the run has */
    struct envelope_words command;
    struct span delimiter;     /* of an address extension, as smtpin has found it */
    struct span notify, orcpt; /* SMTPIN_DSN_*: a line for each of the originals, or empty */
};

/* Reads the envelope: SENDER, RECIPIENT and RECIPIENT_COUNT of the environment. The recipients of a
 * run with several are `given` (n of them), or the last words of the command. NULL, or what is
 * wrong.
 */
const char *envelope_read(struct envelope *e, char *const *given, size_t n);

/* An address as a filter writes it, with or without angle brackets. False: it is none. Recipients
 * that are there already are not added again, and those that are not there are not deleted. */
bool envelope_is_recipient(struct span address);
bool envelope_is_sender(struct span address);
/* False: there is no room, or there are too many. */
bool envelope_add(struct envelope *e, struct span address);
void envelope_delete(struct envelope *e, struct span address);
bool envelope_set_sender(struct envelope *e, struct span address);

/* Keeps the envelope as it is now, and takes it back. False: no memory. */
bool envelope_keep(const struct envelope *e, struct envelope *kept);
void envelope_restore(struct envelope *e, const struct envelope *kept);

/* Who gets the message now. */
bool envelope_gets(const struct envelope_recipient *r);
size_t envelope_count(const struct envelope *e);
/* Are sender and recipients what they were? */
bool envelope_same_sender(const struct envelope *e);
bool envelope_same_recipients(const struct envelope *e);

/* The command's words for the recipients of `who` (places in e->recipient): NULL-terminated, in the
 * arena. NULL and *wrong: they can't be changed in it, or there is no room. */
char **envelope_words(struct envelope *e, const size_t *who, size_t n, const char **wrong);
/* The same for the environment, which is changed: SENDER, and where there is one recipient all that
 * is said of it. False: no memory. */
bool envelope_set_environment(const struct envelope *e, const size_t *who, size_t n);

#endif
