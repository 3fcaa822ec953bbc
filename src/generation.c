#include "generation.h"

#include "backend/record.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct generation *generation_load(const struct setup *s, const struct config_source *source,
                                   struct log *log, bool *good)
{
    struct generation *g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const struct config_report report = {.say = record_mistake, .context = log};
    const struct config_report silent = {.say = NULL};

    *good = g != MAP_FAILED;
    if (!*good) {
        record_mistake(log, "setup", 0, SPAN(""), strerror(errno));
        return NULL;
    }
    for (size_t i = 0; i < s->listeners; i++) {
        struct arena arena = {.base = g->room[i], .cap = CONFIG_ARENA_MAX};
        struct config_source own = *source;

        own.socket = s->name[i];
        /* It is one file: its mistakes are said once. */
        *good = config_load(&g->config[i], &arena, &own, *good ? &report : &silent) && *good;
        if (*good && !span_eq(g->config[i].user, g->config[0].user)) {
            record_mistake(log, "setup", 0, SPAN("user"), "one process has one user");
            *good = false;
        }
    }
    return g;
}

bool generation_check(const struct generation *g, const struct setup *s, struct log *log)
{
    const struct config_report report = {.say = record_mistake, .context = log};
    bool good = true;

    for (size_t i = 0; good && i < s->listeners; i++)
        good = setup_check(&g->config[i], &report);
    return good;
}

bool generation_take_user(const struct generation *g, const struct generation *now, bool *dropped,
                          struct log *log)
{
    const struct config_report report = {.say = record_mistake, .context = log};
    const bool root = geteuid() == 0;

    if (*dropped && !span_eq(g->config[0].user, now->config[0].user)) {
        record_mistake(log, "setup", 0, SPAN("user"), "another user takes a restart");
        return false;
    }
    if (!setup_user(&g->config[0], &report))
        return false;
    *dropped = *dropped || (root && geteuid() != 0);
    return true;
}

void generation_forget(struct generation *g)
{
    if (g != NULL)
        munmap(g, sizeof *g);
}
