/* What the files of the driver share. */
#ifndef SMTPIN_TESTS_FUZZ_DRIVE_STATE_H
#define SMTPIN_TESTS_FUZZ_DRIVE_STATE_H

#include "drive.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA = 1 << 16, FNV_START = 0x11c9dc5, MAX_AUTH_ERRORS = 3 };

/* What a transaction is, without a look at the session. */
struct model {
    bool open;
    size_t recipients;
    unsigned long addresses; /* sum of theirs */
};

/* RFC 4954: a login, which RSET and EHLO leave as it is. */
struct login_model {
    bool going_on, done;
    unsigned failures;
};

struct drive {
    const struct drive_input *in;
    struct smtp_options options;
    struct smtp_session session, before; /* before: as it was when the line came */
    struct smtp_line line;
    struct arena arena;
    struct text out;
    struct model model;
    struct login_model logged;
    struct smtp_login login;
    bool secure;
    /* A message in chunks: its octets as they came, and what was made of them. */
    bool in_chunks;
    struct smtp_data chunks;
    struct text raw;
    unsigned long chunks_sum;
    struct drive_output sums;
    size_t start, visible; /* of the bytes: used, and come */
    unsigned long random;
    char *arena_room;
    char out_room[SMTP_REPLY_MAX];
};

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

unsigned long drive_mix(unsigned long sum, const char *p, size_t n);
unsigned long drive_random(struct drive *d);
/* More of the client's bytes; false at their end. Those that are not used. */
bool drive_more(struct drive *d);
struct span drive_unread(const struct drive *d);
/* The rest of what each recipient hears. */
size_t drive_replies_to_come(struct drive *d, enum smtp_want *want, unsigned *code);
unsigned long drive_address_sum(const struct drive *d, struct span address);
/* RFC 5321 4.2: each line is short, clean and whole, lines of one reply have one code. Returns how
 * many replies end in what was said since the last look, and the last one's code. */
size_t drive_replies(struct drive *d, unsigned *last);
void drive_forget(struct model *m);
/* Is the reply about a client that has not waited for it, where it must? */
bool drive_is_too_early(const struct drive *d, unsigned code);
/* A greeting that is held back: nothing has been said so far, and nobody waits here. */
enum smtp_want drive_greet(struct drive *d, enum smtp_want want);
/* Steps of the session. */
enum smtp_want drive_tell_mechanisms(struct drive *d);
enum smtp_want drive_log_in(struct drive *d);
enum smtp_want drive_take_chunk(struct drive *d);
enum smtp_want drive_begin_tls(struct drive *d);
enum smtp_want drive_shake_hands(struct drive *d);

#endif
