/* Files of the report's own: written whole or not at all, read whole or not at all. */
#ifndef SMTPIN_COMMANDS_REPORT_FILES_H
#define SMTPIN_COMMANDS_REPORT_FILES_H

#include "base/text.h"

#include <stdio.h>

enum { FILES_NAME_MAX = 4096 };

/* A file beside the one that it will replace, of mode 0644 (0600: `is_secret`). */
struct new_file {
    const char *path;
    char beside[FILES_NAME_MAX];
    FILE *out;
};

/* False: errno. */
bool files_begin(struct new_file *f, const char *path, bool is_secret);
/* It takes the place of what had its name; its content is on the disk before. */
bool files_finish(struct new_file *f);
void files_give_up(struct new_file *f);

/* A regular file of at most `all->cap` octets. A file that is not there is empty. False: errno, of
 * which EFBIG is a file that is too large. */
bool files_read(const char *path, struct text *all);

#endif
