#include "adapters/confine.h"

#include "adapters/run.h"
#include "base/text.h"
#include "io/landlock.h"
#include "syntax/confine.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A part of the system; one that this system has not is left out. */
struct place {
    char path[20]; /* no pointer: nothing is relocated when a session begins */
    enum landlock_access access;
};

/* Of most commands. */
static const struct place of_auto[] = {
    {"/usr", LANDLOCK_EXECUTE},      {"/bin", LANDLOCK_EXECUTE},    {"/sbin", LANDLOCK_EXECUTE},
    {"/lib", LANDLOCK_EXECUTE},      {"/lib64", LANDLOCK_EXECUTE},  {"/etc", LANDLOCK_READ},
    {"/proc", LANDLOCK_READ},        {"/dev/zero", LANDLOCK_READ},  {"/dev/random", LANDLOCK_READ},
    {"/dev/urandom", LANDLOCK_READ}, {"/dev/null", LANDLOCK_WRITE},
};

/* Of smtpin-maildir: its libraries, or those of smtpin-idn. */
static const struct place of_embedded[] = {
    {"/usr/lib", LANDLOCK_EXECUTE},
    {"/lib", LANDLOCK_EXECUTE},
    {"/lib64", LANDLOCK_EXECUTE},
    {"/etc/ld.so.cache", LANDLOCK_READ},
};

struct wanted {
    bool off, is_auto, tcp;
};

/* Is it smtpin-maildir alone that runs? */
static bool is_embedded(const struct config *c)
{
    return c->embedded && c->through.n == 0;
}

/* Most sessions are asked this, and no more. */
static bool is_off_by_default(const struct config *c)
{
    return c->confine.n == 0 && !is_embedded(c);
}

static struct wanted wanted_of(const struct config *c)
{
    struct wanted w = {.off = is_off_by_default(c)};
    struct span left = c->confine, word;
    struct confine_word rule;

    while (span_word(&left, " \t,", &word)) {
        if (!confine_read(word, &rule))
            continue;
        w.off = w.off || rule.kind == CONFINE_OFF;
        w.is_auto = w.is_auto || rule.kind == CONFINE_AUTO;
        w.tcp = w.tcp || rule.kind == CONFINE_TCP || rule.kind == CONFINE_AUTO;
    }
    return w;
}

struct ruleset {
    int fd, version;
};

static bool allow(const struct ruleset *r, struct span path, enum landlock_access access)
{
    char room[PATH_MAX];
    struct text t = TEXT(room);

    text_add(&t, path);
    text_string(&t);
    errno = ENAMETOOLONG;
    return !t.cut && landlock_allow(r->fd, r->version, room, access);
}

/* It need not be there; what we can't reach, the command can't either. */
static bool allow_if_there(const struct ruleset *r, struct span path, enum landlock_access access)
{
    return path.n == 0 || allow(r, path, access) || errno == ENOENT || errno == ENOTDIR ||
           errno == EACCES;
}

static bool allow_places(const struct ruleset *r, const struct place *place, size_t n)
{
    bool fine = true;

    for (size_t i = 0; i < n && fine; i++)
        fine = allow_if_there(r, span_of(place[i].path), place[i].access);
    return fine;
}

static bool allow_listed(const struct ruleset *r, struct span list)
{
    static const enum landlock_access accesses[] = {
        [CONFINE_READ] = LANDLOCK_READ,
        [CONFINE_EXECUTE] = LANDLOCK_EXECUTE,
        [CONFINE_WRITE] = LANDLOCK_WRITE,
    };
    struct confine_word rule;
    struct span word;
    bool fine = true;

    while (fine && span_word(&list, " \t,", &word))
        if (confine_read(word, &rule) && rule.kind == CONFINE_PATH)
            fine = allow(r, rule.path, accesses[rule.access]);
    return fine;
}

/* A name is looked for where programs are, and a path may have macros. */
static struct span program_of(const struct config *c)
{
    const struct span first = c->deliver.n > 0 ? c->deliver.word[0] : SPAN("");

    return is_embedded(c) ? SPAN(SMTPIN_BINDIR "/smtpin-maildir")
           : first.n > 0 && first.p[0] == '/' && span_find(first, '$') == first.n ? first
                                                                                  : SPAN("");
}

static bool allow_all(const struct ruleset *r, const struct config *c, const struct wanted *w)
{
    bool fine = allow_if_there(r, program_of(c), LANDLOCK_EXECUTE) &&
                allow_if_there(r, SPAN(SMTPIN_SBINDIR "/smtpin-idn"), LANDLOCK_EXECUTE);

    if (is_embedded(c))
        fine = fine && allow_places(r, of_embedded, sizeof of_embedded / sizeof *of_embedded) &&
               allow(r, c->maildir, LANDLOCK_WRITE);
    if (w->is_auto)
        fine = fine && allow_places(r, of_auto, sizeof of_auto / sizeof *of_auto) &&
               allow_if_there(r, c->maildir, LANDLOCK_WRITE) &&
               allow_if_there(r, c->spool_dir, LANDLOCK_WRITE);
    return fine && allow_listed(r, c->confine);
}

int confine_open(const struct config *c, const char **note)
{
    struct wanted w;
    struct ruleset r;
    int error;

    if (is_off_by_default(c))
        return 0;
    w = wanted_of(c);
    r.version = w.off ? 0 : landlock_version();
    if (r.version == 0) {
        *note = w.off ? *note : "not_confined";
        return 0;
    }
    r.fd = landlock_open(r.version, w.tcp);
    if (r.fd < 0 || allow_all(&r, c, &w))
        return r.fd;
    error = errno;
    close(r.fd);
    errno = error;
    return -1;
}

static const char set_id[] =
    "note: the command is a set-id program: while it is confined, it gets no other rights by that";

/* What this kernel does not refuse; NULL: it refuses all. */
static const char *weakness_of(int version)
{
    return version == 0  ? "note: this kernel has no Landlock of version 2 or above: the delivery "
                           "command is not confined"
           : version < 4 ? "note: this kernel confines files; TCP, signals and abstract sockets it "
                           "does not"
           : version < 6 ? "note: this kernel confines files and TCP; signals and abstract sockets "
                           "it does not"
                         : NULL;
}

static bool is_set_id(struct span program)
{
    char room[PATH_MAX];
    struct text t = TEXT(room);
    const char *path = run_program(program, &t);
    struct stat st;

    return path != NULL && stat(path, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID)) != 0;
}

bool confine_check(const struct config *c, const struct config_report *report)
{
    const char *weakness;
    struct span left = c->confine, word;
    struct confine_word rule;
    char room[PATH_MAX];
    bool good = true;

    if (wanted_of(c).off)
        return true;
    weakness = weakness_of(landlock_version());
    if (weakness != NULL)
        config_complain(report, SPAN("confine"), weakness);
    if (c->deliver.n > 0 && is_set_id(c->deliver.word[0]))
        config_complain(report, SPAN("confine"), set_id);
    while (span_word(&left, " \t,", &word)) {
        struct text path = TEXT(room);

        if (!confine_read(word, &rule) || rule.kind != CONFINE_PATH)
            continue;
        text_add(&path, rule.path);
        text_string(&path);
        errno = ENAMETOOLONG;
        if (!path.cut && access(path.p, F_OK) == 0)
            continue;
        path.n = 0;
        text_add_escaped(&path, span_first(rule.path, 256), "");
        text_adds(&path, ": ");
        text_adds(&path, strerror(errno));
        config_complain(report, SPAN("confine"), text_string(&path));
        good = false;
    }
    return good;
}
