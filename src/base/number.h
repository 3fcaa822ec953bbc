/* Numbers out of foreign text. Each function takes the whole span or nothing, and leaves *out
 * untouched on failure. */
#ifndef SMTPIN_BASE_NUMBER_H
#define SMTPIN_BASE_NUMBER_H

#include "base/span.h"

#include <stdint.h>

enum number_result {
    NUMBER_OK,
    NUMBER_SYNTAX,  /* not digits alone, or none */
    NUMBER_TOO_BIG, /* digits, but past `most` */
};

/* Decimal digits only: no sign, no space. */
enum number_result number_parse(struct span s, uint64_t most, uint64_t *out);
/* Octets: digits with an optional K, M or G (powers of 1024), as in "25M". */
enum number_result number_parse_size(struct span s, uint64_t most, uint64_t *out);
/* Milliseconds: digits with an optional ms, s, m, h or d; without a unit, seconds. */
enum number_result number_parse_time(struct span s, uint64_t most, uint64_t *out);

#endif
