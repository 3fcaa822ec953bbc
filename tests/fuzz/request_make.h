/* Requests made of a fuzzer's input. */
#ifndef SMTPIN_TESTS_FUZZ_REQUEST_MAKE_H
#define SMTPIN_TESTS_FUZZ_REQUEST_MAKE_H

#include "sandbox/request.h"

/* Any request, of any fields. */
void make_request(const uint8_t **p, const uint8_t *end, struct text *packet);
/* What an honest worker says of a proxy's client: by its header, or by XCLIENT. */
void make_client(const uint8_t **p, const uint8_t *end, bool header, uint64_t transaction,
                 struct text *packet);

#endif
