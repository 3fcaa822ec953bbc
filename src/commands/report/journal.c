#include "commands/report/journal.h"

#if defined(SMTPIN_STATIC)

const char *journal_read(const struct journal_how *how, struct input *in,
                         char cursor[JOURNAL_CURSOR_MAX])
{
    (void)how;
    (void)in;
    (void)cursor;
    return "this build can't read it; journalctl -t smtpin -o json | smtpin-report -";
}

#else

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

enum {
    FIELD_MAX = 8192,
    MESSAGE_SHORT = 1500, /* octets: whatever had no room in it would have some 2,500 */
};

static const char *reason(int error)
{
    return strerror(-error);
}

/* One match, which all of them have: the journal is fast with one, and slow with one for each
 * message id. The message id is looked at in each entry. */
static int match(sd_journal *j, const struct journal_how *how)
{
    char text[256];
    int error = sd_journal_add_match(j, "SYSLOG_IDENTIFIER=smtpin", 0);

    if (error >= 0 && how->session != NULL) {
        (void)snprintf(text, sizeof text, "SMTP_SESSION=%s", how->session);
        error = sd_journal_add_match(j, text, 0);
    }
    return error;
}

/* To before the first entry that is wanted. */
static int seek(sd_journal *j, const struct journal_how *how)
{
    int error;

    if (how->cursor != NULL && how->cursor[0] != '\0') {
        error = sd_journal_seek_cursor(j, how->cursor);
        if (error < 0 || sd_journal_next(j) <= 0)
            return error;
        /* It is gone where the journal was cut: then this is the next that there is, perhaps the
         * first of all, behind which there is no way back. */
        return sd_journal_test_cursor(j, how->cursor) > 0 ? 0
                                                          : sd_journal_seek_cursor(j, how->cursor);
    }
    if (how->since != 0)
        return sd_journal_seek_realtime_usec(j, how->since);
    if (how->follow) {
        error = sd_journal_seek_tail(j);
        if (error >= 0)
            (void)sd_journal_previous(j);
        return error;
    }
    return sd_journal_seek_head(j);
}

static bool read_fields(sd_journal *j, struct input *in, uint64_t time)
{
    const void *data;
    size_t n;

    form_begin(&in->journal, &in->entry, true);
    in->entry.time = time;
    sd_journal_restart_data(j);
    while (sd_journal_enumerate_available_data(j, &data, &n) > 0) {
        const struct span all = {.p = data, .n = n};
        size_t name;

        if (n == 0 || (all.p[0] != 'S' && all.p[0] != 'M'))
            continue;
        name = span_find(all, '=');
        form_field(&in->journal, span_first(all, name), span_from(all, name + 1));
    }
    return form_end(&in->journal);
}

/* MESSAGE has all fields of the record in one, unless some had no room. An entry's fields come as
 * they stand in the file: those that other entries have too, then this one, then the entry's own.
 * To stop here saves a quarter of all. */
static bool read_message(sd_journal *j, struct input *in, uint64_t time)
{
    static const struct span name = {.p = "MESSAGE=", .n = 8};
    const void *data;
    size_t n;

    sd_journal_restart_data(j);
    while (sd_journal_enumerate_available_data(j, &data, &n) > 0)
        if (n > name.n && memcmp(data, name.p, name.n) == 0)
            return n <= MESSAGE_SHORT &&
                   form_message(&in->entry, (struct span){(const char *)data + name.n, n - name.n},
                                time);
    return false;
}

static bool read_entry(sd_journal *j, const struct journal_how *how, struct input *in,
                       uint64_t time)
{
    return (!how->whole && read_message(j, in, time)) || read_fields(j, in, time);
}

/* All that there is now. False: no more is wanted. */
static bool read_all(sd_journal *j, const struct journal_how *how, struct input *in, bool *any)
{
    uint64_t time;

    while (sd_journal_next(j) > 0) {
        if (sd_journal_get_realtime_usec(j, &time) < 0)
            continue;
        if (how->until != 0 && time > how->until) {
            /* The cursor stays at the last one that was wanted. */
            *any = sd_journal_previous(j) > 0 && *any;
            return false;
        }
        *any = true;
        if (!read_entry(j, how, in, time))
            in->foreign++;
        else if (!in->take(in->context, &in->entry))
            return false;
    }
    return true;
}

static void keep_cursor(sd_journal *j, char cursor[JOURNAL_CURSOR_MAX])
{
    char *at = NULL;

    if (sd_journal_get_cursor(j, &at) >= 0 && strlen(at) < JOURNAL_CURSOR_MAX)
        memcpy(cursor, at, strlen(at) + 1);
    free(at);
}

static int open_journal(sd_journal **j, const struct journal_how *how)
{
    const char *files[] = {how->file, NULL};

    if (how->directory != NULL)
        return sd_journal_open_directory(j, how->directory, 0);
    if (how->file != NULL)
        return sd_journal_open_files(j, files, 0);
    return sd_journal_open(j, SD_JOURNAL_LOCAL_ONLY);
}

/* Is there a journal in the directory that this user may not read? */
static bool is_denied(const char *directory)
{
    DIR *d = opendir(directory);
    bool denied = false;

    for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL && !denied; e = readdir(d)) {
        const size_t n = strlen(e->d_name);

        denied = n > 8 && strcmp(e->d_name + n - 8, ".journal") == 0 &&
                 faccessat(dirfd(d), e->d_name, R_OK, 0) < 0 && errno == EACCES;
    }
    if (d != NULL)
        closedir(d);
    return denied;
}

/* libsystemd opens what the user may read, which may be nothing, without an error. */
static bool may_read(sd_journal *j, const struct journal_how *how)
{
    if (how->directory != NULL)
        return !is_denied(how->directory);
    return how->file != NULL || how->follow || sd_journal_has_persistent_files(j) > 0 ||
           sd_journal_has_runtime_files(j) > 0;
}

const char *journal_read(const struct journal_how *how, struct input *in,
                         char cursor[JOURNAL_CURSOR_MAX])
{
    sd_journal *j = NULL;
    bool any = false;
    int error = open_journal(&j, how);

    if (error < 0)
        return reason(error);
    if (!may_read(j, how)) {
        sd_journal_close(j);
        return "this user may not read it: root and the group systemd-journal may";
    }
    (void)sd_journal_set_data_threshold(j, FIELD_MAX);
    error = match(j, how);
    if (error >= 0)
        error = seek(j, how);
    if (error >= 0) {
        while (read_all(j, how, in, &any) && how->follow)
            if (sd_journal_wait(j, UINT64_MAX) < 0)
                break;
        if (any)
            keep_cursor(j, cursor);
    }
    sd_journal_close(j);
    return error < 0 ? reason(error) : NULL;
}

#endif
