/* What stands behind the addresses of a PROXY header of version 2: types, lengths, values. */
#ifndef SMTPIN_SYNTAX_PROXY_TLV_H
#define SMTPIN_SYNTAX_PROXY_TLV_H

#include "base/text.h"

/* NULL, or what is wrong (proxy.h). `header` is all of it, `values` its part behind the addresses.
 * What they say of TLS is added to `facts`. */
const char *proxy_read_values(struct span header, struct span values, struct text *facts);

#endif
