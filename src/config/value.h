/* The values of settings: what each kind of value must look like, and how it is written. */
#ifndef SMTPIN_CONFIG_VALUE_H
#define SMTPIN_CONFIG_VALUE_H

#include "config/setting.h"

enum {
    /* What value_show writes at the most: a command's words, each octet with a '\' before it. */
    VALUE_TEXT_MAX = 3 * CONFIG_FILE_MAX,
};

/* Sets that setting in *c. The value is terminated, and must outlive *c; it has no blanks around
 * it. NULL, or what is wrong with it (in the arena, or constant). */
const char *value_set(const struct setting *k, struct config *c, struct span value,
                      struct arena *a);
/* The value that *c has, as it would be written in the file. The text is cut where it is too
 * small. */
void value_show(const struct setting *k, const struct config *c, struct text *out);

#endif
