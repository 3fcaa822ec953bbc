/* The kinds of records: how a line names each, and its message id in the journal. Who writes
 * records and who reads them both look here. */
#ifndef SMTPIN_SYNTAX_LOG_KINDS_H
#define SMTPIN_SYNTAX_LOG_KINDS_H

#include "base/span.h"

enum log_kind {
    LOG_SESSION,
    LOG_TRANSACTION,
    LOG_REFUSAL,
    LOG_CONFIGURATION,
    LOG_CRASH,
    LOG_SERVICE,
    LOG_OPINION,
    LOG_TLS,
    LOG_KINDS
};

struct log_kind_names {
    const char *name;
    const char *message_id; /* 32 hexadecimal digits; units/smtpin.catalog explains them */
};

extern const struct log_kind_names log_kinds[LOG_KINDS];

/* The kind with this name, or with this message id; LOG_KINDS: there is none. */
enum log_kind log_kind_of_name(struct span name);
enum log_kind log_kind_of_message_id(struct span id);

#endif
