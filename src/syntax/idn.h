/* Internationalized domain names: U-label to A-label (RFC 5890 2.3.2.1), by libidn2, which is
 * loaded (dlopen(3)) when the first name outside ASCII turns up: not by the worker of a sandbox. */
#ifndef SMTPIN_SYNTAX_IDN_H
#define SMTPIN_SYNTAX_IDN_H

#include "base/text.h"

enum idn_result {
    IDN_OK,
    IDN_NONE,    /* the name can't be an internationalized domain name */
    IDN_MISSING, /* no libidn2 here, or no memory for it; a static build loads no library */
};

/* The domain in small ASCII letters, its U-labels as A-labels, into *out, terminated (the
 * terminator is not counted). Letters of either case and decomposed characters give the same
 * (UTS #46, non-transitional). A domain in ASCII needs no library, and is not looked at further.
 * Unless it is IDN_OK, nothing is added to *out. */
enum idn_result idn_to_ascii(struct span domain, struct text *out);
/* Can it be done here? */
bool idn_works(void);

#endif
