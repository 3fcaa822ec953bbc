#include "cdb_library.h"

#ifdef HAVE_CDB
#include <cdb.h>
#include <dlfcn.h>

static struct {
    int (*make_start)(struct cdb_make *, int);
    int (*make_add)(struct cdb_make *, const void *, unsigned, const void *, unsigned);
    int (*make_finish)(struct cdb_make *);
    int (*init)(struct cdb *, int);
    int (*find)(struct cdb *, const void *, unsigned);
    int (*read)(const struct cdb *, void *, unsigned, unsigned);
    void (*free)(struct cdb *);
} library;

bool library_load(void)
{
    void *const it = dlopen("libcdb.so.1", RTLD_NOW | RTLD_LOCAL);

    if (it == NULL)
        return false;
    *(void **)&library.make_start = dlsym(it, "cdb_make_start");
    *(void **)&library.make_add = dlsym(it, "cdb_make_add");
    *(void **)&library.make_finish = dlsym(it, "cdb_make_finish");
    *(void **)&library.init = dlsym(it, "cdb_init");
    *(void **)&library.find = dlsym(it, "cdb_find");
    *(void **)&library.read = dlsym(it, "cdb_read");
    *(void **)&library.free = dlsym(it, "cdb_free");
    return library.make_start != NULL && library.make_add != NULL && library.make_finish != NULL &&
           library.init != NULL && library.find != NULL && library.read != NULL &&
           library.free != NULL;
}

bool library_make(int fd, const struct span *key, const struct span *value, size_t n)
{
    struct cdb_make made;

    if (library.make_start(&made, fd) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (library.make_add(&made, key[i].p, (unsigned)key[i].n, value[i].p,
                             (unsigned)value[i].n) != 0)
            return false;
    return library.make_finish(&made) == 0;
}

bool library_find(int fd, struct span key, struct text *value)
{
    struct cdb it;
    bool found = false;

    if (library.init(&it, fd) != 0)
        return false;
    if (library.find(&it, key.p, (unsigned)key.n) > 0 && cdb_datalen(&it) <= value->cap) {
        value->n = cdb_datalen(&it);
        found = library.read(&it, value->p, cdb_datalen(&it), cdb_datapos(&it)) == 0;
    }
    library.free(&it);
    return found;
}
#else
bool library_load(void)
{
    return false;
}

bool library_make(int fd, const struct span *key, const struct span *value, size_t n)
{
    (void)fd;
    (void)key;
    (void)value;
    (void)n;
    return false;
}

bool library_find(int fd, struct span key, struct text *value)
{
    (void)fd;
    (void)key;
    (void)value;
    return false;
}
#endif
