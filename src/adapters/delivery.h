/* A hand-over: what it is made of, and what became of it. The types alone: deliver.h does it. */
#ifndef SMTPIN_ADAPTERS_DELIVERY_H
#define SMTPIN_ADAPTERS_DELIVERY_H

#include "adapters/head.h"
#include "config/config.h"
#include "io/child.h"
#include "io/spool.h"

struct deliver {
    struct head_facts facts;
    struct smtp_transaction *transaction; /* its recipients get their results */
    const struct spool *spool;            /* finished */
    size_t head;                          /* octets of ours at the front of the message */
    uint64_t size;                        /* octets of the message as it came */
    struct span digest;
    bool hold;                    /* a policy server has said so: SMTPIN_HOLD */
    struct arena *arena;          /* for this hand-over; results point into it */
    void (*lasts)(void *context); /* called once it is no matter of milliseconds */
    void *context;
};

struct deliver_run {
    struct child_result result;
    struct span said; /* all that it printed, as far as it was kept */
};

/* What became of it, for the log. Spans are in the arena. */
struct deliver_report {
    const struct deliver_run *run; /* each run, in the order of its recipients */
    size_t runs;
    struct child_result child; /* of the run that went worst */
    struct span complained;    /* the first line that a run wrote to its descriptor 2 */
    /* What is odd about the message ("no_header", "header_end", "loop"), about the lines that the
     * command printed ("reply_lines"), or about the kernel ("not_confined"); or NULL. */
    const char *note;
    size_t accepted, deferred, refused;
    bool waited; /* a run was no matter of milliseconds */
};

#endif
