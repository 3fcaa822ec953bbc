/* How a table is named in the configuration: "cdb:/path", "text:/path". No file is looked at. */
#ifndef SMTPIN_SYNTAX_TABLE_SOURCE_H
#define SMTPIN_SYNTAX_TABLE_SOURCE_H

#include "base/span.h"

enum { TABLE_SOURCE_MAX = 3000 }; /* octets */

/* Does the word begin as the name of a table does? */
bool table_is_meant(struct span word);
/* NULL, or why it is no name of a table. */
const char *table_is_source(struct span source);

#endif
