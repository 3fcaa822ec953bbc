#include "io/spool.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

static int open_file(const char *dir)
{
    char name[PATH_MAX];
    struct text path = TEXT(name);
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    /* A file system without O_TMPFILE: a name, for as long as it takes to remove it. */
    text_adds(&path, dir);
    text_adds(&path, "/smtpin.XXXXXX");
    text_string(&path);
    if (path.cut) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

bool spool_open(struct spool *s, uint64_t expected)
{
    s->fd = -1;
    s->in_file = false;
    s->filled = 0;
    s->size = 0;
    if (expected <= s->memory)
        return true;
    s->fd = open_file(s->dir);
    s->in_file = true;
    return s->fd >= 0;
}

/* Moves what the memfd holds into a file. */
static bool leave_memory(struct spool *s, uint64_t written)
{
    const int file = open_file(s->dir);
    off_t at = 0;

    while (file >= 0 && (uint64_t)at < written) {
        const ssize_t n = sendfile(file, s->fd, &at, (size_t)(written - (uint64_t)at));

        if (n == 0)
            errno = EIO;
        if (n == 0 || (n < 0 && errno != EINTR)) {
            const int why = errno;

            close(file);
            errno = why;
            return false;
        }
    }
    if (file < 0)
        return false;
    close(s->fd);
    s->fd = file;
    s->in_file = true;
    return true;
}

static bool write_out(struct spool *s)
{
    size_t done = 0;

    if (s->fd < 0) {
        s->in_file = s->size > s->memory;
        s->fd = s->in_file ? open_file(s->dir) : memfd_create("smtpin message", MFD_CLOEXEC);
    } else if (!s->in_file && s->size > s->memory && !leave_memory(s, s->size - s->filled)) {
        return false;
    }
    if (s->fd < 0)
        return false;
    while (done < s->filled) {
        const ssize_t n = write(s->fd, s->buffer + done, s->filled - done);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return false;
    }
    s->filled = 0;
    return true;
}

char *spool_room(struct spool *s, size_t *room)
{
    if (s->cap - s->filled < 2 && !write_out(s))
        return NULL;
    *room = s->cap - s->filled;
    return s->buffer + s->filled;
}

void spool_add(struct spool *s, size_t n)
{
    s->filled += n;
    s->size += n;
}

bool spool_write(struct spool *s, struct span bytes)
{
    while (bytes.n > 0) {
        size_t room;
        char *at = spool_room(s, &room);

        if (at == NULL)
            return false;
        if (room > bytes.n)
            room = bytes.n;
        memcpy(at, bytes.p, room);
        spool_add(s, room);
        bytes = span_from(bytes, room);
    }
    return true;
}

int spool_finish(struct spool *s)
{
    if (!write_out(s) || lseek(s->fd, 0, SEEK_SET) != 0)
        return -1;
    return s->fd;
}

void spool_close(struct spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
