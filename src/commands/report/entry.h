/* One record as the report reads it, whatever form it had in the log: its kind, its time and the
 * values of its fields, as octets that a stranger may have chosen. Nothing is shown here. */
#ifndef SMTPIN_COMMANDS_REPORT_ENTRY_H
#define SMTPIN_COMMANDS_REPORT_ENTRY_H

#include "base/text.h"
#include "syntax/log_kinds.h"

/* In the order of their names' lengths, then of the names: entry_field looks for them so. */
#define ENTRY_FIELDS(FIELD)                                                                        \
    FIELD(ID, "id")                                                                                \
    FIELD(END, "end")                                                                              \
    FIELD(KEY, "key")                                                                              \
    FIELD(TLS, "tls")                                                                              \
    FIELD(FILE, "file")                                                                            \
    FIELD(HELO, "helo")                                                                            \
    FIELD(LINE, "line")                                                                            \
    FIELD(NOTE, "note")                                                                            \
    FIELD(RULE, "rule")                                                                            \
    FIELD(SAID, "said")                                                                            \
    FIELD(SIZE, "size")                                                                            \
    FIELD(ALIAS, "alias")                                                                          \
    FIELD(CAUSE, "cause")                                                                          \
    FIELD(COUNT, "count")                                                                          \
    FIELD(ERROR, "error")                                                                          \
    FIELD(EVENT, "event")                                                                          \
    FIELD(REPLY, "reply")                                                                          \
    FIELD(FAILED, "failed")                                                                        \
    FIELD(REASON, "reason")                                                                        \
    FIELD(RESULT, "result")                                                                        \
    FIELD(SIGNAL, "signal")                                                                        \
    FIELD(SOCKET, "socket")                                                                        \
    FIELD(SOURCE, "source")                                                                        \
    FIELD(STATUS, "status")                                                                        \
    FIELD(COMMAND, "command")                                                                      \
    FIELD(DROPPED, "dropped")                                                                      \
    FIELD(MISTAKE, "mistake")                                                                      \
    FIELD(OPINION, "opinion")                                                                      \
    FIELD(PROCESS, "process")                                                                      \
    FIELD(REFUSED, "refused")                                                                      \
    FIELD(REQUEST, "request")                                                                      \
    FIELD(SECONDS, "seconds")                                                                      \
    FIELD(SESSION, "session")                                                                      \
    FIELD(TLS_SNI, "tls_sni")                                                                      \
    FIELD(ACCEPTED, "accepted")                                                                    \
    FIELD(COMMANDS, "commands")                                                                    \
    FIELD(DEFERRED, "deferred")                                                                    \
    FIELD(MESSAGES, "messages")                                                                    \
    FIELD(PROTOCOL, "protocol")                                                                    \
    FIELD(REFUSALS, "refusals")                                                                    \
    FIELD(REJECTED, "rejected")                                                                    \
    FIELD(VIOLATION, "violation")                                                                  \
    FIELD(RECIPIENTS, "recipients")                                                                \
    FIELD(TLS_CIPHER, "tls_cipher")                                                                \
    FIELD(CLIENT_NAME, "client_name")                                                              \
    FIELD(CLIENT_PATH, "client_path")                                                              \
    FIELD(COMMAND_END, "command_end")                                                              \
    FIELD(CONNECTIONS, "connections")                                                              \
    FIELD(SPOOL_ERROR, "spool_error")                                                              \
    FIELD(TLS_OFFERED, "tls_offered")                                                              \
    FIELD(FORWARD_PATH, "forward_path")                                                            \
    FIELD(MILLISECONDS, "milliseconds")                                                            \
    FIELD(REVERSE_PATH, "reverse_path")                                                            \
    FIELD(TRANSACTIONS, "transactions")                                                            \
    FIELD(COMMAND_ERROR, "command_error")                                                          \
    FIELD(PROXY_ADDRESS, "proxy_address")                                                          \
    FIELD(SASL_USERNAME, "sasl_username")                                                          \
    FIELD(CLIENT_ADDRESS, "client_address")                                                        \
    FIELD(COMMAND_STATUS, "command_status")                                                        \
    FIELD(COMMAND_STDERR, "command_stderr")                                                        \
    FIELD(CERTIFICATE_ENDS, "certificate_ends")                                                    \
    FIELD(DELIVERY_MILLISECONDS, "delivery_milliseconds")

enum entry_field {
#define FIELD(name, text) FIELD_##name,
    ENTRY_FIELDS(FIELD)
#undef FIELD
        FIELDS
};

enum {
    ENTRY_ROOM = 65536, /* octets of values that had to be copied */
    ENTRY_MORE = 64,    /* values of fields that are there more than once, but for the first */
};

struct entry {
    enum log_kind kind; /* LOG_KINDS: it is no record of smtpin's */
    uint64_t time;      /* microseconds since 1970; 0: not known */
    struct span value[FIELDS];
    size_t more; /* of other[] */
    struct {
        enum entry_field field;
        struct span value;
    } other[ENTRY_MORE];
    size_t skipped; /* values that had no room */
    struct text room;
    char bytes[ENTRY_ROOM];
};

void entry_clear(struct entry *e);
/* The field of that name, as a line has it, and as the journal has it behind SMTP_, in capitals;
 * FIELDS: there is none. */
enum entry_field entry_field(struct span name);
enum entry_field entry_field_of_journal(struct span name);
const char *entry_field_name(enum entry_field field);
/* As it stands in the log, with \xNN for some octets. It must live as long as the entry is used;
 * what has no escape is not copied. */
void entry_add(struct entry *e, enum entry_field field, struct span escaped);
/* The same of a value that has no escape. */
void entry_add_plain(struct entry *e, enum entry_field field, struct span value);
/* The same as entry_add, of which a copy is kept. */
void entry_add_copy(struct entry *e, enum entry_field field, struct span escaped);
/* A number that the field has; 0 where it has none. */
uint64_t entry_number(const struct entry *e, enum entry_field field);
/* Each value of a field: begin with 0. False: there are no more. */
bool entry_next(const struct entry *e, enum entry_field field, size_t *at, struct span *value);
/* When the session began: its id is that time. 0: it can't be told. */
uint64_t entry_session_time(struct span session);

#endif
