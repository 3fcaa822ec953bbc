#include "syntax/log_kinds.h"

enum { MESSAGE_ID_DIGITS = 32 };

const struct log_kind_names log_kinds[LOG_KINDS] = {
    [LOG_SESSION] = {"session", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f11"},
    [LOG_TRANSACTION] = {"transaction", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f12"},
    [LOG_REFUSAL] = {"refused", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f13"},
    [LOG_CONFIGURATION] = {"configuration", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f14"},
    [LOG_CRASH] = {"crash", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f15"},
    [LOG_SERVICE] = {"service", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f16"},
    [LOG_OPINION] = {"opinion", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f17"},
    [LOG_TLS] = {"tls", "5f8a3c0d7f1e4b6c9d2a7e41c3b80f18"},
};

enum log_kind log_kind_of_name(struct span name)
{
    enum log_kind k = 0;

    while (k < LOG_KINDS && !span_eq(name, span_of(log_kinds[k].name)))
        k++;
    return k;
}

enum log_kind log_kind_of_message_id(struct span id)
{
    enum log_kind k = 0;

    if (id.n != MESSAGE_ID_DIGITS)
        return LOG_KINDS;
    /* They differ in the last digit, if not before. */
    while (k < LOG_KINDS &&
           (log_kinds[k].message_id[MESSAGE_ID_DIGITS - 1] != id.p[MESSAGE_ID_DIGITS - 1] ||
            memcmp(log_kinds[k].message_id, id.p, MESSAGE_ID_DIGITS) != 0))
        k++;
    return k;
}
