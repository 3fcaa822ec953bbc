/* Reverse-path, Forward-path, Mailbox, Domain and address-literal: RFC 5321 4.1.2 and 4.1.3, with
 * the additions of RFC 6531 3.3, exactly. Whether there is such a domain or mailbox is not asked.
 */
#ifndef SMTPIN_SMTP_PATH_H
#define SMTPIN_SMTP_PATH_H

#include "base/arena.h"
#include "base/text.h"

#include <stdint.h>

enum {
    SMTP_DOMAIN_MAX = 255, /* RFC 5321 4.5.3.1.2 */
    SMTP_LABEL_MAX = 63,   /* RFC 1035 2.3.4 */
    /* RFC 5321 4.5.3.1.1 asks for 64, no smaller. VERP and SRS sender addresses in real mail are
     * longer, and a refusal would lose that mail: twice as much is taken. */
    SMTP_LOCAL_MAX = 128,
    /* Of an address as we write it: quotes, a backslash before each octet, the '@'. */
    SMTP_ADDRESS_MAX = 2 * SMTP_LOCAL_MAX + 2 + 1 + SMTP_DOMAIN_MAX,
};

struct smtp_mailbox {
    struct span address; /* local-part, quoted only where the grammar asks for it, @, domain;
                            empty for the null reverse-path; terminated */
    struct span local;   /* the local-part without quoting */
    struct span domain;  /* as the client wrote it, a literal with its brackets; empty for the
                            null reverse-path and for <postmaster>; terminated */
    struct span ascii;   /* the domain with A-labels in the place of U-labels, once the shell has
                            looked: adapters/head.h; empty before, and where there is none */
    bool utf8;           /* has bytes outside ASCII: needs SMTPUTF8 */
};

/* What real senders do although the grammar forbids it (smtpin.conf(5), tolerate); bits, in the
 * order of the setting's words. */
enum {
    SMTP_TOLERATE_BLANK = 1,        /* MAIL FROM: <a@b> */
    SMTP_TOLERATE_DOTS = 2,         /* a..b@c and a.@c */
    SMTP_TOLERATE_UNDERSCORE = 4,   /* in the domain of a reverse-path */
    SMTP_TOLERATE_HELO = 8,         /* smtp_is_helo_name */
    SMTP_TOLERATE_UNQUALIFIED = 16, /* no domain, no brackets */
};

struct smtp_tolerance {
    uint64_t kinds;
    struct span domain; /* of an address that has none: smtp_is_domain */
};

enum smtp_path_result {
    SMTP_PATH_OK,
    SMTP_PATH_SYNTAX,
    SMTP_PATH_TOO_LONG,
    SMTP_PATH_FULL, /* the arena has no room */
};

/* Takes a path off the start of *in. Source routes are read and dropped (RFC 5321 4.1.1.3,
 * appendix C). The mailbox's bytes are in the arena; on failure the arena is as it was and *in and
 * *out are undefined. `t`: what is taken besides; NULL: the grammar alone. A mailbox that was
 * tolerated is written as the grammar has it, but for an underscore. */
enum smtp_path_result smtp_reverse_path(struct span *in, struct arena *a, struct smtp_mailbox *out,
                                        const struct smtp_tolerance *t);
enum smtp_path_result smtp_forward_path(struct span *in, struct arena *a, struct smtp_mailbox *out,
                                        const struct smtp_tolerance *t);

/* The mailbox of a local-part without quoting and of a domain or an address-literal, as a path with
 * both would give it. Their octets are copied. */
enum smtp_path_result smtp_mailbox_of(struct span local, struct span domain, struct arena *a,
                                      struct smtp_mailbox *out);
/* Appends a local-part without quoting as an address has it: quoted where the grammar asks for it.
 */
void smtp_add_local(struct text *out, struct span local);
/* Where an address extension's delimiter (any octet of `delimiter`) is in a local-part without
 * quoting; local.n: there is no extension. The first octet is always the user's. */
size_t smtp_extension_at(struct span local, struct span delimiter);

/* The whole span is a Domain (RFC 5321 4.1.2; with `utf8`, RFC 6531 3.3). */
bool smtp_is_domain(struct span s, bool utf8);
/* The whole span is an address-literal with its brackets (RFC 5321 4.1.3). */
bool smtp_is_literal(struct span s);
/* What EHLO, HELO and LHLO may be followed by: a Domain or an address-literal; with
 * SMTP_TOLERATE_HELO in `kinds`, also with underscores, blanks inside, octets outside ASCII and a
 * final dot. At most SMTP_DOMAIN_MAX octets, none of them a control octet. */
bool smtp_is_helo_name(struct span s, uint64_t kinds);
/* The whole span is an IPv6-addr (RFC 5321 4.1.3). */
bool smtp_is_ipv6(struct span s);
/* A Dot-string, which needs no quoting (RFC 5321 4.1.2). */
bool smtp_is_dot_string(struct span s);

#endif
