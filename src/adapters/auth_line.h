/* What a Dovecot server says to a client of its authentication protocol, a line at a time: words
 * with tabs between. Nothing of it is believed. */
#ifndef SMTPIN_ADAPTERS_AUTH_LINE_H
#define SMTPIN_ADAPTERS_AUTH_LINE_H

#include "adapters/auth_state.h"

enum auth_line_kind { AUTH_LINE_OK, AUTH_LINE_CONT, AUTH_LINE_FAIL, AUTH_LINE_CANCELLED };

/* An answer; spans point into its line. */
struct auth_line {
    enum auth_line_kind kind;
    uint64_t id;          /* of the request that it is about */
    struct span data;     /* CONT: base64 */
    struct span binding;  /* CONT: the type of channel binding that the server asks for, or empty */
    struct span user;     /* OK: a name (auth_is_user), or empty: this one has no login here */
    enum auth_result why; /* FAIL: AUTH_WRONG, AUTH_MALFORMED or AUTH_LATER */
};

/* Takes a word off a line. False: there is none left (out.p is NULL). An empty word is one, too. */
bool auth_line_word(struct span *line, struct span *word);
/* Without its line end. False: it is no answer. */
bool auth_line_read(struct span line, struct auth_line *out);
/* What follows "MECH" in a line. False: none that a client of ours can have: it has no name, or a
 * name that is none (RFC 4422 3.1), or is for Dovecot's own use (`private`), or lets anybody in
 * (`anonymous`). */
bool auth_line_mechanism(struct span words, struct auth_mechanism *out);

#endif
