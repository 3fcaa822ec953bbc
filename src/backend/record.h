/* What a connection leaves in the log: a record for each refusal, each transaction, the session. It
 * tells what has happened; nothing is decided here. */
#ifndef SMTPIN_BACKEND_RECORD_H
#define SMTPIN_BACKEND_RECORD_H

#include "adapters/delivery.h"
#include "adapters/log.h"
#include "adapters/rules.h"
#include "adapters/tls.h"

struct record {
    const struct config *config;
    const struct peer *peer;
    const struct smtp_session *session;
    const struct rules *rules; /* whose last opinion a refusal may be about */
    struct log *log;           /* NULL: the monitor writes it (sandbox/sandbox.h) */
    uint64_t started;          /* clock_now */
    uint64_t messages;         /* that came to DATA */
    uint64_t refusals;
    uint64_t time; /* of the message, seconds since 1970 */
    uint64_t size; /* of the message, octets */
    bool delivered;
    int spool_error; /* errno, 0 for none */
    struct deliver_report delivery;
    uint64_t delivery_time; /* milliseconds; while it lasts, clock_now at its beginning */
    struct span digest;
    const char *end;       /* how the session came to its end */
    enum smtp_phase phase; /* before the step */
    struct smtp_transaction transaction;
    char id_room[64], session_room[64];
    struct text id, session_id;
};

void record_open(struct record *r, const struct config *c, const struct peer *peer,
                 const struct smtp_session *session, struct log *log);
/* A config_report's say, whose context is the log. */
void record_mistake(void *log, const char *file, unsigned line, struct span key, const char *what);
/* A rules_note, whose context is the record. */
void record_note(void *record, const struct rules_note *note);
/* Around each step of the session. */
void record_before(struct record *r);
/* True: there was something for the log. */
bool record_after(struct record *r, enum smtp_want want);
/* A message begins: it gets an id and a time. */
void record_message(struct record *r);
struct span record_id(const struct record *r);
struct span record_session_id(const struct record *r);
/* Seconds since 1970, as the messages of this session are dated. */
uint64_t record_now(const struct record *r);
uint64_t record_time(const struct record *r);
void record_spool_error(struct record *r, int error);
/* The session can't be recorded: `trace`. */
void record_trace_error(struct record *r, int error);
/* Nobody can say whether a login is right. */
void record_login(const struct record *r, struct span why);
/* TLS is not there, or the handshake has failed. */
void record_tls(const struct record *r, const struct tls *t);
/* Before the message is handed over, and once everybody has a result: the time between is in the
 * log. */
void record_delivering(struct record *r);
void record_delivered(struct record *r);
/* Why the session ends; the first reason stays. */
void record_end(struct record *r, const char *why);
void record_close(struct record *r);

#endif
