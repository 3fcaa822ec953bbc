/* What the worker asks of the monitor: one packet each (sandbox/packet.h), a message's octets
 * first, then the kind and its fields. The form of requests is here, and that every field is in its
 * range; whether a session may ask for it now is never decided here, but by the monitor. */
#ifndef SMTPIN_SANDBOX_REQUEST_H
#define SMTPIN_SANDBOX_REQUEST_H

#include "sandbox/packet.h"
#include "smtp/extra.h"
#include "smtp/session.h"
#include "syntax/proxy.h"

/* The fields of struct request that a kind may have, in the order of the packet. Those that belong
 * together share a bit. */
enum request_field {
    REQUEST_MESSAGE_OCTETS = 1, /* octets */
    REQUEST_ADDRESS = 2,        /* address */
    REQUEST_GREETING = 4,       /* helo, esmtp */
    REQUEST_ENVELOPE = 8,       /* begins, auth, body, prdr, requiretls, recipients, declared_size,
                                   extras */
    REQUEST_SMTPUTF8 = 16,      /* smtputf8 */
    REQUEST_OUTCOME = 32,       /* fault, ended */
    REQUEST_SIZE = 64,          /* size */
    REQUEST_BOUNDARY = 128,     /* boundary */
    REQUEST_PHASE = 256,        /* phase */
    REQUEST_STEP = 512,         /* before, close, reply, rule, argument, judged */
    REQUEST_WORD = 1024,        /* word */
    REQUEST_COMMANDS = 2048,    /* commands */
    REQUEST_SUBJECT = 4096,     /* about, sender, candidate_extras */
    REQUEST_LOGIN_STEP = 8192,  /* step, mechanism, has_response */
    REQUEST_CLIENT = 16384,     /* client, client_port, client_name, server, server_port */
    REQUEST_FACTS = 32768,      /* facts */
    REQUEST_USER = 65536,       /* has_user, user */
    /* What each request about a message has. */
    REQUEST_OF_MESSAGE =
        REQUEST_ADDRESS | REQUEST_GREETING | REQUEST_COMMANDS | REQUEST_ENVELOPE | REQUEST_SMTPUTF8,
};

/* How many requests of a kind a session may send, all in all. What one transaction may ask is for
 * the monitor's function to check. */
enum request_pace {
    REQUEST_ONCE,
    REQUEST_EACH_COMMAND,
    REQUEST_EACH_TRANSACTION, /* REQUEST_OCTETS with many octets are not counted: their sum is */
    REQUEST_EACH_SECOND,
};

/* The kinds, a row each: REQUEST_name; the monitor's function that checks it and does it
 * (sandbox/handlers.h); its pace; its fields, besides the transaction and the recipients that the
 * monitor has not heard of, which all have: these are added before the function runs. The order
 * of the rows does not matter. tests/sandbox has what a compromised worker does with
 * it: a kind that nobody attacks fails a test. */
#define REQUEST_KINDS(KIND)                                                                        \
    /* May `address` be a recipient, or is there such a user; or may the session go on? The answer \
     * is the verdict. A recipient that is accepted is added. */                                   \
    KIND(DECIDE, decide, EACH_COMMAND,                                                             \
         REQUEST_ADDRESS | REQUEST_SUBJECT | REQUEST_GREETING | REQUEST_COMMANDS |                 \
             REQUEST_ENVELOPE | REQUEST_SMTPUTF8 | REQUEST_BOUNDARY)                               \
    /* The PROXY header: before anything else. While a process listens, the answer is whether the  \
     * client may come in. */                                                                      \
    KIND(PROXY, take_header, ONCE, REQUEST_CLIENT | REQUEST_FACTS)                                 \
    /* XCLIENT: the same of another client, and perhaps who has logged in. */                      \
    KIND(XCLIENT, take_client, EACH_COMMAND, REQUEST_CLIENT | REQUEST_USER | REQUEST_COMMANDS)     \
    /* TLS: can it begin? The answer is yes or no. */                                              \
    KIND(PREPARE_TLS, prepare_tls, ONCE, REQUEST_COMMANDS)                                         \
    /* The last plain text has been sent. The answer: does the recording go on, and is the session \
     * secure? */                                                                                  \
    KIND(START_TLS, start_tls, ONCE, REQUEST_COMMANDS | REQUEST_BOUNDARY)                          \
    /* By which mechanisms can the client log in? */                                               \
    KIND(MECHANISMS, tell_mechanisms, EACH_COMMAND, REQUEST_GREETING | REQUEST_COMMANDS)           \
    /* A step of a login; `octets` is the response. The answer is the result and its text; a login \
     * that is cancelled has none. */                                                              \
    KIND(LOGIN, log_in, EACH_COMMAND,                                                              \
         REQUEST_MESSAGE_OCTETS | REQUEST_GREETING | REQUEST_COMMANDS | REQUEST_LOGIN_STEP)        \
    /* More recipients than fit into the next request. */                                          \
    KIND(RECIPIENTS, take_recipients, EACH_COMMAND, 0)                                             \
    KIND(OCTETS, take_octets, EACH_TRANSACTION, REQUEST_OF_MESSAGE | REQUEST_MESSAGE_OCTETS)       \
    /* It was no message: a fault, or it has no end. */                                            \
    KIND(FINISH, finish_message, EACH_TRANSACTION,                                                 \
         REQUEST_OF_MESSAGE | REQUEST_OUTCOME | REQUEST_SIZE)                                      \
    /* The last octets of a message, and deliver it. The answer is the results, of which the log   \
     * hears where they are made. */                                                               \
    KIND(DELIVER, deliver_message, EACH_TRANSACTION,                                               \
         REQUEST_OF_MESSAGE | REQUEST_MESSAGE_OCTETS | REQUEST_SIZE | REQUEST_BOUNDARY)            \
    /* For the log: a refusal, or the end of a transaction. */                                     \
    KIND(LOG, log_step, EACH_COMMAND,                                                              \
         REQUEST_ADDRESS | REQUEST_GREETING | REQUEST_COMMANDS | REQUEST_SMTPUTF8 |                \
             REQUEST_PHASE | REQUEST_STEP)                                                         \
    /* For the service manager: what the session is about. */                                      \
    KIND(STATUS, send_status, EACH_SECOND, REQUEST_COMMANDS | REQUEST_PHASE | REQUEST_WORD)        \
    /* The session is over. */                                                                     \
    KIND(END, end_session, ONCE, REQUEST_GREETING | REQUEST_COMMANDS | REQUEST_WORD)               \
    /* The filter could not be entered. */                                                         \
    KIND(NO_FILTER, log_no_filter, ONCE, 0)

#define REQUEST_NUMBER_OF(name, handler, pace, fields) REQUEST_##name,
enum request_kind { REQUEST_KINDS(REQUEST_NUMBER_OF) REQUEST_KIND_COUNT };
#undef REQUEST_NUMBER_OF

struct request_about {
    struct span name; /* "DECIDE" */
    enum request_pace pace;
    unsigned fields; /* of enum request_field */
};

enum {
    /* Of a message, in one packet: a larger one would want pages in a row from the kernel. */
    REQUEST_OCTETS_MAX = 128 * 1024, /* two packets of half of it cost a third more */
    REQUEST_OCTETS_FEW = 1024,       /* less than is sent while there are more to come */
    REQUEST_FIELDS_MAX = 4096,       /* octets of the others in such a packet, and more */
    /* Octets of `added`: one has room in any case. */
    REQUEST_ADDED_MAX = 8 + SMTP_ADDRESS_MAX + 1 + SMTP_EXTRAS_MAX,
    REQUEST_TEXT_MAX = SMTP_REPLY_LINE_MAX,
    REQUEST_ARGUMENT_MAX = 600, /* of a reply, and whom it is about; more is cut, for the log */
    REQUEST_IP_MAX = 45,        /* an address in words */
    REQUEST_PORT_MAX = 5,
    REQUEST_WORD_MAX = 32,          /* a rule, an end: see request_is_word */
    REQUEST_ANSWER_FULL = 3 * 1024, /* octets, from which on the results go on in another packet */
    REQUEST_ANSWER_MAX = 4 * 1024,  /* with the reply that made it full */
};

/* A field that the kind does not have is not sent, and reads as nothing. Spans are in the packet.
 */
struct request {
    enum request_kind kind;
    struct span octets;   /* of the message */
    uint64_t transaction; /* the how-manieth MAIL of the session */
    /* Its recipients since the last request: packet_text of each, with a NUL and its extras where
     * it has any. */
    struct span added;
    struct span address; /* the reverse-path; REQUEST_DECIDE: the forward-path */
    enum smtp_subject about;
    struct span sender; /* the reverse-path, where `address` is none */
    struct span helo;
    bool begins; /* a message: with its envelope, at the first of its requests */
    bool esmtp, smtputf8, prdr, requiretls;
    uint64_t recipients, declared_size;
    uint64_t body;     /* enum smtp_body */
    uint64_t size;     /* of the message: RFC 1870 5 */
    uint64_t boundary; /* of the recording: struct recorder */
    enum smtp_data_fault fault;
    bool ended;
    enum smtp_phase before, phase;
    bool close;
    struct smtp_reply reply; /* its rule is in `rule` */
    struct span rule, argument, judged;
    uint64_t commands;
    uint64_t step; /* of struct smtp_login */
    struct span mechanism;
    bool has_response;
    struct span auth;                     /* of MAIL */
    struct span extras, candidate_extras; /* smtp/extra.h: of MAIL; of REQUEST_DECIDE's RCPT */
    struct span client, client_port, client_name, server, server_port; /* struct proxied_client */
    struct span facts;                                                 /* proxied_take_facts */
    bool has_user; /* XCLIENT has said whether somebody has logged in: */
    struct span user;
    struct span word; /* how the session has ended; what it is about */
};

/* What the table says of a kind. */
const struct request_about *request_about(enum request_kind kind);

/* The packet: a message's octets, the fields, and how many octets there are. They are not copied
 * where they are in their place already. */
void request_write(struct text *out, const struct request *r);
/* Their place, in a packet that is empty yet: REQUEST_OCTETS_MAX of room. */
char *request_octets(const struct text *packet);
/* False: it is none, or a field is not in its range. */
bool request_read(struct span packet, struct request *out);
/* Small letters, digits, '_' and '-', at most REQUEST_WORD_MAX. */
bool request_is_word(struct span s);

/* A reply with all that it points to. What request_read_reply gives is in the packet; the rule,
 * which is not terminated there, is in *rule alone. */
void request_write_reply(struct text *out, const struct smtp_reply *reply);
void request_read_reply(struct packet *p, struct smtp_reply *reply, struct span *rule);

#endif
