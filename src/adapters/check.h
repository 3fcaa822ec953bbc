/* check_client, check_sender, check_recipient: a command of the administrator's that is asked for
 * its opinion. It runs as `deliver` does, with the same macros and environment, but without a
 * message: its descriptor 0 is /dev/null, the size is the declared one, and there is no digest. Its
 * exit status decides (`exit_map` is for `deliver` alone):
 *
 *     0                 it accepts
 *     65, 67, 77, 100   it refuses
 *     99                it has no opinion
 *     everything else   it defers: a signal, a time-out, a program that can't be started, too
 *
 * The first line of its output goes with a refusal and a deferral. It may begin with codes. They
 * count only if they say the same as the exit status, permanent or temporary; otherwise the line
 * is left out: a script's bug must not bounce mail.
 * With status 0, check_recipient may print a line "recipient ADDRESS": that address, as RCPT would
 * take it, stands for the one that was asked about. Nothing else of the output counts then. */
#ifndef SMTPIN_ADAPTERS_CHECK_H
#define SMTPIN_ADAPTERS_CHECK_H

#include "adapters/peer.h"
#include "config/config.h"
#include "io/child.h"

struct recorder;

/* What it is asked about; "client", "sender" or "recipient" in the command's SMTPIN_CHECK. */
enum check_kind { CHECK_CLIENT, CHECK_SENDER, CHECK_RECIPIENT };

struct check {
    enum check_kind kind;
    const struct config *config;
    const struct words *command;
    uint64_t timeout; /* milliseconds; then its process group is ended, which takes seconds more */
    const struct smtp_session *session;
    const struct peer *peer;
    struct span id;
    const struct smtp_recipient *recipient; /* NULL: none (check_client, check_sender) */
    struct recorder *recorder;              /* NULL: its end is not recorded */
    /* What the result points to; and, while it runs, its words and environment (RUN_MEMORY is
     * plenty). Too little of it is a deferral. */
    struct arena *arena;
};

struct check_result {
    struct smtp_verdict verdict; /* reply.rule is the setting's name */
    struct span recipient;       /* an address without brackets, terminated; empty: none */
    struct child_result child;
    struct span said, complained; /* first lines of its descriptors 1 and 2, for the log */
    /* Status 0, but an address that is none, or two of them, or too much output to look for one:
     * a deferral. */
    bool bad_output;
};

/* Runs it, and waits for its end. SIGCHLD must be blocked. */
void check_ask(const struct check *q, struct check_result *out);

#endif
