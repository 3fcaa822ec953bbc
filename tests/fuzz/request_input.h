/* What request.c makes of its input, and what it asks of the parameters that a session has. */
#ifndef SMTPIN_TESTS_FUZZ_REQUEST_INPUT_H
#define SMTPIN_TESTS_FUZZ_REQUEST_INPUT_H

#include "smtp/state.h"

#include <stdio.h>
#include <stdlib.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "broken: %s\n", #condition);                                           \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input's next number, octets, list of parameters, recipient and recipients: *p goes on. The
 * last two are appended to the room, as `added` of a request has them. */
uint64_t input_number(const uint8_t **p, const uint8_t *end);
struct span input_octets(const uint8_t **p, const uint8_t *end);
struct span input_extras(const uint8_t **p, const uint8_t *end);
void input_recipient(struct text *room, const uint8_t **p, const uint8_t *end);
struct span input_recipients(const uint8_t **p, const uint8_t *end, struct text *room);

/* Breaks where the session has a parameter that the monitor must not keep (smtp/extra.h). */
void check_extras(const struct smtp_session *s);

#endif
