/* The same by libsystemd, as a process whose service manager started it can afford: it is loaded
 * for a call, and forgotten, so that those that are forked get nothing of it. */
#include "adapters/manager.h"

#if !defined(SMTPIN_STATIC)

#define SD_JOURNAL_SUPPRESS_LOCATION

#include "base/note.h"
#include "io/alarm.h"
#include "io/environment.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define LIBRARY "libsystemd.so.0"

NOTE_DLOPEN(note,
            "[{\"feature\":\"systemd\",\"description\":\"Sockets, readiness and journal records "
            "under systemd\",\"priority\":\"recommended\",\"soname\":[\"" LIBRARY "\"]}]");

enum {
    PATIENCE = 100, /* milliseconds that may be waited for one call */
    NO_PATIENCE = 1,
    FIELDS_MAX = 128,
};

static void *hold(void)
{
    return dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

static void release(void *held)
{
    if (held != NULL)
        dlclose(held);
}

static void *find(void *library, const char *function)
{
    return library == NULL ? NULL : dlsym(library, function);
}

/* It refuses them all where one of them is not open, or names are missing. The others are served
 * all the same. */
static void sockets(struct manager_sockets *out)
{
    void *const library = environment_get("LISTEN_FDS") != NULL ? hold() : NULL;
    __typeof__(sd_listen_fds_with_names) *listen_fds;
    char **names = NULL;
    int n;

    *(void **)&listen_fds = find(library, "sd_listen_fds_with_names");
    n = listen_fds == NULL ? -1 : listen_fds(0, &names);
    if (n < 0) {
        manager_by_hand.sockets(out);
    } else {
        out->n = n > MANAGER_SOCKETS_MAX ? MANAGER_SOCKETS_MAX + 1 : n;
        /* It calls sockets "unknown" where no names were passed. */
        for (int i = 0; i < MANAGER_SOCKETS_MAX; i++)
            out->name[i] =
                i < n && environment_get("LISTEN_FDNAMES") != NULL ? span_of(names[i]) : SPAN("");
        free((void *)names);
    }
    release(library);
}

static bool listens(int fd)
{
    void *const library = hold();
    __typeof__(sd_is_socket) *is_socket;
    bool answer;

    *(void **)&is_socket = find(library, "sd_is_socket");
    answer = is_socket == NULL ? manager_by_hand.listens(fd) : is_socket(fd, AF_UNSPEC, 0, 1) > 0;
    release(library);
    return answer;
}

static void notify(const char *lines)
{
    void *const library = hold();
    __typeof__(sd_notify) *send;
    struct alarm alarm;

    *(void **)&send = find(library, "sd_notify");
    if (send == NULL) {
        manager_by_hand.notify(lines);
    } else {
        alarm_begin(&alarm, PATIENCE);
        (void)send(0, lines);
        alarm_end(&alarm);
    }
    release(library);
}

static int split(struct span lines, struct iovec field[FIELDS_MAX])
{
    int n = 0;

    while (lines.n > 0 && n < FIELDS_MAX) {
        const struct span line = span_first(lines, span_find(lines, '\n'));

        field[n++] = (struct iovec){.iov_base = (char *)line.p, .iov_len = line.n};
        lines = span_from(lines, line.n + 1);
    }
    return n;
}

/* The library keeps a socket, so it stays; only a process that serves one connection comes here.
 * Where there is no journal it says that all is well: that is looked for first. */
static enum log_output_result journal(struct log_output *o, struct span lines)
{
    void *const library =
        access(MANAGER_JOURNAL, W_OK) < 0 ? NULL : dlopen(LIBRARY, RTLD_NOW | RTLD_NODELETE);
    __typeof__(sd_journal_sendv) *send;
    struct iovec field[FIELDS_MAX];
    struct alarm alarm;
    int n, error;

    *(void **)&send = find(library, "sd_journal_sendv");
    if (send == NULL) {
        release(library);
        return manager_by_hand.journal(o, lines);
    }
    n = split(lines, field);
    alarm_begin(&alarm, o->stuck ? NO_PATIENCE : PATIENCE);
    error = send(field, n);
    alarm_end(&alarm);
    release(library);
    errno = -error;
    if (error >= 0)
        return LOG_OUTPUT_SENT;
    return error == -EINTR || error == -EAGAIN ? LOG_OUTPUT_STUCK : LOG_OUTPUT_NOBODY;
}

const struct manager manager_by_library = {
    .hold = hold,
    .release = release,
    .sockets = sockets,
    .listens = listens,
    .notify = notify,
    .journal = journal,
};

#endif
