/* What a table says of an address or of a domain: the keys that are looked up, as in Postfix's
 * virtual(5) and access(5), and what a value means. */
#ifndef SMTPIN_ADAPTERS_LOOKUP_H
#define SMTPIN_ADAPTERS_LOOKUP_H

#include "adapters/table.h"
#include "base/arena.h"
#include "smtp/path.h"
#include "smtp/reply.h"
#include "smtp/result.h"

struct lookup {
    struct span key;          /* the one that was found, in the arena; empty: none was */
    struct span value;        /* its value, in the arena; may be empty */
    bool extension_unmatched; /* user+ext@domain was found as user@domain */
    const char *wrong;        /* of TABLE_FAILED: why */
};

/* Looks up user+ext@domain, user@domain and @domain, in this order. `local`: the local-part without
 * quoting; `domain`: in ASCII (smtp_mailbox.ascii, where there is one). Both are looked up in lower
 * case, the local-part as it is with `case_matters`. Each octet of `delimiter` parts user and
 * extension.
 *
 * A local-part that needs quotes is looked up with them first ("a b"@example.org: so Postfix 3.2
 * and later write and read their tables), then without (as access(5) does too).
 *
 * The null sender has no local-part and no domain: its key is "<>" (access(5)).
 *
 * What is found is copied into `a`; a full arena is TABLE_FAILED, but not the table's fault. An
 * empty domain (<postmaster>) is in no table. */
enum table_result lookup_address(struct table *t, struct span local, struct span domain,
                                 struct span delimiter, bool case_matters, struct arena *a,
                                 struct lookup *out);
/* Looks up the domain (in ASCII), then each of its parents with a dot before it, the nearest first:
 * the key ".example.org" stands for every domain below it. An address-literal has no parents. */
enum table_result lookup_domain(struct table *t, struct span domain, struct arena *a,
                                struct lookup *out);

enum lookup_meaning {
    LOOKUP_OK,        /* "OK", or nothing */
    LOOKUP_REPLY,     /* "450 4.2.1 Try again": smtp_result_of_words */
    LOOKUP_ADDRESSES, /* only whole addresses and "@domain", one or more */
    LOOKUP_OTHER,     /* a Maildir's path, a word of the administrator's */
};
/* What a value means. LOOKUP_REPLY: it is in *reply, its text in `room` (SMTP_RESULT_TEXT_MAX
 * octets are enough), which must outlive it. */
enum lookup_meaning lookup_read_value(struct span value, struct smtp_reply *reply,
                                      struct text *room);

/* Takes the next word of a value off *rest: words are apart by commas and blanks, which may stand
 * within quotes. False when none is left. */
bool lookup_next_word(struct span *rest, struct span *word);
/* Has the word no domain ("bob"), or only a domain ("@example.org")? */
bool lookup_word_is_local(struct span word);
bool lookup_word_is_domain(struct span word);
/* Is the value a list of words at all, as aliases have it? Names without a domain must be apart by
 * commas, so that a sentence ("REJECT no such user") is no list of users. What a word is, is not
 * looked at: lookup_mailbox. */
bool lookup_is_list(struct span value);
/* The mailbox that a word of the value of `of` stands for: an address, with "<>" around it or
 * without; "@domain": the same user there, with the extension; a local-part alone, which needs no
 * quotes and has no '/' and no '|' (paths and commands are no users): at the domain of `of`. The
 * mailbox is in `a`, which is as it was where this fails. */
enum smtp_path_result lookup_mailbox(struct span word, const struct smtp_mailbox *of,
                                     struct arena *a, struct smtp_mailbox *out);

#endif
