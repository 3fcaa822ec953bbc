#include "commands/maildir_find.h"

#include "base/text.h"
#include "smtp/path.h"
#include "syntax/idn.h"
#include "syntax/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { DOMAINS_MOST = 1000000 }; /* directories that are looked at for another form of a domain */

static const char cannot_tell[] = "451 4.3.0 Mailbox can't be looked up";

/* One part of the path: a client's text becomes a name in our directory, and only a plain one. */
static bool add_component(struct text *path, struct span s)
{
    if (!maildir_is_name(s))
        return false;
    text_addc(path, '/');
    for (size_t i = 0; i < s.n; i++)
        text_addc(path, byte_lower(s.p[i]));
    return true;
}

/* Has the path no file? (Where that can't be told, it counts as one that has.) */
static bool is_missing(struct text *path)
{
    struct stat st;

    return !path->cut && lstat(text_string(path), &st) < 0 && errno == ENOENT;
}

static bool has_a_label(struct span domain)
{
    for (size_t i = 0; i < domain.n; i++)
        if ((i == 0 || domain.p[i - 1] == '.') &&
            span_starts_nocase(span_from(domain, i), SPAN("xn--")))
            return true;
    return false;
}

/* The name of a directory in the root that is the domain in another form, into *name; of several
 * the first in the order of octets. *unknown: a name can't be compared. */
static bool find_other_form(const struct maildir_options *o, struct span ascii, struct text *name,
                            bool *unknown)
{
    DIR *d = opendir(o->root);
    struct dirent *entry;
    enum idn_result result = IDN_OK;

    for (int i = 0;
         d != NULL && result != IDN_MISSING && i < DOMAINS_MOST && (entry = readdir(d)) != NULL;
         i++) {
        const struct span other = span_of(entry->d_name);
        char room[SMTP_DOMAIN_MAX + 1];
        struct text form = TEXT(room);

        if (span_is_ascii(other) || !maildir_is_name(other))
            continue;
        result = idn_to_ascii(o->idn, other, &form);
        if (result != IDN_OK || !span_eq(text_span(&form), ascii) ||
            (name->n > 0 && strcmp(text_string(name), entry->d_name) < 0))
            continue;
        name->n = 0;
        text_add(name, other);
    }
    if (d != NULL)
        closedir(d);
    *unknown = result == IDN_MISSING && name->n == 0;
    return name->n > 0;
}

/* Has the directory a name with an A-label in it? */
static bool has_a_label_in(const char *directory)
{
    DIR *d = opendir(directory);
    const struct dirent *entry;
    bool found = d == NULL && errno != ENOENT;

    while (d != NULL && !found && (entry = readdir(d)) != NULL)
        found = has_a_label(span_of(entry->d_name));
    if (d != NULL)
        closedir(d);
    return found;
}

/* The domain's directory: its A-label form (RFC 5890 2.3.2.1), so that every way to write it is one
 * directory. One that is there already in another form, and not in this one, goes on being used. */
static bool add_domain(const struct maildir_options *o, struct text *path, struct span domain,
                       bool *unknown)
{
    char ascii_room[SMTP_DOMAIN_MAX + 1], other_room[NAME_MAX + 2];
    struct text ascii = TEXT(ascii_room), other = TEXT(other_room);
    const size_t root = path->n;
    const enum idn_result result = idn_to_ascii(o->idn, domain, &ascii);

    if (result == IDN_MISSING) {
        const bool good = add_component(path, domain);

        /* It may be there as A-labels, or in another form: no 550, and no second mailbox. */
        *unknown = good && (o->idn->failed ||
                            (is_missing(path) && (!o->create || has_a_label_in(o->root))));
        return good;
    }
    if (result != IDN_OK || !add_component(path, text_span(&ascii)))
        return false;
    if ((span_is_ascii(domain) && !has_a_label(domain)) || !is_missing(path))
        return true;
    path->n = root;
    if (!span_is_ascii(domain) && add_component(path, domain) && !is_missing(path))
        return true;
    path->n = root;
    if (!find_other_form(o, text_span(&ascii), &other, unknown))
        return add_component(path, text_span(&ascii));
    text_addc(path, '/');
    text_add(path, text_span(&other));
    return true;
}

static bool is_directory(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return false;
    errno = ENOTDIR;
    return S_ISDIR(st.st_mode);
}

/* A directory is missing in this one, the root or a domain's. With nothing in it, it is no list of
 * users: a disk that is not mounted leaves its mount point like that. */
static struct maildir_answer missing(const char *in)
{
    DIR *d = opendir(in);
    bool empty = true;
    const struct dirent *entry;

    if (d == NULL)
        return maildir_temporary(in, cannot_tell);
    errno = 0;
    while (empty && (entry = readdir(d)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (empty && errno != 0) {
        const int error = errno;

        closedir(d);
        errno = error;
        return maildir_temporary(in, cannot_tell);
    }
    closedir(d);
    if (empty)
        return maildir_temporary_for(in, "is empty: is the disk not mounted?", cannot_tell);
    return MAILDIR_NOBODY;
}

/* The directories are the list of users. Only one that is certainly missing, in a directory that is
 * certainly there, is an unknown user: a wrong 550 loses mail at once. */
static struct maildir_answer look_up(const struct maildir_options *o,
                                     const struct maildir_target *t)
{
    static const char *const subs[] = {"tmp", "new"};
    char path[PATH_MAX];
    struct stat st;

    if (!is_directory(o->root))
        return maildir_temporary(o->root, cannot_tell);
    for (size_t i = strlen(o->root) + 1;; i++) {
        if (t->maildir[i] != '/' && t->maildir[i] != '\0')
            continue;
        memcpy(path, t->maildir, i);
        path[i] = '\0';
        if (lstat(path, &st) < 0) {
            if (errno != ENOENT)
                return maildir_temporary(path, cannot_tell);
            *strrchr(path, '/') = '\0';
            return missing(path);
        }
        if (!is_directory(path))
            return maildir_temporary(path, cannot_tell);
        if (t->maildir[i] == '\0')
            break;
    }
    for (size_t i = 0; i < 2; i++)
        if (!maildir_join(path, t, subs[i], "") || !is_directory(path))
            return maildir_temporary(path, cannot_tell);
    return MAILDIR_DELIVERED;
}

struct maildir_answer maildir_find(const struct maildir_options *o, const char *recipient,
                                   struct maildir_target *t)
{
    char line_room[1024], arena_room[4096];
    struct text line = TEXT(line_room), path = TEXT(t->maildir);
    struct arena arena = {.base = arena_room, .cap = sizeof arena_room};
    struct smtp_mailbox mailbox;
    bool unknown = false;
    struct span in;

    text_addc(&line, '<');
    text_adds(&line, recipient);
    text_addc(&line, '>');
    in = text_span(&line);
    if (line.cut || smtp_forward_path(&in, &arena, &mailbox, NULL) != SMTP_PATH_OK || in.n > 0)
        return MAILDIR_NOBODY;
    text_adds(&path, o->root);
    if (o->with_domain && !add_domain(o, &path, mailbox.domain, &unknown))
        return MAILDIR_NOBODY;
    if (unknown)
        return maildir_temporary_for(recipient, "its domain's ASCII form can't be had (libidn2)",
                                     cannot_tell);
    if (!add_component(&path,
                       span_first(mailbox.local, smtp_extension_at(mailbox.local, o->delimiter))))
        return MAILDIR_NOBODY;
    text_string(&path);
    errno = ENAMETOOLONG;
    if (path.cut || path.n + NAME_MAX + sizeof "/new/" >= PATH_MAX)
        return maildir_temporary(o->root, cannot_tell);
    return o->create ? MAILDIR_DELIVERED : look_up(o, t);
}

/* Makes a directory, and its name safe on the disk; also that of one which somebody else has made
 * just now. (A directory above that can't be read can't be flushed.) */
static bool make_directory(char *path)
{
    char *slash = strrchr(path, '/');
    bool good;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return false;
    *slash = '\0';
    good = maildir_flush(slash == path ? "/" : path) || errno == EACCES;
    *slash = '/';
    return good;
}

struct maildir_answer maildir_make(const struct maildir_options *o, const struct maildir_target *t)
{
    static const char *const subs[] = {"tmp", "cur", "new"};
    static const char cannot[] = "451 4.3.0 Mailbox can't be made";
    char path[PATH_MAX];
    struct stat st;

    if (!o->create || (maildir_join(path, t, "new", "") && stat(path, &st) == 0))
        return MAILDIR_DELIVERED;
    for (size_t i = strlen(o->root) + 1;; i++) {
        if (t->maildir[i] != '/' && t->maildir[i] != '\0')
            continue;
        memcpy(path, t->maildir, i);
        path[i] = '\0';
        if (!make_directory(path))
            return maildir_temporary(path, cannot);
        if (t->maildir[i] == '\0')
            break;
    }
    for (size_t i = 0; i < 3; i++)
        if (!maildir_join(path, t, subs[i], "") || !make_directory(path))
            return maildir_temporary(path, cannot);
    return MAILDIR_DELIVERED;
}
