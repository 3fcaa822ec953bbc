/* BDAT (RFC 3030): a message in chunks, each with its size. */
#ifndef SMTPIN_SMTP_CHUNK_H
#define SMTPIN_SMTP_CHUNK_H

#include "smtp/state.h"

/* Reads "chunk-size [LAST]" into s->chunk: these octets come, whatever the reply will be. False: it
 * is none, or has more octets than may be thrown away; a reply has been said, and the session is
 * over. */
bool smtp_read_chunk(struct smtp_session *s, struct span argument);
/* Where the next command begins can't be known: the session is over. */
enum smtp_want smtp_bad_chunk(struct smtp_session *s);
/* BDAT where it is legal. */
enum smtp_want smtp_bdat(struct smtp_session *s, struct span argument);
/* The first chunk, once it has been decided on. */
enum smtp_want smtp_begin_chunks(struct smtp_session *s);
/* It is refused: the transaction is over, or the command was out of place and nothing changes. */
enum smtp_want smtp_refuse_chunk(struct smtp_session *s, const struct smtp_reply *reply);
enum smtp_want smtp_misplaced_chunk(struct smtp_session *s, enum smtp_reply_id why,
                                    struct span argument);

#endif
