/* Internationalized domain names: U-label to A-label (RFC 5890 2.3.2.1), by libidn2. Most programs
 * load it (dlopen(3)) when the first name outside ASCII turns up. One that is linked statically
 * (SMTPIN_STATIC) can't: it starts smtpin-idn, a program beside it, and asks that. Not to be called
 * in the worker of a sandbox, which can do neither. */
#ifndef SMTPIN_SYNTAX_IDN_H
#define SMTPIN_SYNTAX_IDN_H

#include "smtp/path.h"

#include <stdbool.h>
#include <sys/types.h>

enum idn_result {
    IDN_OK,
    IDN_NONE,    /* the name can't be an internationalized domain name */
    IDN_MISSING, /* no libidn2 here, no smtpin-idn, or no answer of it */
};

/* Questions of one process, for which at most one program is started. It begins with all zero. */
struct idn {
    pid_t program; /* that is asked; 0: none */
    int fd;        /* the way to it, where there is one */
    bool absent;   /* there is no libidn2 here: nothing can be asked */
    bool broken;   /* it gave no answer to a question: no more are asked */
    bool
        failed; /* a question had no answer that may have one on another day; the asker clears it */
};

/* The domain in small ASCII letters, its U-labels as A-labels, into *out, terminated (the
 * terminator is not counted). Letters of either case and decomposed characters give the same
 * (UTS #46, non-transitional). A domain in ASCII needs no library, and is not looked at further.
 * Unless it is IDN_OK, nothing is added to *out. IDN_MISSING with i->failed is no reason to refuse
 * anything for good. i may be NULL: a question by itself. */
enum idn_result idn_to_ascii(struct idn *i, struct span domain, struct text *out);
/* Can it be done here? */
bool idn_works(struct idn *i);
/* No more questions. i may be NULL. */
void idn_end(struct idn *i);

/* What stands behind them: libidn2 in this process (idn_library.c), or in another one
 * (idn_program.c). The name, terminated, as libidn2 makes it, into *out; not checked. */
enum idn_result idn_convert(struct idn *i, const char *name, struct text *out);

enum {
    IDN_ASCII_MAX = 2 * SMTP_DOMAIN_MAX, /* octets of libidn2's answer; a domain has fewer */
    IDN_PATIENCE = 2000,                 /* milliseconds that smtpin-idn has for an answer */
};

/* smtpin-idn gets a name in a packet, and answers with one: the first octet is one of these, behind
 * IDN_SAYS_OK stands the ASCII form. */
enum { IDN_SAYS_OK = 'o', IDN_SAYS_NONE = 'n', IDN_SAYS_MISSING = 'm' };

#endif
