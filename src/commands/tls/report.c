#include "commands/tls/report.h"

#include "base/text.h"
#include "io/environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* JOURNAL_STREAM is DEVICE:INODE (systemd.exec(5)): inherited, it may be of another descriptor. */
static bool is_journal(void)
{
    const char *stream = environment_get("JOURNAL_STREAM");
    char ours[64];
    struct stat s;

    if (stream == NULL || fstat(STDERR_FILENO, &s) < 0)
        return false;
    snprintf(ours, sizeof ours, "%lu:%lu", (unsigned long)s.st_dev, (unsigned long)s.st_ino);
    return strcmp(ours, stream) == 0;
}

void report(int priority, const char *format, ...)
{
    char said[2000], room[4096];
    struct text line = TEXT(room);
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(said, sizeof said, format, args); /* NOLINT(clang-analyzer-valist.*) */
    va_end(args);
    if (n < 0)
        return;
    if (is_journal()) {
        text_addc(&line, '<');
        text_addn(&line, (uint64_t)priority, 1);
        text_addc(&line, '>');
    }
    text_add(&line, SPAN("smtpin-tls: "));
    text_add_escaped(&line, span_of(said), "");
    if (line.n == line.cap)
        line.n--;
    text_addc(&line, '\n');
    if (write(STDERR_FILENO, line.p, line.n) < 0)
        return; /* nobody reads it */
}
