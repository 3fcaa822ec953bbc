/* Aliases: the recipients that an address stands for, as in Postfix's virtual(5). */
#ifndef SMTPIN_ADAPTERS_ALIAS_H
#define SMTPIN_ADAPTERS_ALIAS_H

#include "adapters/lookup.h"
#include "smtp/state.h"

struct alias_question {
    struct table *table;
    uint64_t depth_max;      /* aliases of aliases: so many, one behind the other */
    uint64_t recipients_max; /* of one expansion; between, as many aliases and depth_max more */
    struct span delimiter;   /* between user and extension: any of its octets */
    bool case_matters;       /* in local-parts */
    /* A value that is not addresses alone means that the address exists, as in a table of
     * recipients; else it is a mistake, unless it is a list with local-parts. */
    bool other_is_ok;
    struct span own_domain; /* of <postmaster> */
    struct idn *idn;        /* questions about domains; NULL: each by itself */
};

enum alias_result {
    ALIAS_NONE,   /* it is no alias, or the table says OK */
    ALIAS_FOUND,  /* the recipients are in *out */
    ALIAS_REPLY,  /* the table has a reply for it, or for a recipient that it stands for: *reply */
    ALIAS_FAILED, /* the table can't be read: *why */
    ALIAS_BAD,    /* the aliases are wrong, too many or too deep, or the arena is full: *why */
};

/* Expands `from`, until nothing that is left is an alias. A value is a list (lookup_is_list)
 * of what lookup_mailbox takes. *out: a list of one or more, each
 * mailbox once, in the order of the table. Mailboxes are the same when only the case of their
 * domains differs, or of their local-parts unless that matters.
 *
 * An address in its own value stays ("jane jane, bob"), and is not expanded again; one that comes a
 * second time adds nothing. Where nothing is left, the aliases form a loop: ALIAS_BAD. An extension
 * that was not looked up (jane+x was found as jane) goes to the end of each address of the value.
 *
 * *at: what was found: for ALIAS_NONE and ALIAS_FOUND, of `from`; else the last, of which *why
 * speaks. `from->ascii` is looked up where it is set; else it is found here, and so is that of each
 * recipient (adapters/head.h: not for the worker of a sandbox). All that *out, *reply and *at speak
 * of is in `a`, or is of `from`. Whoever refuses the recipient resets the arena. */
enum alias_result alias_expand(const struct alias_question *q, const struct smtp_mailbox *from,
                               struct arena *a, struct smtp_recipient **out,
                               struct smtp_reply *reply, const char **why, struct lookup *at);

#endif
