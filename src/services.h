/* What a session asks for that needs more than its own bytes: decisions, a spool, the hand-over,
 * the log, the service manager. In the sandbox the worker asks the monitor for it; elsewhere the
 * backend does it in this process. Nothing is done here: this is where the two ways part. */
#ifndef SMTPIN_SERVICES_H
#define SMTPIN_SERVICES_H

#include "adapters/head.h"
#include "adapters/rules.h"
#include "backend/backend.h"
#include "sandbox/worker.h"

/* Set by the caller: what backend.h says, and worker.fd (-1) until there is a sandbox. */
struct services {
    struct backend backend;
    struct worker worker;
};

static inline bool services_in_sandbox(const struct services *s)
{
    return s->worker.fd >= 0;
}

/* Around each step of the session: what belongs into the log gets there. */
void services_before_step(struct services *s);
void services_after_step(struct services *s, enum smtp_want want);
/* Why the session ends; the first reason stays. */
void services_end(struct services *s, const char *why);
void services_close(struct services *s);

/* Does the decision take more than the configuration and the address? It may take its time. */
static inline bool services_take_more(const struct services *s, enum smtp_subject about,
                                      const struct smtp_recipient *recipient)
{
    return about != SMTP_ABOUT_RECIPIENT || rules_take_more(&s->backend.rules, &recipient->mailbox);
}

/* Does the monitor decide? A recipient that it accepts, it has added. */
static inline bool services_asks(const struct services *s, enum smtp_subject about,
                                 const struct smtp_recipient *recipient)
{
    return services_in_sandbox(s) && services_take_more(s, about, recipient);
}

/* May there be this recipient, this user, or may the session go on (recipient NULL)? (A message may
 * have thousands of them: this and the next one are no calls of their own.) */
static inline struct smtp_verdict services_decide(struct services *s, enum smtp_subject about,
                                                  struct smtp_recipient *recipient)
{
    if (services_asks(s, about, recipient))
        return worker_decide(&s->worker, s->backend.session, about,
                             recipient == NULL ? SPAN("") : recipient->mailbox.address,
                             &s->backend.recorder);
    return backend_decide(&s->backend, about, recipient);
}

/* The session has taken the recipient. */
static inline void services_add_recipient(struct services *s, struct smtp_recipient *recipient,
                                          struct arena *a)
{
    if (!services_in_sandbox(s)) {
        backend_add_recipient(&s->backend, recipient, a);
        return;
    }
    if (!services_asks(s, SMTP_ABOUT_RECIPIENT, recipient))
        worker_add_recipient(&s->worker, s->backend.session, recipient);
    head_complete(s->backend.config, a, &recipient->mailbox);
}

/* Is there somebody to do TLS on that connection? Then, once the last plain text has been sent, the
 * handshake: where it succeeds the connection is closed in this process. */
bool services_prepare_tls(struct services *s, int in, int out);
bool services_start_tls(struct services *s, int in, int out, int stop);

/* A proxy has said who the client is: by a PROXY header, with what it says of the client's TLS
 * (proxied_take_facts); by XCLIENT, with a login perhaps. SMTP_REPLY_OK: it is the session's peer
 * now; else why a listening process turns it away. */
enum smtp_reply_id services_take_header(struct services *s, const struct proxied_client *client,
                                        struct span facts);
enum smtp_reply_id services_take_client(struct services *s, const struct proxied_client *client,
                                        const struct smtp_xclient *said);

/* The mechanisms by which clients can log in; what the session's `login` leads to (*text is as
 * smtp_session_login has it). The caller wipes the response. */
struct span services_mechanisms(struct services *s);
enum smtp_login_result services_login(struct services *s, struct span *text);

/* A message begins. False: it can't be stored; in the sandbox that is known at its end. */
bool services_begin_message(struct services *s);
/* Where the message's next octets go, at least 2; NULL: they can't be stored. Then, how many came.
 */
char *services_message_room(struct services *s, size_t *room);
void services_add_octets(struct services *s, size_t n);
/* The message is there, or its end has not come: `data` says how, and is told when it could not be
 * stored. For each message that has begun, and no other: the monitor ends a session that finishes
 * what it has not begun. */
void services_finish_message(struct services *s, struct smtp_data *data);
/* Between two chunks, where its transaction may end without it. */
void services_keep_message(struct services *s);
/* Delivers it: each recipient has its result. `a` is for what the results point to. False: in the
 * sandbox it turns out only now that it could not be stored. */
bool services_deliver(struct services *s, struct arena *a);
/* Did that take next to no time? */
bool services_was_quick(const struct services *s);

/* What the session is about, for ps(1) and systemctl status (backend/status.h). */
void services_refresh_status(struct services *s, const char *doing);
void services_send_status(struct services *s, const char *doing);
/* Somebody reads it at once: worth a wake-up in a long wait. */
bool services_has_status_reader(const struct services *s);

#endif
