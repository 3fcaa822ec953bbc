/* What a compromised worker tries. */
#ifndef SMTPIN_TESTS_SANDBOX_ATTACK_H
#define SMTPIN_TESTS_SANDBOX_ATTACK_H

#include "config/load.h"
#include "sandbox/sandbox.h"

struct attack {
    const char *name;
    void (*run)(struct worker *w);
    const char *kind; /* of the request that ends it, or that it tries; "NONE": a packet is none */
    const char *said; /* what comes to the client */
    const char *violation; /* the crash record's; "": it has none; NULL: no crash, a client may */
    const char *conf;      /* the configuration: tests/programs/sandbox.py has them by this name */
};

/* A request: attacks of a new kind are a function and a row. */
#define ATTACK(kind_, function, said_, violation_, conf_)                                          \
    {                                                                                              \
        .name = #function, .run = (function), .kind = #kind_, .said = (said_),                     \
        .violation = (violation_), .conf = (conf_)                                                 \
    }

/* Each ends with a NULL. */
extern const struct attack attack_calls[]; /* system calls: none may come back */
extern const struct attack attack_chunks[];
extern const struct attack attack_extras[];
extern const struct attack attack_requests[];
extern const struct attack attack_conduct[];
extern const struct attack attack_questions[];
extern const struct attack attack_login[];
extern const struct attack attack_proxy[];
extern const struct attack attack_submitter[];
extern const struct attack attack_tls[];
extern const struct attack attack_tls_calls[]; /* as attack_calls, with smtpin-tls beside it */

/* From before the filter: the file of a key that smtpin-tls reads, and the process that it is
 * likely to be. */
extern const char *attack_key;
extern long attack_helper;

/* To the client: how far it came. */
void attack_say(const char *text);

/* requests.c: an honest request, of which something is changed. */
struct request attack_honest(enum request_kind kind, uint64_t transaction);
bool attack_send(struct worker *w, const struct request *r);
/* A request with an answer, read with packet.h. False: there is none. */
bool attack_ask(struct worker *w, const struct request *r, struct packet *answer);
/* Of a delivery's answer, the reply to the first recipient; 0: it has none; -1: there is no answer.
 */
long attack_receive(struct worker *w);
/* One more recipient. */
void attack_add(struct worker *w, uint64_t transaction, struct span address);
/* Delivers `text` to those that there are. */
struct request attack_message(uint64_t transaction, uint64_t recipients, const char *text);
/* Transaction 1: a message for one recipient has begun, and is not at its end. */
void attack_begin_message(struct worker *w);
/* Delivers `r` of attack_message; says "delivered" where the first recipient has a 250. */
void attack_deliver(struct worker *w, struct request r);
/* A message of one recipient, whom nobody was asked about. */
void attack_mail_to(struct worker *w, uint64_t transaction, struct span recipient);
/* As a client's QUIT does. The process ends. */
void attack_quit(struct worker *w, uint64_t transaction);

/* login.c: a step of a login; .p of the response is NULL: there is none. */
#define ATTACK_JANE SPAN("AGphbmUAc2VjcmV0") /* PLAIN: jane, secret */
struct request attack_login_step(uint64_t transaction, uint64_t step, struct span mechanism,
                                 struct span response);
/* These say what came of it. */
void attack_log_in(struct worker *w, struct request r);
void attack_plain(struct worker *w);
void attack_ask_mechanisms(struct worker *w, uint64_t transaction);
void attack_go_inside_tls(struct worker *w);

#endif
