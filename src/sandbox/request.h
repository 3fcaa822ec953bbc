/* What the worker asks of the monitor: one packet each (sandbox/packet.h), a message's octets
 * first, then its kind and the other fields. The worker reads the client's bytes and is not
 * trusted; the monitor checks every field. */
#ifndef SMTPIN_SANDBOX_REQUEST_H
#define SMTPIN_SANDBOX_REQUEST_H

#include "sandbox/packet.h"
#include "smtp/session.h"

enum request_kind {
    REQUEST_DECIDE =
        1, /* may this address (`address`) be a recipient? Has an answer, the verdict */
    REQUEST_RECIPIENTS, /* there are more than fit into the next request */
    REQUEST_OCTETS,     /* of a message */
    REQUEST_FINISH,     /* it was no message: a fault, or it has no end */
    REQUEST_DELIVER,    /* its last octets, and deliver it. Has an answer, the results; the log
                           hears of these where they are made */
    REQUEST_LOG,        /* for the log: a refusal, or the end of a transaction */
    REQUEST_STATUS,     /* for the service manager: what the session is about */
    REQUEST_END,        /* the session is over */
    REQUEST_NO_FILTER,  /* the filter could not be entered */
};

enum {
    /* Of a message, in one packet: a larger one would want pages in a row from the kernel. */
    REQUEST_OCTETS_MAX = 64 * 1024,
    REQUEST_OCTETS_FEW = 1024,                /* less than is sent while there are more to come */
    REQUEST_FIELDS_MAX = 2048,                /* octets of the others in such a packet, and more */
    REQUEST_ADDED_MAX = SMTP_ADDRESS_MAX + 8, /* octets of `added`: one has room in any case */
    REQUEST_TEXT_MAX = SMTP_REPLY_LINE_MAX,
    REQUEST_ARGUMENT_MAX = 600,     /* of a reply, and whom it is about; more is cut, for the log */
    REQUEST_WORD_MAX = 32,          /* a rule, an end: see request_is_word */
    REQUEST_ANSWER_FULL = 3 * 1024, /* octets, from which on the results go on in another packet */
};

/* Fields that several kinds have; a kind leaves the others empty. Spans are in the packet. */
struct request {
    enum request_kind kind;
    struct span octets;   /* of the message */
    uint64_t transaction; /* the how-manieth MAIL of the session */
    struct span added;    /* its recipients since the last request: packet_text of each */
    struct span address;  /* the reverse-path; REQUEST_DECIDE: the forward-path */
    struct span helo;
    bool begins; /* a message: with its envelope, at the first of its requests */
    bool esmtp, smtputf8, eight_bit, prdr;
    uint64_t recipients, declared_size;
    uint64_t size;     /* of the message: RFC 1870 5 */
    uint64_t boundary; /* of the recording: struct recorder */
    enum smtp_data_fault fault;
    bool ended;
    enum smtp_phase before, phase;
    bool close;
    struct smtp_reply reply; /* its rule is in `rule` */
    struct span rule, argument, judged;
    uint64_t commands;
    struct span word; /* how the session has ended; what it is about */
};

/* The packet; a message's octets are not copied where they are in their place already. */
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
