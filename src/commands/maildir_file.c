#include "commands/maildir_file.h"

#include "base/text.h"
#include "commands/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    ATTEMPTS = 10,
    DESCRIPTORS = 16,      /* that are kept free for everything else */
    SWEEP_MOST = 10000,    /* names in tmp/ that are looked at in one run */
    OLD = 36 * 60 * 60,    /* seconds */
    RENAME_NO_REPLACE = 1, /* RENAME_NOREPLACE of renameat2(2), which musl 1.2.3 does not have */
};

static const char cannot_write[] = "451 4.3.0 Mailbox can't be written";

/* A name that nobody else makes (maildir(5)): time, process, count, host. */
static void make_base(const struct maildir_options *o, struct maildir_target *t)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(t->base, sizeof t->base, "%lld.M%ldP%ldQ%u.%.150s", (long long)now.tv_sec,
             now.tv_nsec / 1000, (long)getpid(), t->number, o->host);
}

/* Which file the descriptor is, to know it again by any name. */
static bool remember(struct maildir_target *t, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    t->dev = st.st_dev;
    t->ino = st.st_ino;
    return true;
}

static bool is_ours(const struct maildir_target *t, const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && st.st_dev == t->dev && st.st_ino == t->ino;
}

static void proc_path(char *out, int fd)
{
    snprintf(out, PATH_MAX, "/proc/self/fd/%d", fd);
}

/* A file in tmp/ without a name: a run that is killed leaves nothing. -1 where the file system
 * knows none, or where there is no /proc to give it a name from, or descriptors are few: each
 * recipient's stays open until all have theirs. */
static int open_nameless(struct maildir_target *t)
{
    char path[PATH_MAX];
    struct stat st;
    int fd;

    if (!maildir_join(path, t, "tmp", ""))
        return -1;
    fd = open(path, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    proc_path(path, fd);
    if (fd + DESCRIPTORS < sysconf(_SC_OPEN_MAX) && remember(t, fd) && stat(path, &st) == 0 &&
        st.st_dev == t->dev && st.st_ino == t->ino)
        return fd;
    close(fd);
    return -1;
}

/* A file in tmp/ with a name, t->in_tmp. -1 and errno. */
static int open_named(const struct maildir_options *o, struct maildir_target *t)
{
    char path[PATH_MAX];
    int fd = -1;

    for (int i = 0; fd < 0 && i < ATTEMPTS; i++) {
        make_base(o, t);
        if (!maildir_join(path, t, "tmp", t->base))
            return -1;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            return -1;
    }
    if (fd >= 0)
        memcpy(t->in_tmp, t->base, sizeof t->in_tmp);
    return fd;
}

static struct maildir_answer not_written(const struct maildir_target *t)
{
    return maildir_temporary(t->maildir, errno == ENOSPC || errno == EDQUOT || errno == EFBIG
                                             ? "452 4.2.2 No room for the message"
                                             : cannot_write);
}

static struct maildir_answer write_named(const struct maildir_options *o, struct maildir_target *t,
                                         int from)
{
    const int fd = open_named(o, t);
    bool good;
    int error;

    if (fd < 0)
        return not_written(t);
    good = copy_all(from, fd, &t->size) && fsync(fd) == 0 && remember(t, fd);
    error = errno;
    if (close(fd) < 0 && good)
        return not_written(t);
    errno = error;
    return good ? MAILDIR_DELIVERED : not_written(t);
}

struct maildir_answer maildir_write(const struct maildir_options *o, struct maildir_target *t,
                                    int from)
{
    t->fd = open_nameless(t);
    if (t->fd < 0)
        return write_named(o, t, from);
    make_base(o, t);
    if (!copy_all(from, t->fd, &t->size) || fsync(t->fd) < 0)
        return not_written(t);
    return MAILDIR_DELIVERED;
}

/* link(2), which never takes the place of another file. Over NFS the answer of a call that was done
 * may be lost, and that of its repetition be EEXIST, or EIO: whose file has the name decides. */
static bool link_to(const struct maildir_target *t, const char *to)
{
    char from[PATH_MAX];
    int error;

    if (t->fd >= 0) {
        proc_path(from, t->fd);
        if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
            return true;
    } else if (!maildir_join(from, t, "tmp", t->in_tmp)) {
        return false;
    } else if (link(from, to) == 0) {
        return true;
    }
    error = errno;
    if (is_ours(t, to))
        return true;
    errno = error;
    return false;
}

/* For file systems without links. Where the flag is not known either, the name is ours alone all
 * the same: it belongs to the file in tmp/, which was made with O_EXCL. */
static bool rename_to(const struct maildir_target *t, const char *to)
{
    char from[PATH_MAX];
    struct stat st;
    int error;

    if (!maildir_join(from, t, "tmp", t->in_tmp))
        return false;
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NO_REPLACE) == 0)
        return true;
    error = errno;
    if (error == EINVAL || error == ENOSYS) {
        if (lstat(to, &st) == 0)
            error = EEXIST;
        else if (errno == ENOENT && rename(from, to) == 0)
            return true;
        else
            error = errno;
    }
    if (is_ours(t, to))
        return true;
    errno = error;
    return false;
}

/* Can link(2) not do it here, whatever the names are? (ENOENT: /proc has gone.) */
static bool has_no_links(const struct maildir_target *t)
{
    return errno == ENOSYS || errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP ||
           (errno == ENOENT && t->fd >= 0);
}

static void close_nameless(struct maildir_target *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

/* The size goes into the name (Maildir++), and the mark. */
static bool name_in_new(const struct maildir_options *o, struct maildir_target *t, char *to)
{
    struct text name = TEXT(t->name);

    text_adds(&name, t->base);
    text_adds(&name, ",S=");
    text_addn(&name, t->size, 1);
    text_adds(&name, o->digest[0] == '\0' ? "" : ",D=");
    text_adds(&name, o->digest);
    text_string(&name);
    return maildir_join(to, t, "new", t->name);
}

static struct maildir_answer give_name(const struct maildir_options *o, struct maildir_target *t,
                                       int from)
{
    char to[PATH_MAX];
    bool good = name_in_new(o, t, to) && link_to(t, to);

    for (int i = 0; !good && errno == EEXIST && t->fd >= 0 && i < ATTEMPTS; i++) {
        make_base(o, t);
        good = name_in_new(o, t, to) && link_to(t, to);
    }
    if (!good && t->fd >= 0 && has_no_links(t)) {
        struct maildir_answer answer;

        close_nameless(t);
        answer = write_named(o, t, from);
        if (answer.status != 0)
            return answer;
        good = name_in_new(o, t, to) && link_to(t, to);
    }
    if (!good && has_no_links(t))
        good = rename_to(t, to);
    return good ? MAILDIR_DELIVERED : maildir_temporary(to, cannot_write);
}

static void remove_tmp(struct maildir_target *t)
{
    char path[PATH_MAX];

    if (t->in_tmp[0] != '\0' && maildir_join(path, t, "tmp", t->in_tmp))
        unlink(path);
    t->in_tmp[0] = '\0';
}

struct maildir_answer maildir_publish(const struct maildir_options *o, struct maildir_target *t,
                                      int from)
{
    struct maildir_answer answer;
    char path[PATH_MAX];

    if (copy_must_end()) {
        errno = EINTR;
        return not_written(t);
    }
    answer = give_name(o, t, from);
    if (answer.status != 0)
        return answer;
    t->in_new = true;
    remove_tmp(t);
    close_nameless(t);
    return maildir_join(path, t, "new", "") && maildir_flush(path)
               ? MAILDIR_DELIVERED
               : maildir_temporary(path, cannot_write);
}

void maildir_undo(struct maildir_target *t)
{
    char path[PATH_MAX];

    /* A link that was not acknowledged may be there all the same. */
    if (t->name[0] != '\0' && maildir_join(path, t, "new", t->name) &&
        (t->in_new || is_ours(t, path)))
        unlink(path);
    t->in_new = false;
    remove_tmp(t);
    close_nameless(t);
}

/* Takes digits with a prefix off the front of *name. */
static bool take_number(const char **name, const char *prefix)
{
    const size_t n = strlen(prefix);
    size_t digits;

    if (strncmp(*name, prefix, n) != 0)
        return false;
    digits = strspn(*name + n, "0123456789");
    *name += n + digits;
    return digits > 0;
}

static bool is_base(const char *name)
{
    return take_number(&name, "") && take_number(&name, ".M") && take_number(&name, "P") &&
           take_number(&name, "Q") && name[0] == '.' && name[1] != '\0' &&
           strpbrk(name, ",:") == NULL;
}

void maildir_sweep(const struct maildir_target *t)
{
    char path[PATH_MAX];
    DIR *d = maildir_join(path, t, "tmp", "") ? opendir(path) : NULL;
    const time_t now = time(NULL);
    const struct dirent *entry;
    struct stat st;

    for (int i = 0; d != NULL && i < SWEEP_MOST && (entry = readdir(d)) != NULL; i++)
        if (is_base(entry->d_name) &&
            fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && st.st_mtime < now - OLD)
            unlinkat(dirfd(d), entry->d_name, 0);
    if (d != NULL)
        closedir(d);
}
