/* The configuration, as everybody else sees it: read once (config/load.h), constant after. */
#ifndef SMTPIN_CONFIG_CONFIG_H
#define SMTPIN_CONFIG_CONFIG_H

#include "base/arena.h"
#include "smtp/result.h"
#include "smtp/session.h"
#include "syntax/words.h"

enum {
    CONFIG_FILE_MAX = 256 * 1024,
    CONFIG_PARALLEL_MAX = 16,
    CONFIG_SECTIONS_MAX = 16,
    CONFIG_SOCKET_MAX = 64, /* octets of a socket's name */
    CONFIG_CONNECTIONS_MAX = 10000,
    CONFIG_SETTINGS_MAX = 128,    /* keys that there can be */
    CONFIG_DOMAIN_TABLES_MAX = 4, /* in `domains` */
    CONFIG_POLICY_SERVERS_MAX = 8,
    /* What config_load takes of an arena at the most. */
    CONFIG_ARENA_MAX = 4 * CONFIG_FILE_MAX,
};

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
enum config_sandbox { CONFIG_SANDBOX_AUTO, CONFIG_SANDBOX_YES, CONFIG_SANDBOX_NO };

/* Fields that a submitted message gets where it has none. */
enum config_add_header { CONFIG_ADD_DATE = 1, CONFIG_ADD_MESSAGE_ID = 2 };

enum config_tls_service { CONFIG_TLS_SERVICE_AUTO, CONFIG_TLS_SERVICE_ONLY, CONFIG_TLS_SERVICE_NO };

enum config_trace {
    CONFIG_TRACE_RETURN_PATH = 1,
    CONFIG_TRACE_DELIVERED_TO = 2,
    CONFIG_TRACE_RECEIVED = 4,
    CONFIG_TRACE_ORIGINAL_TO = 8,
};
/* Besides those of enum smtp_subject, from whose first on these are: */
enum config_policy_state { CONFIG_POLICY_END_OF_MESSAGE = 32 };

/* Who checks logins. */
struct config_auth {
    struct span value;    /* as it is written; empty: nobody */
    struct span socket;   /* dovecot:PATH */
    struct words command; /* checkpassword:COMMAND; n is 0: it is the other one */
};

/* Spans are terminated, times are milliseconds, sizes octets. */
struct config {
    struct smtp_options smtp;
    struct idn *idn;     /* questions of the process that has this; NULL: each by itself */
    struct span domains; /* words, and sources of tables among them (syntax/table_source.h) */
    struct span relay_clients;
    struct span recipients, aliases, senders, sender_login; /* sources of tables; empty: none */
    bool local_part_case; /* in tables the case of a local-part matters */
    uint64_t alias_depth;
    struct words check_client, check_sender, check_recipient; /* n is 0: none */
    uint64_t check_timeout;
    struct span policy;     /* the servers; empty: none */
    uint64_t policy_states; /* enum smtp_subject, enum config_policy_state */
    uint64_t policy_timeout;
    struct span policy_default; /* "DUNNO", or a reply: smtp_result_of_words */
    uint64_t proxy_protocol;    /* 1: required */
    uint64_t proxy_timeout;
    bool proxy_tls;
    struct span trusted_proxies; /* networks, "local" */
    struct span xclient_clients;
    bool check_relay_clients;
    bool asks; /* more than the configuration and the address is needed to decide */
    struct words deliver;
    struct span confine;     /* syntax/confine.h */
    struct words through;    /* words before those of deliver */
    bool embedded;           /* deliver is the default: smtpin-maildir */
    uint64_t deliver_format; /* enum config_format */
    uint64_t deliver_timeout;
    uint64_t deliver_per; /* enum config_per */
    uint64_t deliver_parallel;
    uint64_t deliver_replies; /* 1: the command prints a reply line for each recipient */
    bool reply_codes;         /* a basic code in the command's first line counts */
    struct smtp_exit_map exit_map;
    uint64_t digest;                     /* enum config_digest */
    uint64_t protocol;                   /* 1: LMTP */
    uint64_t partial;                    /* 1: single */
    uint64_t line_ending;                /* 0: LF, 1: CRLF */
    uint64_t helo_is_us, helo_bare_name; /* 1: refuse such a name of a client from elsewhere */
    uint64_t header_end; /* 1: refuse a header that ends with a line that is no field */
    struct span maildir;
    uint64_t maildir_layout; /* enum config_layout */
    struct span recipient_delimiter;
    uint64_t trace_headers; /* enum config_trace */
    struct span spool_dir;
    uint64_t spool_memory;
    uint64_t command_timeout, data_timeout, session_timeout;
    uint64_t min_data_rate; /* octets a second */
    struct span user;
    struct span socket; /* the name of the one that the connection came in on; empty: none */
    struct span section[CONFIG_SECTIONS_MAX]; /* names in the file, in its order */
    size_t sections;
    uint64_t max_connections;            /* while listening, as the next two */
    uint64_t max_connections_per_source; /* 0: no limit */
    /* The next six while listening: adapters/penalty.h. */
    uint64_t penalty_login, penalty_abuse, penalty_crash, penalty_least, penalty_most;
    struct span penalty_exempt;
    uint64_t listen_idle; /* 0: never */
    uint64_t drain_timeout;
    struct span tls_certificate; /* syntax/tls_certificate: CHAIN [KEY], with commas; empty: none */
    struct span tls_options;     /* NAME=VALUE of SSL_CONF_cmd(3), with blanks */
    struct span tls_client_ca;   /* a file; empty: none */
    bool tls_ask_certificate;
    uint64_t tls_service; /* enum config_tls_service */
    struct span tls_socket;
    struct words tls_command;
    uint64_t tls_timeout;
    uint64_t add_header; /* enum config_add_header */
    bool keep_bcc, require_from;
    struct config_auth auth;
    uint64_t auth_timeout;
    uint64_t auth_failure_delay;
    uint64_t log;     /* enum config_log */
    uint64_t sandbox; /* enum config_sandbox */
    struct span client_address, client_name;
    struct span trace; /* a directory; empty: none */
    bool trace_messages;
    uint64_t trace_size;
    struct span fixed_id;
    uint64_t fixed_time;
};

/* Letters, digits, '.', '_', '-'; at most CONFIG_SOCKET_MAX. */
bool config_is_socket_name(struct span name);

/* The domain of <postmaster> without one: the first of `domains` in ASCII, else the host's name. */
struct span config_own_domain(const struct config *c);

#endif
