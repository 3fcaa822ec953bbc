/* `trace =`: a session written down as a transcript (smtpin-transcript(5)), one file each, which
 * smtpin-replay runs as it is. Message text is left out unless `trace_messages`, credentials
 * always. */
#ifndef SMTPIN_ADAPTERS_RECORDER_H
#define SMTPIN_ADAPTERS_RECORDER_H

#include "adapters/delivery.h"
#include "adapters/peer.h"
#include "adapters/recorder_state.h"
#include "config/config.h"
#include "smtp/data.h"
#include "smtp/session.h"

/* Opens the session's file below `trace`, named after its id; without the setting, or where that
 * can't be done, nothing is recorded. False in the latter case, with errno. */
bool recorder_open(struct recorder *r, const struct config *c, const struct peer *peer,
                   struct span id, uint64_t time);

/* What follows does nothing where nothing is recorded: who calls at each step asks here, which is
 * less than the call. */
static inline bool recorder_is_open(const struct recorder *r)
{
    return r->fd >= 0;
}

/* May the line be written down? Commands that hold no secret. Anything else that a client says
 * where a command should be may be a password, or the text of a message whose DATA was refused. */
bool recorder_is_harmless(struct span line);
/* Bytes of commands, before the session has heard of them; whole lines where the client has sent
 * them so. Where a login is going on they are a response, and only their number is written down.
 * `login` may be NULL. */
void recorder_commands(struct recorder *r, struct span bytes, const struct smtp_login *login);
/* The same, of what may be text: nothing of it is written but its length. */
void recorder_masked(struct recorder *r, struct span bytes);
/* Octets of the client that are no commands and hold no secret, all of them on one line. */
void recorder_octets(struct recorder *r, struct span bytes);
/* The mechanisms that are announced; the answer to a step of a login, where it was no cancelling.
 * `text` is as smtp_session_login has it. */
void recorder_mechanisms(struct recorder *r, struct span mechanisms);
void recorder_login(struct recorder *r, const struct smtp_login *login,
                    enum smtp_login_result result, struct span text);
/* Bytes of a message as they came, and its end: with the text, or with its size alone. */
void recorder_text(struct recorder *r, struct span bytes);
void recorder_message(struct recorder *r, const struct smtp_data *data);
/* The octets of a chunk that came: with the text, or so many. The decoder before and behind them;
 * NULL: they were thrown away. */
void recorder_chunk(struct recorder *r, uint64_t octets, const struct smtp_data *before,
                    const struct smtp_data *data);
void recorder_replies(struct recorder *r, struct span bytes);
void recorder_delivery(struct recorder *r, const struct deliver_report *report);
/* How a check command has ended, and what it said; what a policy server has answered (.p NULL: no
 * usable answer). */
void recorder_check(struct recorder *r, const struct child_result *end, struct span said);
void recorder_policy(struct recorder *r, struct span action);
/* The session is inside TLS from here on. */
void recorder_tls(struct recorder *r, const struct tls_facts *t);
/* The monitor goes on with the worker's recording (sandbox/sandbox.h) for as long as that waits.
 * Returns the boundary; UINT64_MAX where the recording has ended. `ran`: a run of the delivery
 * command has been recorded. */
uint64_t recorder_pause(struct recorder *r);
void recorder_resume(struct recorder *r, bool goes_on, bool ran);
/* The monitor's part of that. recorder_leave: does the recording go on? */
void recorder_continue(struct recorder *r, uint64_t boundary);
bool recorder_leave(struct recorder *r);
/* Why the session has ended, where that was not the client's word. */
void recorder_close(struct recorder *r, const char *end);

#endif
