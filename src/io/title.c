#include "io/title.h"

#include <string.h>
#include <unistd.h>

/* The environment somewhere else; false when there is no room. */
static bool move_environment(struct arena *a, char **last)
{
    size_t n = 0;
    char **copy;

    while (environ[n] != NULL)
        n++;
    copy = arena_get(a, (n + 1) * sizeof *copy);
    for (size_t i = 0; copy != NULL && i < n; i++) {
        copy[i] = (char *)arena_copy(a, span_of(environ[i])).p;
        if (copy[i] == NULL)
            copy = NULL;
        else if (environ[i] == *last + 1)
            *last = environ[i] + strlen(environ[i]);
    }
    if (copy == NULL)
        return false;
    copy[n] = NULL;
    environ = copy;
    return true;
}

void title_open(struct title *t, char **argv, struct arena *a)
{
    char *last;

    *t = (struct title){.p = NULL};
    if (argv[0] == NULL)
        return;
    last = argv[0] + strlen(argv[0]);
    for (size_t i = 1; argv[i] == last + 1; i++)
        last = argv[i] + strlen(argv[i]);
    if (move_environment(a, &last))
        *t = (struct title){
            .p = argv[0], .cap = (size_t)(last - argv[0]), .used = (size_t)(last - argv[0])};
}

void title_show(struct title *t, struct span text)
{
    const size_t n = text.n < t->cap ? text.n : t->cap;

    if (n == 0)
        return;
    memcpy(t->p, text.p, n);
    /* The kernel reads on past the words where their last byte is not NUL (proc(5), cmdline). */
    if (t->used > n)
        memset(t->p + n, 0, t->used - n);
    t->used = n;
}
