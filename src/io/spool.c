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

enum { ROUND = 64 * 1024 }; /* see round_end */

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
    s->whole = false;
    if (expected <= s->memory)
        return true;
    s->fd = open_file(s->dir);
    s->in_file = true;
    return s->fd >= 0;
}

/* The octets of `from` between these two to the end of `to`, within the kernel. */
static bool append(int to, int from, uint64_t begin, uint64_t n)
{
    off_t at = (off_t)begin;

    while ((uint64_t)at < n) {
        const ssize_t sent = sendfile(to, from, &at, (size_t)(n - (uint64_t)at));

        if (sent == 0)
            errno = EIO;
        if (sent == 0 || (sent < 0 && errno != EINTR))
            return false;
    }
    return true;
}

/* Moves what the memfd holds into a file. */
static bool leave_memory(struct spool *s, uint64_t written)
{
    const int file = open_file(s->dir);

    if (file < 0)
        return false;
    if (!append(file, s->fd, 0, written) || lseek(file, 0, SEEK_SET) != 0) {
        const int why = errno;

        close(file);
        errno = why;
        return false;
    }
    close(s->fd);
    s->fd = file;
    s->in_file = true;
    return true;
}

/* The first n octets of the buffer; the others become its first. */
static bool write_out(struct spool *s, size_t n)
{
    const uint64_t before = s->size - s->filled;
    size_t done = 0;

    if (s->fd < 0) {
        s->in_file = s->size > s->memory;
        s->fd = s->in_file ? open_file(s->dir) : memfd_create("smtpin message", MFD_CLOEXEC);
    } else if (!s->in_file && s->size > s->memory && !leave_memory(s, before)) {
        return false;
    }
    if (s->fd < 0)
        return false;
    while (done < n) {
        /* At its place: the offset stays at 0, where the command begins to read. */
        const ssize_t got = pwrite(s->fd, s->buffer + done, n - done, (off_t)(before + done));

        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            return false;
    }
    s->whole = before == 0 && n == s->size;
    s->filled -= n;
    memmove(s->buffer, s->buffer + n, s->filled);
    return true;
}

/* How much of the buffer to write so that the next write begins at a round place. A file system
 * takes that in large pieces, and what begins an octet beside it in many small ones; the decoder
 * may leave the buffer's last octet free. */
static size_t round_end(const struct spool *s)
{
    const size_t over = s->size % ROUND;

    return over < s->filled ? s->filled - over : s->filled;
}

char *spool_room(struct spool *s, size_t *room)
{
    if (s->cap - s->filled < 2 && !write_out(s, round_end(s)))
        return NULL;
    *room = s->cap - s->filled;
    return s->buffer + s->filled;
}

char *spool_piece(struct spool *s, size_t n)
{
    if (s->cap - s->filled < n && !write_out(s, round_end(s)))
        return NULL;
    return s->buffer + s->filled;
}

void spool_add(struct spool *s, size_t n)
{
    s->filled += n;
    s->size += n;
}

void spool_insert(struct spool *s, size_t place, struct span bytes)
{
    memmove(s->buffer + place + bytes.n, s->buffer + place, s->filled - place);
    memcpy(s->buffer + place, bytes.p, bytes.n);
    spool_add(s, bytes.n);
}

int spool_finish(struct spool *s)
{
    return write_out(s, s->filled) ? s->fd : -1;
}

struct span spool_start(const struct spool *s, size_t from, char *room, size_t n)
{
    ssize_t got;

    if (s->whole)
        return span_first(span_from((struct span){.p = s->buffer, .n = s->size}, from), n);
    got = pread(s->fd, room, n, (off_t)from);
    return (struct span){.p = room, .n = got > 0 ? (size_t)got : 0};
}

static bool write_whole(int fd, struct span bytes)
{
    while (bytes.n > 0) {
        const ssize_t n = write(fd, bytes.p, bytes.n);

        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        bytes = span_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* A new one, with `head` in the place of the first n octets. */
static int copy_behind(const struct spool *s, uint64_t n, struct span head)
{
    const int fd = s->in_file ? open_file(s->dir) : memfd_create("smtpin message", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (write_whole(fd, head) && append(fd, s->fd, n, s->size) && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -1;
}

int spool_copy(const struct spool *s, struct span head)
{
    char name[64];
    struct text path = TEXT(name);
    int fd;

    text_adds(&path, "/proc/self/fd/");
    text_addn(&path, (uint64_t)s->fd, 1);
    /* Opened anew, the same file has an offset of its own, and nobody's writing is needed. */
    if (head.n == 0 && (fd = open(text_string(&path), O_RDONLY | O_CLOEXEC)) >= 0)
        return fd;
    return copy_behind(s, 0, head);
}

bool spool_replace(struct spool *s, uint64_t n, struct span head)
{
    const int fd = copy_behind(s, n, head);

    if (fd < 0)
        return false;
    close(s->fd);
    s->fd = fd;
    s->size += head.n - n;
    s->whole = false;
    return true;
}

void spool_close(struct spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
