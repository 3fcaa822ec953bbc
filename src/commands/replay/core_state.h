/* The session of a replay in this process, from within: core.c, and core_feed.c for what the client
 * sends. */
#ifndef SMTPIN_COMMANDS_REPLAY_CORE_STATE_H
#define SMTPIN_COMMANDS_REPLAY_CORE_STATE_H

#include "adapters/auth.h"
#include "adapters/digest.h"
#include "adapters/head.h"
#include "adapters/proxied.h"
#include "adapters/rules.h"
#include "commands/replay/differences.h"
#include "commands/replay/transcript.h"
#include "smtp/session.h"

struct server {
    const struct transcript *transcript;
    struct arena *replay_arena;
    struct differences *differences;
    struct config config;
    struct peer peer;
    struct proxied proxied;
    struct smtp_xclient xclient;
    bool header_first, available; /* a PROXY header is still to come; the session may begin */
    struct smtp_session session;
    struct rules rules;
    struct rules_sources sources;
    struct auth auth;
    struct smtp_login login;
    struct smtp_line line;
    struct smtp_data data;
    struct arena arena, delivery;
    struct digest digest;
    struct smtp_recipient **recipient; /* room for all of them */
    char *copy;                        /* room for a message */
    struct text in, out, message;
    size_t head;      /* octets of trace fields in message */
    struct text late; /* fields that were added once the message was there */
    char late_room[HEAD_MAX];
    enum smtp_want want;
    bool greeted; /* the client has waited for the greeting */
    bool collecting, closed, ended;
    uint64_t taken; /* octets of the chunk */
    size_t runs, messages;
    char id_room[64];
    struct text id;
    char cipher_room[100];
    struct tls_facts tls;
};

struct head_facts core_facts(const struct server *s);
/* Take bytes for the step that wants them: a line, a message, a chunk. False: there are not enough.
 */
bool core_feed_line(struct server *s);
bool core_feed_data(struct server *s);
bool core_feed_chunk(struct server *s);
/* A greeting is held back until the client wants to see it, or speaks. False: neither so far. */
bool core_feed_greeting(struct server *s);

/* The session begins; before that, the PROXY header is taken, where there is to be one. False:
 * there is not enough of it. */
void core_open(struct server *s);
bool core_take_header(struct server *s);
/* The step of XCLIENT. */
enum smtp_want core_take_client(struct server *s);

#endif
