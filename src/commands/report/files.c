#include "commands/report/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a file that is replaced has; a new one, what the umask leaves. -1: it is no file. */
static int mode_of(const char *path, bool is_secret)
{
    struct stat st;
    mode_t mask;

    if (is_secret)
        return 0600;
    if (lstat(path, &st) == 0)
        return S_ISREG(st.st_mode) ? (int)(st.st_mode & 0777) : -1;
    mask = umask(0);
    (void)umask(mask);
    return 0666 & ~(int)mask;
}

bool files_begin(struct new_file *f, const char *path, bool is_secret)
{
    const int n = snprintf(f->beside, sizeof f->beside, "%s.XXXXXX", path);
    const int mode = mode_of(path, is_secret);
    int fd;

    f->path = path;
    f->out = NULL;
    if (n < 0 || (size_t)n >= sizeof f->beside) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (mode < 0) {
        errno = EINVAL; /* a device, a pipe or a link would be gone */
        return false;
    }
    fd = mkostemp(f->beside, O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fchmod(fd, (mode_t)mode) == 0)
        f->out = fdopen(fd, "w");
    if (f->out == NULL) {
        close(fd);
        unlink(f->beside);
    }
    return f->out != NULL;
}

void files_give_up(struct new_file *f)
{
    if (f->out != NULL)
        (void)fclose(f->out);
    f->out = NULL;
    unlink(f->beside);
}

bool files_finish(struct new_file *f)
{
    const bool good = fflush(f->out) == 0 && ferror(f->out) == 0 && fsync(fileno(f->out)) == 0;

    if (!good) {
        const int error = errno;

        files_give_up(f);
        errno = error;
        return false;
    }
    (void)fclose(f->out);
    f->out = NULL;
    if (rename(f->beside, f->path) == 0)
        return true;
    files_give_up(f);
    return false;
}

bool files_read(const char *path, struct text *all)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    ssize_t n;

    all->n = 0;
    if (fd < 0)
        return errno == ENOENT;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        errno = EINVAL;
        return false;
    }
    while (all->n < all->cap && (n = read(fd, all->p + all->n, all->cap - all->n)) != 0) {
        if (n < 0 && errno != EINTR) {
            const int error = errno;

            close(fd);
            errno = error;
            return false;
        }
        all->n += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    errno = EFBIG;
    return all->n < all->cap;
}
