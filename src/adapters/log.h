/* Records: to the journal (fields), else to stderr where that is not the connection, else to
 * syslog, as one key=value line. Client bytes are escaped. Nobody who reads them too slowly, or not
 * at all, is waited for longer than a moment: a record is dropped, and counted. */
#ifndef SMTPIN_ADAPTERS_LOG_H
#define SMTPIN_ADAPTERS_LOG_H

#include "adapters/manager.h"
#include "config/config.h"
#include "syntax/log_kinds.h"

#include <sys/types.h>

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

enum { LOG_FIELDS_MAX = 64 };

/* name is lower case: "client_address" becomes SMTP_CLIENT_ADDRESS= in the journal. */
struct log_field {
    const char *name;
    struct span value;
};

struct log_record {
    enum log_kind kind;
    enum log_level level;
    size_t n;
    struct log_field field[LOG_FIELDS_MAX];
    size_t used;     /* of room */
    char room[2048]; /* for values that are made for the record */
};

struct log {
    enum config_log target;
    const struct manager *manager; /* how the journal is spoken to */
    bool prefix;                   /* stderr is read by the journal: "<5>" sets the level */
    struct log_output output;
    pid_t process;    /* this one, once it has sent a record; 0: it has not */
    uint64_t dropped; /* of its records, since the last one that went through */
};

/* Before the first log_open. */
#define LOG_CLOSED                                                                                 \
    ((struct log){.target = CONFIG_LOG_NONE, .manager = &manager_by_hand, .output = {.socket = -1}})

/* Where records go from now on. `stderr_is_ours`: descriptor 2 is not the client's. A process that
 * was forked calls it before its first record. */
void log_open(struct log *l, uint64_t target, bool stderr_is_ours);

/* Nothing that is said is heard: no record need be made. NULL is a log that is elsewhere. */
static inline bool log_is_silent(const struct log *l)
{
    return l == NULL || l->target == CONFIG_LOG_NONE;
}

void log_begin(struct log_record *r, enum log_kind kind, enum log_level level);
/* An empty value is left out; one field too many, too. Values are spans that live until log_end. */
void log_add(struct log_record *r, const char *name, struct span value);
void log_add_number(struct log_record *r, const char *name, uint64_t value);
/* A reply as the client saw it: code, enhanced code, text; and the rule behind it. */
void log_add_reply(struct log_record *r, const struct smtp_reply *reply, struct span text);
void log_end(struct log *l, const struct log_record *r);

#endif
