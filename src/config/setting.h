/* The keys of the configuration. To add one: a row in setting.c, a field in config.h, a default in
 * load.c, a paragraph in smtpin.conf(5). What their values look like: value.c. */
#ifndef SMTPIN_CONFIG_SETTING_H
#define SMTPIN_CONFIG_SETTING_H

#include "config/config.h"

/* What a value is, and the type of its field. */
enum setting_kind {
    VALUE_NUMBER,    /* uint64_t */
    VALUE_SIZE,      /* uint64_t: octets */
    VALUE_TIME,      /* uint64_t: milliseconds */
    VALUE_BOOL,      /* bool */
    VALUE_NORMALIZE, /* bool */
    VALUE_CHOICE,    /* uint64_t: the place of one of `names` */
    VALUE_FLAGS,     /* uint64_t: a bit for each of `names` */
    VALUE_TEXT,      /* struct span, as all down to VALUE_SOCKET */
    VALUE_DIRECTORY,
    VALUE_HOSTNAME,
    VALUE_DOMAINS,
    VALUE_CONFINE,  /* a list: syntax/confine.h */
    VALUE_NETWORKS, /* a list, with words of `names` among them */
    VALUE_ADDRESS,
    VALUE_TABLE,        /* empty, or syntax/table_source.h */
    VALUE_SERVERS,      /* a list: syntax/policy_server.h */
    VALUE_OPINION,      /* "DUNNO", or smtp_result_of_words */
    VALUE_CERTIFICATES, /* with commas: "self-signed", or one or two absolute paths */
    VALUE_TLS_OPTIONS,  /* a list: NAME=VALUE */
    VALUE_SOCKET,       /* struct span; load.c sets it before it reads the file */
    VALUE_COMMAND,      /* struct words; with `least` it can't be empty */
    VALUE_AUTH,         /* struct config_auth: empty, dovecot:PATH, checkpassword:COMMAND */
    VALUE_EXIT_MAP,     /* struct smtp_exit_map */
};

struct setting {
    struct tag name;
    enum setting_kind kind;
    size_t field; /* offset in struct config: of the type that its kind says */
    uint64_t least, most;
    char names[48];     /* of an enumeration, in order; no pointer: none is relocated at a start */
    bool only_override; /* not in the file */
    bool reaches_out;   /* names a program, a user or a file: not for a transcript of strangers */
    bool repeats;       /* may be set more than once: all values count, with commas between */
    bool only_section;  /* only in the section of a socket that is not the one of port 25 */
};

/* NULL when there is none of that name. */
const struct setting *setting_find(struct span name);
/* Each has its own: from 0, in the order of their names, below setting_count(). */
size_t setting_number(const struct setting *k);
const struct setting *setting_at(size_t number);
size_t setting_count(void);

#endif
