#include "commands/maildir_target.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct maildir_answer maildir_temporary_for(const char *path, const char *reason, const char *line)
{
    fprintf(stderr, "smtpin-maildir: %s: %s\n", path, reason);
    return (struct maildir_answer){.status = MAILDIR_TEMPORARY, .line = line};
}

struct maildir_answer maildir_temporary(const char *path, const char *line)
{
    return maildir_temporary_for(path, strerror(errno), line);
}

bool maildir_join(char *out, const struct maildir_target *t, const char *sub, const char *name)
{
    struct text path = {.p = out, .cap = PATH_MAX};

    text_adds(&path, t->maildir);
    if (sub[0] != '\0')
        text_addc(&path, '/');
    text_adds(&path, sub);
    if (name[0] != '\0')
        text_addc(&path, '/');
    text_adds(&path, name);
    text_string(&path);
    if (path.cut)
        errno = ENAMETOOLONG;
    return !path.cut;
}

bool maildir_flush(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool good = fd >= 0 && fsync(fd) == 0;
    const int error = errno;

    if (fd >= 0)
        close(fd);
    errno = error;
    return good;
}
