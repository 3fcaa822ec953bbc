/* What smtpin-tls says of itself: lines on standard error. */
#ifndef SMTPIN_COMMANDS_TLS_REPORT_H
#define SMTPIN_COMMANDS_TLS_REPORT_H

#include <syslog.h>

/* One line "smtpin-tls: TEXT". Where standard error is the journal, its priority (LOG_ERR,
 * LOG_WARNING, LOG_NOTICE) stands before it, as sd-daemon(3) has it. Control characters of the text
 * are replaced. */
__attribute__((format(printf, 2, 3))) void report(int priority, const char *format, ...);

#endif
