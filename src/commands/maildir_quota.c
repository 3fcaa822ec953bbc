#include "commands/maildir_quota.h"

#include "base/number.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* Octets of a maildirsize; one that is as large is no longer believed (Maildir++, "Calculating
     * the quota"). */
    FILE_MOST = 5120,
};

static const uint64_t number_most = (uint64_t)1 << 50;
/* Of what directories hold: file names may say anything, and a run still adds to it. */
static const int64_t sum_most = (int64_t)1 << 60;

/* "10000000S,1000C": octets and messages; either may be missing, and 0 is no limit. */
static bool parse_limits(struct span line, struct maildir_usage *u)
{
    struct span part;
    uint64_t number;

    line = span_trim(line);
    if (line.n == 0)
        return false;
    while (span_word(&line, ",", &part)) {
        part = span_trim(part);
        if (part.n == 0 ||
            number_parse(span_first(part, part.n - 1), number_most, &number) != NUMBER_OK)
            return false;
        if (part.p[part.n - 1] == 'S')
            u->most_size = number;
        else if (part.p[part.n - 1] == 'C')
            u->most_count = number;
        else
            return false;
    }
    return true;
}

/* A number with an optional minus sign is added to *sum. */
static bool add_signed(struct span word, int64_t *sum)
{
    const bool negative = word.n > 0 && word.p[0] == '-';
    uint64_t number;

    if (number_parse(span_from(word, negative), number_most, &number) != NUMBER_OK)
        return false;
    *sum += negative ? -(int64_t)number : (int64_t)number;
    return true;
}

/* Each line ends with a newline. The first has the limits, each of the others octets and messages
 * that came or, below zero, went. */
static bool parse_file(struct span text, struct maildir_usage *u)
{
    bool first = true;

    while (text.n > 0) {
        const size_t end = span_find(text, '\n');
        struct span line = span_first(text, end), word;

        if (end == text.n)
            return false;
        text = span_from(text, end + 1);
        if (first && !parse_limits(line, u))
            return false;
        if (!first && (!span_word(&line, " \t", &word) || !add_signed(word, &u->size) ||
                       !span_word(&line, " \t", &word) || !add_signed(word, &u->count) ||
                       span_trim(line).n > 0))
            return false;
        first = false;
    }
    return !first;
}

static int open_file(const struct maildir_target *t, int flags)
{
    char path[PATH_MAX];
    struct stat st;
    int fd;

    if (!maildir_join(path, t, "", "maildirsize"))
        return -1;
    fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* False: there is no maildirsize, or one that is none. *large: its lines are too many. */
static bool read_file(const struct maildir_target *t, struct maildir_usage *u, bool *large)
{
    struct maildir_usage found = {.read = true, .has_file = true};
    const int fd = open_file(t, O_RDONLY);
    char room[FILE_MOST];
    struct span text;
    size_t n = 0;
    ssize_t got = 1;

    if (fd < 0)
        return false;
    while (got != 0 && n < sizeof room) {
        got = read(fd, room + n, sizeof room - n);
        if (got < 0 && errno != EINTR)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    *large = n == sizeof room;
    text = (struct span){.p = room, .n = n};
    if (*large) /* the first line alone is still believed */
        text = span_first(text, span_find(text, '\n') + 1);
    if (got < 0 || !parse_file(text, &found))
        return false;
    *u = found;
    return true;
}

/* Is the message marked as deleted ("...:2,ST")? Maildir++ does not count it. */
static bool is_trashed(const char *name)
{
    const char *flags = strstr(name, ":2,");

    return flags != NULL && strchr(flags, 'T') != NULL;
}

/* Adds the files of a directory to *u, their sizes from the ",S=" of the names where they have it.
 * False when the directory is there and can't be read. */
static bool count_directory(const char *path, struct maildir_usage *u)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    struct stat st;

    if (d == NULL)
        return errno == ENOENT;
    while ((entry = readdir(d)) != NULL) {
        const char *mark = strstr(entry->d_name, ",S=");
        const struct span digits = span_first(span_of(mark == NULL ? "" : mark + 3),
                                              mark == NULL ? 0 : strspn(mark + 3, "0123456789"));
        uint64_t size;

        if (entry->d_name[0] == '.' || (u->has_file && is_trashed(entry->d_name)))
            continue;
        if (number_parse(digits, number_most, &size) != NUMBER_OK) {
            if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                continue;
            size = (uint64_t)st.st_size;
        }
        if (size > (uint64_t)(sum_most - u->size))
            size = (uint64_t)(sum_most - u->size);
        u->size += (int64_t)size;
        u->count++;
    }
    closedir(d);
    return true;
}

/* new/ and cur/ of the Maildir, or of one of its folders. */
static bool count_maildir(const struct maildir_target *t, const char *folder,
                          struct maildir_usage *u)
{
    static const char *const subs[] = {"new", "cur"};

    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX];

        if (folder[0] == '\0' ? !maildir_join(path, t, subs[i], "")
                              : !maildir_join(path, t, folder, subs[i]))
            return false;
        if (!count_directory(path, u))
            return false;
    }
    return true;
}

/* The folders of a Maildir++ are its directories with a dot at the front; what is in .Trash does
 * not count. */
static bool count_folders(const struct maildir_target *t, struct maildir_usage *u)
{
    DIR *d = opendir(t->maildir);
    const struct dirent *entry;
    bool good = d != NULL;

    while (good && (entry = readdir(d)) != NULL)
        if (entry->d_name[0] == '.' && entry->d_name[1] != '\0' && entry->d_name[1] != '.' &&
            (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
            strcmp(entry->d_name, ".Trash") != 0)
            good = count_maildir(t, entry->d_name, u) || errno == ENOTDIR;
    if (d != NULL)
        closedir(d);
    return good;
}

/* What the directories say goes before what was thought, where all of them can be read. */
static void count(const struct maildir_target *t, struct maildir_usage *u)
{
    struct maildir_usage found = *u;

    found.size = u->pending_size;
    found.count = u->pending_count;
    found.counted = true;
    if (count_maildir(t, "", &found) && (!u->has_file || count_folders(t, &found)))
        *u = found;
    u->counted = true;
}

static void read_usage(const struct maildir_options *o, const struct maildir_target *t,
                       struct maildir_usage *u)
{
    bool large = false;

    if (!read_file(t, u, &large)) {
        *u = (struct maildir_usage){.read = true, .most_size = o->quota};
        large = o->quota > 0;
    }
    if (large || u->size < 0 || u->count < 0)
        count(t, u);
}

static bool has_room(const struct maildir_usage *u, uint64_t size)
{
    return (u->most_size == 0 || u->size + (int64_t)size <= (int64_t)u->most_size) &&
           (u->most_count == 0 || u->count + 1 <= (int64_t)u->most_count);
}

static void set_pending(struct maildir_target *t, bool pending)
{
    const int more = (int)pending - (int)t->pending;

    t->pending = pending;
    t->usage->pending_size += more * (int64_t)t->room;
    t->usage->pending_count += more;
}

bool maildir_quota_take(const struct maildir_options *o, struct maildir_target *t, uint64_t size)
{
    struct maildir_usage *u = t->usage;

    t->room = size;
    if (!u->read)
        read_usage(o, t, u);
    if (!has_room(u, t->room) && !u->counted)
        count(t, u); /* the file may be stale */
    if (!has_room(u, t->room))
        return false;
    u->size += (int64_t)t->room;
    u->count++;
    t->took_room = true;
    set_pending(t, true);
    return true;
}

/* One write to the end of the file: several programs may add to it at once. One that fails is left
 * to the next who counts. */
static bool add_line(const struct maildir_target *t, const char *sign)
{
    const int fd = open_file(t, O_WRONLY | O_APPEND);
    char line[64];
    const int n =
        snprintf(line, sizeof line, "%s%llu %s1\n", sign, (unsigned long long)t->room, sign);
    bool good;

    if (fd < 0)
        return false;
    good = write(fd, line, (size_t)n) == n;
    close(fd);
    return good;
}

void maildir_quota_stored(struct maildir_target *t)
{
    set_pending(t, false);
    t->noted = t->usage->has_file && add_line(t, "");
}

void maildir_quota_undo(struct maildir_target *t)
{
    struct maildir_usage *u = t->usage;

    if (!t->took_room)
        return;
    u->size -= (int64_t)t->room;
    u->count--;
    t->took_room = false;
    set_pending(t, false);
    if (t->noted)
        add_line(t, "-");
    t->noted = false;
}
