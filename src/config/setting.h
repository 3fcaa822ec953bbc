/* The keys of the configuration: for load.c. To add one: a row in setting.c, a field in config.h,
 * a default in load.c, a paragraph in smtpin.conf(5). */
#ifndef SMTPIN_CONFIG_SETTING_H
#define SMTPIN_CONFIG_SETTING_H

#include "config/config.h"

struct setting {
    struct span name;
    /* NULL, or what is wrong with the value; the value is terminated. */
    const char *(*set)(const struct setting *k, void *field, struct span value, struct arena *a);
    size_t field; /* offset in struct config */
    uint64_t least, most;
    const char *names;  /* of an enumeration, in order */
    bool only_override; /* not in the file */
    bool reaches_out;   /* names a program, a user or a file: not for a transcript of strangers */
    bool only_section;  /* only in the section of a socket that is not the one of port 25 */
};

enum { SETTING_MAX = 128 };

/* NULL when there is none of that name. */
const struct setting *setting_find(struct span name);
/* Each has its own, below SETTING_MAX. */
size_t setting_number(const struct setting *k);

#endif
