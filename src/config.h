/* The configuration: `key = value` lines, and -o key=value over them. Read once, constant after. */
#ifndef SMTPIN_CONFIG_H
#define SMTPIN_CONFIG_H

#include "base/arena.h"
#include "smtp/result.h"
#include "smtp/session.h"

enum { CONFIG_FILE_MAX = 256 * 1024, CONFIG_WORDS_MAX = 256, CONFIG_PARALLEL_MAX = 16 };

enum config_format { CONFIG_FORMAT_COMMAND, CONFIG_FORMAT_QMAIL_QUEUE };
enum config_per { CONFIG_PER_MESSAGE, CONFIG_PER_RECIPIENT };
enum config_digest { CONFIG_DIGEST_AUTO, CONFIG_DIGEST_ALWAYS, CONFIG_DIGEST_NEVER };
enum config_layout { CONFIG_LAYOUT_DOMAIN_USER, CONFIG_LAYOUT_USER };
enum config_log {
    CONFIG_LOG_AUTO,
    CONFIG_LOG_JOURNAL,
    CONFIG_LOG_STDERR,
    CONFIG_LOG_SYSLOG,
    CONFIG_LOG_NONE
};
enum config_trace {
    CONFIG_TRACE_RETURN_PATH = 1,
    CONFIG_TRACE_DELIVERED_TO = 2,
    CONFIG_TRACE_RECEIVED = 4,
};

/* A command, split into words; spans are terminated. */
struct config_words {
    struct span *word;
    size_t n;
};

/* Spans are terminated, times are milliseconds, sizes octets. */
struct config {
    struct smtp_options smtp;
    struct span domains;
    struct span relay_clients;
    struct config_words deliver;
    struct config_words through; /* words before those of deliver */
    bool embedded;               /* deliver is the default: smtpin-maildir */
    uint64_t deliver_format;     /* enum config_format */
    uint64_t deliver_timeout;
    uint64_t deliver_per; /* enum config_per */
    uint64_t deliver_parallel;
    uint64_t deliver_replies; /* 1: the command prints a reply line for each recipient */
    struct smtp_exit_map exit_map;
    uint64_t digest;      /* enum config_digest */
    uint64_t protocol;    /* 1: LMTP */
    uint64_t partial;     /* 1: single */
    uint64_t line_ending; /* 0: LF, 1: CRLF */
    struct span maildir;
    uint64_t maildir_layout; /* enum config_layout */
    struct span recipient_delimiter;
    uint64_t trace_headers; /* enum config_trace */
    struct span spool_dir;
    uint64_t spool_memory;
    uint64_t command_timeout, data_timeout, session_timeout;
    uint64_t min_data_rate; /* octets a second */
    struct span user;
    uint64_t log; /* enum config_log */
    struct span client_address, client_name;
    struct span trace; /* a directory; empty: none */
    bool trace_messages;
    uint64_t trace_size;
    struct span fixed_id;
    uint64_t fixed_time;
};

/* Where mistakes go (say = NULL: nowhere): the file's name or "-o", its line (0: none), the key. */
struct config_report {
    void (*say)(void *context, const char *file, unsigned line, struct span key, const char *what);
    void *context;
};

/* Reads `file` (NULL: the default one, which need not exist), then the `count` settings of
 * `overrides`, each "key=value". All memory comes from `a`. Every mistake is reported; false if
 * there was one. */
bool config_load(struct config *c, struct arena *a, const char *file, const char *const *overrides,
                 size_t count, const struct config_report *report);

/* The domain of <postmaster> without one: the first of `domains`, else the host's name. */
struct span config_own_domain(const struct config *c);

/* Splits a command line: words are apart by blanks, "..." keeps blanks together. NULL or what is
 * wrong with it. */
const char *config_split(struct span line, struct arena *a, struct config_words *out);

#endif
