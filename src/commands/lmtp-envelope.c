#include "commands/lmtp.h"

#include "smtp/path.h"
#include "syntax/idn.h"

#include <stdlib.h>

/* The address with its domain as A-labels: no "internationalized" one any more (RFC 6531 3.2).
 * False: no memory. */
static bool add_ascii(struct idn *idn, struct lmtp_address *a, const struct smtp_mailbox *m,
                      enum lmtp_plain *plain)
{
    const size_t at = m->address.n - m->domain.n;
    struct text ascii = {.cap = at + SMTP_DOMAIN_MAX + 1};
    enum idn_result result;

    *plain = LMTP_PLAIN_NEVER;
    if (!span_is_ascii(m->local))
        return true;
    ascii.p = malloc(ascii.cap);
    if (ascii.p == NULL)
        return false;
    text_add(&ascii, span_first(m->address, at));
    result = idn_to_ascii(idn, m->domain, &ascii);
    if (result == IDN_OK) {
        a->ascii = ascii.p;
        *plain = LMTP_PLAIN_YES;
        return true;
    }
    free(ascii.p);
    if (result == IDN_MISSING)
        *plain = LMTP_PLAIN_LATER;
    return true;
}

bool lmtp_read_address(struct lmtp_mail *mail, struct lmtp_address *a, const char *given,
                       bool is_sender)
{
    /* What smtpin may have taken as a sender; not in a recipient, which is a domain of its own. */
    const struct smtp_tolerance tolerance = {.kinds = SMTP_TOLERATE_UNDERSCORE};
    char room[1024], memory[2048];
    struct text path = TEXT(room);
    struct arena arena = {.base = memory, .cap = sizeof memory};
    enum lmtp_plain plain;
    enum smtp_path_result result;
    struct smtp_mailbox mailbox;
    struct span in;

    *a = (struct lmtp_address){.given = given};
    if (is_sender && given[0] == '\0')
        return true;
    /* It is put between angle brackets on the wire: only a mailbox may stand there. */
    text_addc(&path, '<');
    text_adds(&path, given);
    text_addc(&path, '>');
    in = text_span(&path);
    if (path.cut)
        return false;
    result = is_sender ? smtp_reverse_path(&in, &arena, &mailbox, &tolerance)
                       : smtp_forward_path(&in, &arena, &mailbox, NULL);
    if (result != SMTP_PATH_OK || in.n > 0 || mailbox.address.n == 0)
        return false;
    if (!mailbox.utf8)
        return true;
    if (!add_ascii(&mail->idn, a, &mailbox, &plain))
        return false;
    mail->utf8 = true;
    if (plain > mail->plain)
        mail->plain = plain;
    return true;
}
