#include "commands/maildir_mark.h"

#include "base/number.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

enum {
    RETRY_DAYS = 6, /* a client gives up after 4 to 5 (RFC 5321 4.5.4.1) */
    ATTEMPTS = 3,
    MARK = MAILDIR_DIGEST + 3, /* ",D=" and the digits */
};

static const char *const subs[] = {"new", "cur"};

/* Young enough to be what a client tries to send again? A name begins with its time. */
static bool is_recent(const char *name)
{
    const time_t now = time(NULL);
    uint64_t then;

    return number_parse(span_first(span_of(name), strspn(name, "0123456789")), UINT32_MAX, &then) ==
               NUMBER_OK &&
           (time_t)then > now - RETRY_DAYS * 24 * 60 * 60;
}

/* A name without what a reader adds, such as ":2,S". */
static struct span plain(const char *name)
{
    const struct span s = span_of(name);

    return span_first(s, span_find(s, ':'));
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

bool maildir_mark_find(const struct maildir_options *o, struct maildir_target *t)
{
    char mark[MARK + 1], path[PATH_MAX];

    if (o->digest[0] == '\0')
        return false;
    snprintf(mark, sizeof mark, ",D=%s", o->digest);
    for (size_t sub = 0; sub < 2 && t->repeat[0] == '\0'; sub++) {
        DIR *d = maildir_join(path, t, subs[sub], "") ? opendir(path) : NULL;
        const struct dirent *entry;

        while (d != NULL && t->repeat[0] == '\0' && (entry = readdir(d)) != NULL)
            if (strstr(entry->d_name, mark) != NULL && is_recent(entry->d_name) &&
                maildir_flush(path) && !maildir_join(t->repeat, t, subs[sub], entry->d_name))
                t->repeat[0] = '\0';
        if (d != NULL)
            closedir(d);
    }
    return t->repeat[0] != '\0';
}

/* The file by its name as it was, whatever a reader has added; its path as it is into `path`. */
static bool find_again(const struct maildir_target *t, const char *name, char *path)
{
    bool found = false;

    for (size_t sub = 0; sub < 2 && !found; sub++) {
        DIR *d = maildir_join(path, t, subs[sub], "") ? opendir(path) : NULL;
        const struct dirent *entry;

        while (d != NULL && !found && (entry = readdir(d)) != NULL)
            found = span_eq(plain(entry->d_name), plain(name)) &&
                    maildir_join(path, t, subs[sub], entry->d_name);
        if (d != NULL)
            closedir(d);
    }
    return found;
}

/* Renames the file so that its name is without the mark; false: it is not there. */
static bool take_off(const char *path)
{
    char to[PATH_MAX], *mark;

    memcpy(to, path, strlen(path) + 1);
    mark = strstr(to + (last_part(path) - path), ",D=");
    if (mark == NULL || strlen(mark) < MARK)
        return true;
    memmove(mark, mark + MARK, strlen(mark + MARK) + 1);
    return rename(path, to) == 0 || errno != ENOENT;
}

void maildir_mark_remove(const struct maildir_options *o, struct maildir_target *t)
{
    char path[PATH_MAX], name[NAME_MAX + 1];
    bool done;

    if (o->digest[0] == '\0' || (t->repeat[0] == '\0' && t->name[0] == '\0'))
        return;
    if (t->repeat[0] != '\0')
        memcpy(path, t->repeat, sizeof path);
    else if (!maildir_join(path, t, "new", t->name))
        return;
    snprintf(name, sizeof name, "%s", last_part(path));
    done = take_off(path);
    for (int i = 0; !done && i < ATTEMPTS && find_again(t, name, path); i++)
        done = take_off(path);
}
