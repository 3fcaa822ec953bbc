/* smtpin-maildir: a message on stdin into Maildirs, one for each recipient, all or none.
 *
 * Exit status 0 means that the message and its name are on the disk: written to tmp/, flushed,
 * linked into new/, the directory flushed too. On every other status no message is left behind.
 * See smtpin-maildir(1). */
#include "base/number.h"
#include "base/text.h"
#include "commands/copy.h"
#include "outside/maildir.h"
#include "smtp/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 64,
    EXIT_NO_USER = 67,
    EXIT_TEMPORARY = 75,
    ATTEMPTS = 10,
    RETRY_DAYS = 6,
    DIGEST_DIGITS = 16
};

struct options {
    bool with_domain; /* layout domain/user */
    bool create;
    bool replies;   /* a line for each recipient, each delivered for itself */
    uint64_t quota; /* octets, 0: none */
    struct span delimiter;
    const char *root;
    char digest[DIGEST_DIGITS + 1]; /* of SMTPIN_DIGEST; empty: none */
    char host[256];
};

struct target {
    char maildir[PATH_MAX];
    char name[NAME_MAX + 1];
    char repeat[PATH_MAX]; /* the copy that an earlier run has left; empty: none */
    bool in_tmp, in_new;
};

static int usage(void)
{
    fputs("usage: smtpin-maildir [-nr] [-l domain/user | -l user] [-d DELIMITER] [-q SIZE] "
          "DIRECTORY RECIPIENT...\n",
          stderr);
    return EXIT_USAGE;
}

/* The line on stdout is the reply (smtpin-delivery(7)); details go to stderr. */
static int temporary(const char *path, const char *reply)
{
    fprintf(stderr, "smtpin-maildir: %s: %s\n", path, strerror(errno));
    puts(reply);
    return EXIT_TEMPORARY;
}

static int no_user(void)
{
    puts("550 5.1.1 No such mailbox here");
    return EXIT_NO_USER;
}

/* One part of the path: a client's text becomes a name in our directory, and only a plain one. */
static bool add_component(struct text *path, struct span s)
{
    if (!maildir_is_name(s))
        return false;
    text_addc(path, '/');
    for (size_t i = 0; i < s.n; i++)
        text_addc(path, byte_lower(s.p[i]));
    return !path->cut;
}

static struct span without_extension(struct span local, struct span delimiter)
{
    for (size_t i = 1; i < local.n; i++)
        if (span_find(delimiter, local.p[i]) < delimiter.n)
            return span_first(local, i);
    return local;
}

static bool find_maildir(const struct options *o, const char *recipient, struct target *t)
{
    char line_room[1024], arena_room[4096];
    struct text line = TEXT(line_room), path = TEXT(t->maildir);
    struct arena arena = {.base = arena_room, .cap = sizeof arena_room};
    struct smtp_mailbox mailbox;
    struct span in;

    text_addc(&line, '<');
    text_adds(&line, recipient);
    text_addc(&line, '>');
    in = text_span(&line);
    if (line.cut || smtp_forward_path(&in, &arena, &mailbox, NULL) != SMTP_PATH_OK || in.n > 0)
        return false;
    text_adds(&path, o->root);
    if (o->with_domain && !add_component(&path, mailbox.domain))
        return false;
    if (!add_component(&path, without_extension(mailbox.local, o->delimiter)))
        return false;
    text_string(&path);
    return !path.cut && path.n + NAME_MAX + sizeof "/new/" < PATH_MAX;
}

static bool join(char *out, const struct target *t, const char *sub, const char *name)
{
    struct text path = {.p = out, .cap = PATH_MAX};

    text_adds(&path, t->maildir);
    text_addc(&path, '/');
    text_adds(&path, sub);
    if (name[0] != '\0')
        text_addc(&path, '/');
    text_adds(&path, name);
    text_string(&path);
    return !path.cut;
}

static bool flush_directory(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool good = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

/* Makes a directory, and its name safe on the disk. */
static bool make_directory(char *path)
{
    char *slash = strrchr(path, '/');

    if (mkdir(path, 0700) < 0)
        return errno == EEXIST;
    *slash = '\0';
    flush_directory(slash == path ? "/" : path);
    *slash = '/';
    return true;
}

/* tmp, new and cur, and what is above them up to the root, which must be there. */
static bool make_maildir(const struct options *o, const struct target *t)
{
    static const char *const subs[] = {"tmp", "cur", "new"};
    char path[PATH_MAX];
    struct stat st;

    if (join(path, t, "new", "") && stat(path, &st) == 0)
        return true;
    for (size_t i = strlen(o->root) + 1; t->maildir[i] != '\0'; i++)
        if (t->maildir[i] == '/') {
            memcpy(path, t->maildir, i);
            path[i] = '\0';
            if (!make_directory(path))
                return false;
        }
    strcpy(path, t->maildir);
    if (!make_directory(path))
        return false;
    for (size_t i = 0; i < 3; i++)
        if (!join(path, t, subs[i], "") || !make_directory(path))
            return false;
    return true;
}

/* The octets in one directory, from the ",S=" of the names where they have it (Maildir++). */
static uint64_t directory_size(const struct target *t, const char *sub)
{
    char path[PATH_MAX];
    DIR *d = join(path, t, sub, "") ? opendir(path) : NULL;
    uint64_t sum = 0, size;
    struct dirent *entry;
    struct stat st;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        const char *mark = strstr(entry->d_name, ",S=");
        const struct span digits = span_first(span_of(mark == NULL ? "" : mark + 3),
                                              mark == NULL ? 0 : strspn(mark + 3, "0123456789"));

        if (entry->d_name[0] == '.')
            continue;
        if (number_parse(digits, (uint64_t)1 << 50, &size) == NUMBER_OK)
            sum += size;
        else if (fstatat(dirfd(d), entry->d_name, &st, 0) == 0)
            sum += (uint64_t)st.st_size;
    }
    if (d != NULL)
        closedir(d);
    return sum;
}

/* A name that nobody else makes (the Maildir convention): time, process, count, host. */
static void make_name(const struct options *o, struct target *t, unsigned count)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(t->name, sizeof t->name, "%lld.M%ldP%ldQ%u.%.150s", (long long)now.tv_sec,
             now.tv_nsec / 1000, (long)getpid(), count, o->host);
}

/* The message into tmp/, flushed. 0, or an exit status. */
static int write_tmp(const struct options *o, struct target *t, unsigned count, int from)
{
    char path[PATH_MAX];
    uint64_t size = 0;
    size_t n;
    bool good;
    int fd = -1;

    for (int i = 0; fd < 0 && i < ATTEMPTS; i++) {
        make_name(o, t, count);
        if (!join(path, t, "tmp", t->name))
            return no_user();
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0)
        return temporary(path, "451 4.3.0 Mailbox can't be written");
    t->in_tmp = true;
    good = copy_all(from, fd, &size) && fsync(fd) == 0;
    if (close(fd) < 0 || !good)
        return temporary(path, errno == ENOSPC || errno == EDQUOT || errno == EFBIG
                                   ? "452 4.2.2 No room for the message"
                                   : "451 4.3.0 Mailbox can't be written");
    if (o->quota > 0 && directory_size(t, "new") + directory_size(t, "cur") + size > o->quota) {
        puts("452 4.2.2 Mailbox full");
        return EXIT_TEMPORARY;
    }
    n = strlen(t->name);
    /* The size goes into the name in new/; in tmp/ the file keeps its own. */
    snprintf(t->name + n, sizeof t->name - n, ",S=%llu%s%s", (unsigned long long)size,
             o->digest[0] == '\0' ? "" : ",D=", o->digest);
    return 0;
}

static void tmp_path(const struct target *t, char *path)
{
    char name[NAME_MAX + 1];

    strcpy(name, t->name);
    name[strcspn(name, ",")] = '\0';
    join(path, t, "tmp", name);
}

static int publish(struct target *t)
{
    char from[PATH_MAX], to[PATH_MAX];

    tmp_path(t, from);
    join(to, t, "new", t->name);
    /* link, not rename: it never takes the place of another message. Where the file system has no
     * links, the name is unique all the same. */
    if (link(from, to) < 0 && ((errno != EPERM && errno != EOPNOTSUPP) || rename(from, to) < 0))
        return temporary(to, "451 4.3.0 Mailbox can't be written");
    t->in_new = true;
    unlink(from);
    t->in_tmp = false;
    join(to, t, "new", "");
    return flush_directory(to) ? 0 : temporary(to, "451 4.3.0 Mailbox can't be written");
}

static void undo(const struct target *t)
{
    char path[PATH_MAX];

    if (t->in_tmp) {
        tmp_path(t, path);
        unlink(path);
    }
    if (t->in_new && join(path, t, "new", t->name))
        unlink(path);
}

/* Is there a mailbox for each recipient? 0; 67 when there is none for any of them; 75 when there is
 * for some: one bad address must not bounce the others' mail. */
static int find_all(const struct options *o, char **recipients, struct target *targets, unsigned n)
{
    unsigned unknown = 0;

    for (unsigned i = 0; i < n; i++) {
        char path[PATH_MAX];
        struct stat st;

        if (!find_maildir(o, recipients[i], &targets[i]) ||
            (!o->create && join(path, &targets[i], "new", "") && stat(path, &st) < 0 &&
             errno == ENOENT))
            unknown++;
    }
    if (unknown == 0)
        return 0;
    if (unknown == n)
        return no_user();
    puts("451 4.1.1 No such mailbox here for one of the recipients");
    return EXIT_TEMPORARY;
}

/* Each recipient's copy is in its tmp/ before any is in new/. */
static int deliver(const struct options *o, char **recipients, struct target *targets, unsigned n,
                   int from)
{
    int status = find_all(o, recipients, targets, n);

    for (unsigned i = 0; status == 0 && i < n; i++) {
        struct target *t = &targets[i];

        if (!make_maildir(o, t))
            return temporary(t->maildir, "451 4.3.0 Mailbox can't be made");
        status = write_tmp(o, t, i, from);
    }
    /* From here on the mail is safe where it is published, and gone again if one is not. */
    for (unsigned i = 0; status == 0 && i < n; i++)
        status = publish(&targets[i]);
    return status;
}

/* Young enough to be what a client tries to send again? A name begins with its time. */
static bool is_recent(const char *name)
{
    const time_t now = time(NULL);
    uint64_t then;

    return number_parse(span_first(span_of(name), strspn(name, "0123456789")), UINT32_MAX, &then) ==
               NUMBER_OK &&
           (time_t)then > now - RETRY_DAYS * 24 * 60 * 60;
}

/* Has an earlier run left this message here, and told the client to come again for others' sake?
 * Its digest is in the name then, in new/ or, read, in cur/. It counts once its directory is
 * flushed. */
static bool is_repeat(const struct options *o, struct target *t)
{
    static const char *const subs[] = {"new", "cur"};
    char mark[sizeof o->digest + 3], path[PATH_MAX];

    if (o->digest[0] == '\0')
        return false;
    snprintf(mark, sizeof mark, ",D=%s", o->digest);
    for (size_t i = 0; i < 2 && t->repeat[0] == '\0'; i++) {
        DIR *d = join(path, t, subs[i], "") ? opendir(path) : NULL;
        struct dirent *entry;

        if (d == NULL)
            continue;
        while (t->repeat[0] == '\0' && (entry = readdir(d)) != NULL)
            if (strstr(entry->d_name, mark) != NULL && is_recent(entry->d_name) &&
                flush_directory(path) && !join(t->repeat, t, subs[i], entry->d_name))
                t->repeat[0] = '\0';
        closedir(d);
    }
    return t->repeat[0] != '\0';
}

/* Every recipient has it: the client will hear 250 and not come again, so that the same bytes sent
 * once more are another message. The mark goes. */
static void remove_mark(const struct target *t)
{
    char from[PATH_MAX], to[PATH_MAX], *mark;

    if (t->repeat[0] != '\0')
        memcpy(from, t->repeat, sizeof from);
    else if (!join(from, t, "new", t->name))
        return;
    memcpy(to, from, sizeof to);
    mark = strstr(to, ",D=");
    if (mark == NULL || strlen(mark) < DIGEST_DIGITS + 3)
        return;
    memmove(mark, mark + DIGEST_DIGITS + 3, strlen(mark + DIGEST_DIGITS + 3) + 1);
    rename(from, to); /* where a reader was faster, the mark stays */
}

/* Each for itself: a reply line for each recipient (deliver_replies = each). The status says it too
 * where there is only one. */
static int deliver_each(const struct options *o, char **recipients, struct target *targets,
                        unsigned n, int from)
{
    unsigned delivered = 0;
    int status = 0;

    for (unsigned i = 0; i < n; i++) {
        status = find_all(o, recipients + i, targets + i, 1);
        if (status == 0 && !is_repeat(o, &targets[i]))
            status = deliver(o, recipients + i, targets + i, 1, from);
        if (status == 0) {
            delivered++;
            puts("250 2.0.0");
        } else {
            undo(&targets[i]);
        }
    }
    for (unsigned i = 0; o->digest[0] != '\0' && delivered == n && i < n; i++)
        remove_mark(&targets[i]);
    if (fflush(stdout) != 0)
        return EXIT_TEMPORARY;
    return n == 1 ? status : 0;
}

/* '/' and ':' mean something in a Maildir name. */
static void set_host(struct options *o)
{
    if (gethostname(o->host, sizeof o->host - 1) < 0 || o->host[0] == '\0')
        strcpy(o->host, "localhost");
    for (char *c = o->host; *c != '\0'; c++)
        if (*c == '/' || *c == ':' || *c == ',' || byte_is_control(*c))
            *c = '_';
}

/* The first digits of SMTPIN_DIGEST, where smtpin has set it: 64 bits tell a repeat well enough. */
static void set_digest(struct options *o)
{
    const char *digest = getenv("SMTPIN_DIGEST");

    if (digest == NULL || strlen(digest) < sizeof o->digest - 1 ||
        strspn(digest, "0123456789abcdef") != strlen(digest))
        return;
    memcpy(o->digest, digest, sizeof o->digest - 1);
}

int main(int argc, char **argv)
{
    struct options o = {.with_domain = true, .create = true, .delimiter = SPAN("+")};
    struct target *targets;
    int option, status, from;
    unsigned n;

    while ((option = getopt(argc, argv, "+nrl:d:q:")) != -1) {
        if (option == 'n')
            o.create = false;
        else if (option == 'r')
            o.replies = true;
        else if (option == 'l' && strcmp(optarg, "user") == 0)
            o.with_domain = false;
        else if (option == 'd')
            o.delimiter = span_of(optarg);
        else if (option == '?' || (option == 'l' && strcmp(optarg, "domain/user") != 0) ||
                 (option == 'q' &&
                  number_parse_size(span_of(optarg), (uint64_t)1 << 50, &o.quota) != NUMBER_OK))
            return usage();
    }
    if (argc - optind < 2 || strlen(argv[optind]) >= PATH_MAX)
        return usage();
    o.root = argv[optind];
    n = (unsigned)(argc - optind - 1);
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is EFBIG */
    targets = calloc(n, sizeof *targets);
    if (targets == NULL)
        return temporary("memory", "451 4.3.0 Out of memory");
    set_host(&o);
    set_digest(&o);
    from = copy_input();
    if (from < 0)
        status = temporary("message", "451 4.3.0 Message can't be read");
    else if (o.replies)
        status = deliver_each(&o, argv + optind + 1, targets, n, from);
    else
        status = deliver(&o, argv + optind + 1, targets, n, from);
    for (unsigned i = 0; status != 0 && !o.replies && i < n; i++)
        undo(&targets[i]);
    free(targets);
    return status;
}
