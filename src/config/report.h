/* What is wrong with the configuration, with the place where the setting was made. */
#ifndef SMTPIN_CONFIG_REPORT_H
#define SMTPIN_CONFIG_REPORT_H

#include "config/config.h"

/* Where a setting was made. */
struct config_origin {
    const char *file;    /* its name, or "-o"; NULL: nowhere, it has its default */
    unsigned line;       /* or which of the -o */
    struct span section; /* of the file; empty: none */
};

/* Where mistakes go (say = NULL: nowhere): the file's name or "-o", its line (0: none), the key.
 * `smtpin --check` alone is also told what others have found: file = NULL. */
struct config_report {
    void (*say)(void *context, const char *file, unsigned line, struct span key, const char *what);
    void *context;
    /* NULL, or of each setting (setting_number) where it was made: CONFIG_SETTINGS_MAX, the
     * caller's. config_load writes them; config_complain tells of them. */
    struct config_origin *origin;
};

/* Reports what is wrong with a setting of a configuration that was read: with the place where it
 * was made, or "setup" where it was made nowhere or that is not known. */
void config_complain(const struct config_report *report, struct span key, const char *what);
/* The same of a setting that does not go together with another one. Where both were made, the
 * other's place is named too; where the first was not, the other's stands for it. */
void config_complain_of_both(const struct config_report *report, struct span key, struct span other,
                             const char *what);

#endif
