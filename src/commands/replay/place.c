#include "commands/replay/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool place_make(char *room, bool everybody)
{
    const char *tmp = getenv("TMPDIR");
    char whole[PLACE_PATH_MAX];

    if (realpath(tmp == NULL || *tmp == '\0' ? "/tmp" : tmp, whole) == NULL)
        return false;
    if ((size_t)snprintf(room, PLACE_PATH_MAX, "%s/smtpin-replay.XXXXXX", whole) >=
        PLACE_PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    return mkdtemp(room) != NULL && (!everybody || chmod(room, 01777) == 0);
}

void place_remove(const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(directory);
}

bool place_is_plain(const char *directory)
{
    errno = EINVAL;
    return directory[strcspn(directory, " \t,\"#")] == '\0';
}

const char *place_file(struct text *path, const char *directory, struct span name)
{
    path->n = 0;
    text_adds(path, directory);
    text_addc(path, '/');
    text_add(path, name);
    return text_string(path);
}

const char *place_numbered(struct text *path, const char *directory, enum told_kind kind, size_t i,
                           const char *what)
{
    static const char *const kinds[] = {[TOLD_DELIVERY] = "delivery.",
                                        [TOLD_CHECK] = "check.",
                                        [TOLD_POLICY] = "policy.",
                                        [TOLD_AUTH] = "auth."};

    place_file(path, directory, span_of(kinds[kind]));
    text_addn(path, i, 1);
    text_addc(path, '.');
    text_adds(path, what);
    return text_string(path);
}

int place_create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

bool place_write(int fd, struct span bytes)
{
    while (bytes.n > 0) {
        const ssize_t n = write(fd, bytes.p, bytes.n);

        if (n <= 0)
            return false;
        bytes = span_from(bytes, (size_t)n);
    }
    return true;
}

bool place_put(const char *path, struct span bytes)
{
    static const struct timespec long_ago[2] = {{.tv_sec = 0}};
    char room[PLACE_PATH_MAX + 8];
    struct text unready = TEXT(room);
    int fd;
    bool good;

    text_adds(&unready, path);
    text_adds(&unready, ".new");
    fd = place_create(text_string(&unready));
    if (fd < 0)
        return false;
    /* --deliver: `user =` reads it. A table that was written just now may not be whole (table.h).
     */
    good = place_write(fd, bytes) && fchmod(fd, 0644) == 0 && futimens(fd, long_ago) == 0;
    return close(fd) == 0 && good && rename(unready.p, path) == 0;
}

bool place_read(const char *path, struct arena *a, struct span *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *p = a->base + a->used;
    size_t n = 0;
    ssize_t got = 1;

    if (fd < 0)
        return false;
    while (n < a->cap - a->used && (got = read(fd, p + n, a->cap - a->used - n)) > 0)
        n += (size_t)got;
    close(fd);
    *out = (struct span){.p = arena_get(a, n), .n = n};
    return got == 0;
}
