/* The conversation with one filter about one message. */
#ifndef SMTPIN_COMMANDS_MILTER_TALK_H
#define SMTPIN_COMMANDS_MILTER_TALK_H

#include "commands/milter/changes.h"
#include "commands/milter/facts.h"

enum { TALK_OUT = 2 * (MILTER_CHUNK + MILTER_PACKET_HEAD) + 65536, TALK_LINE_MAX = 512 };

/* What is done where a filter can't be asked, or makes no sense. */
enum filter_default { FILTER_TEMPFAIL, FILTER_ACCEPT, FILTER_REJECT };

struct filter {
    const char *name;   /* as the administrator has written it */
    const char *server; /* as io/connect.h has it */
    enum filter_default otherwise;
    uint64_t timeout, content_timeout; /* milliseconds */
};

enum talk_result {
    TALK_DONE,      /* it has let the message pass, and its changes are made */
    TALK_REFUSED,   /* `line` says why */
    TALK_DISCARDED, /* to be accepted, and not delivered */
    TALK_FAILED, /* `line` is empty; why is on descriptor 2; message and envelope are as before */
};

struct talk {
    /* Set by the caller. */
    const struct filter *filter;
    struct facts *facts;
    struct message *message;
    struct envelope *envelope;
    struct changes *changes;
    struct arena *arena;
    size_t packet_max;  /* octets of a packet of the filter's */
    size_t requests;    /* how many changes it may ask for, and how often for more time */
    char *in;           /* packet_max + MILTER_PACKET_HEAD octets */
    struct text out;    /* TALK_OUT octets */
    bool all_or_none;   /* one answer is for all recipients: refusing one refuses the message */
    struct span reason; /* for quarantine; the last filter's that has one */

    int fd;
    size_t start, end; /* of what was read into `in` and is unused */
    struct milter_terms terms;
    const char *wrong;
    char line[TALK_LINE_MAX]; /* "550 5.7.1 No" */
};

enum talk_result talk_about(struct talk *t);

#endif
