/* What a filter may say, and when: the terms that it agrees to, and its replies to each event. All
 * that is not allowed is told in words, and is an error of the filter's. No I/O, no memory. */
#ifndef SMTPIN_COMMANDS_MILTER_REPLY_H
#define SMTPIN_COMMANDS_MILTER_REPLY_H

#include "commands/milter/packet.h"

/* What a filter is told, in this order. */
enum milter_event {
    MILTER_CONNECT,
    MILTER_HELO,
    MILTER_MAIL,
    MILTER_RCPT,
    MILTER_DATA,
    MILTER_HEADER,
    MILTER_EOH,
    MILTER_BODY,
    MILTER_END, /* of the message; only now may it ask for changes */
    MILTER_EVENTS,
};

/* The letter of its packet, and its name for people. */
char milter_event_letter(enum milter_event event);
const char *milter_event_name(enum milter_event event);

enum {
    MILTER_VERSION = 6, /* ours; no filter that speaks less than 2 is known */
    MILTER_VERSION_LEAST = 2,
    MILTER_STAGES = 7, /* of SMFIF_SETSYMLIST: libmilter's SMFIM_* */
};

/* What both have agreed to. */
struct milter_terms {
    uint32_t version;
    uint32_t actions;                  /* what it may ask for */
    uint32_t protocol;                 /* what it does not want to hear, and will not answer */
    struct span macros[MILTER_STAGES]; /* names of macros that it wants at a stage, instead of ours;
                                          .p NULL: it has not said */
};

/* Adds the packet with our offer. */
void milter_add_offer(struct text *out);
/* Reads the filter's answer to it. NULL, or what is wrong. The lists of macros are in the packet.
 */
const char *milter_agree(const struct milter_packet *p, struct milter_terms *terms);
/* Does it want to hear of this event? Does it answer it? Has its field a leading blank? */
bool milter_wants(const struct milter_terms *terms, enum milter_event event);
bool milter_answers(const struct milter_terms *terms, enum milter_event event);
bool milter_leading_blank(const struct milter_terms *terms);

enum milter_change_kind {
    MILTER_ADD_HEADER,
    MILTER_INSERT_HEADER,
    MILTER_CHANGE_HEADER, /* an empty value: it goes */
    MILTER_REPLACE_BODY,  /* a piece of the new one */
    MILTER_ADD_RECIPIENT,
    MILTER_DELETE_RECIPIENT,
    MILTER_CHANGE_SENDER,
    MILTER_QUARANTINE,
};

struct milter_change {
    enum milter_change_kind kind;
    uint32_t index;
    struct span name;  /* of a field */
    struct span value; /* of a field; a piece of the body; an address as the filter wrote it; why */
};

enum milter_said {
    MILTER_CONTINUE,
    MILTER_ACCEPT,
    MILTER_DISCARD,
    MILTER_REFUSE,   /* `code` and `text` */
    MILTER_SKIP,     /* no more events of this kind */
    MILTER_PROGRESS, /* it needs more time */
    MILTER_CHANGE,
};

struct milter_reply {
    enum milter_said said;
    unsigned code;    /* 400 to 599 */
    struct span text; /* what follows the code; may have line ends and more codes in it */
    struct milter_change change;
};

/* The reply to an event. NULL, or what is wrong with it. Its spans are in the packet. */
const char *milter_read_reply(const struct milter_terms *terms, enum milter_event event,
                              const struct milter_packet *p, struct milter_reply *reply);

#endif
