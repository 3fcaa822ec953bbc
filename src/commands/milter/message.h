/* The message: its fields in memory, its body where it came from, or replaced, in a spool. What
 * filters want changed is changed here, and written out once, at the end. */
#ifndef SMTPIN_COMMANDS_MILTER_MESSAGE_H
#define SMTPIN_COMMANDS_MILTER_MESSAGE_H

#include "base/arena.h"
#include "io/spool.h"

#include <stdint.h>

enum { MESSAGE_BUFFER = 65536 };

struct message_field {
    struct message_field *next;
    struct span text; /* the whole field: LF between its lines, none at its end */
    size_t name;      /* octets of its name */
    size_t value;     /* where its value begins: behind the colon */
    bool own;         /* smtpin has added it: filters do not see it */
};

struct message {
    /* Set by the caller. */
    struct arena *arena; /* for the fields */
    uint64_t header_max; /* octets of the header, with what is added */
    struct span id;      /* SMTPIN_ID: by it, smtpin's own Received: is known */
    const char *dir;     /* for what is larger than memory may be */

    int fd; /* the whole message as it came, at its start */
    uint64_t size;
    bool crlf;   /* its line ends */
    bool binary; /* set by the caller: the body has no lines (RFC 3030), and stays as it is */
    struct span mark;
    struct message_field *first; /* of the list; it may be the next one: */
    struct message_field *top;   /* what stands at the top for filters: our Received:, or a stand-in
                                    for it, which has no text and is not written */
    uint64_t header;             /* octets that the fields have now */
    bool changed, replaced;
    uint64_t body;      /* where it begins in fd */
    struct spool spool; /* the body, where it was replaced */
};

enum message_result {
    MESSAGE_OK,
    MESSAGE_UNREADABLE, /* errno */
    MESSAGE_TOO_LARGE,  /* the header */
};

/* Reads the message of descriptor `in`, which may be a pipe: then it is copied first. */
enum message_result message_open(struct message *m, int in);
/* The next field at or after `f` that filters see; NULL: there is none. */
struct message_field *message_visible(struct message_field *f);

/* From here on, changes leave alone what a copy of *m has. False: no memory. */
bool message_part(struct message *m);
/* Each false: the header would be larger than it may be. `name` and `value` are copied; line ends
 * in the value may be CRLF. The value has its leading blank with it. */
/* Below all others. */
bool message_add(struct message *m, struct span name, struct span value);
/* So that it is the index-th one counted from our own Received:, which is 0. */
bool message_insert(struct message *m, uint32_t index, struct span name, struct span value);
/* In the place of the index-th field of that name (from 1; 0 is taken for 1), of those that filters
 * see. Where there is none, it is added. Without a value, it is deleted, if it is there. */
bool message_change(struct message *m, uint32_t index, struct span name, struct span value);

struct span message_name(const struct message_field *f);
/* With its leading blank, if it has one. */
struct span message_value(const struct message_field *f);

/* What filters are sent: line ends are CRLF. The body from `at` on: at most `room` octets
 * of it into `out`, 0 at its end. *at goes on. `room` is at least 2. -1 and errno. */
ptrdiff_t message_read_body(const struct message *m, uint64_t *at, char *out, size_t room);
/* The octets of the body that stand in a file of their own from now on. */
void message_take_body(struct message *m, const struct spool *spool);
/* The message's Return-Path:, if it is ours, gets another address. False: no room. */
bool message_return_path(struct message *m, struct span address);
/* A descriptor on the message as it is now, at offset 0; -1 and errno. */
int message_finish(struct message *m);

#endif
