/* A configuration file, and what follows a NUL in it as an override. */
#include "config/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char room[CONFIG_ARENA_MAX];
    const struct config_report silent = {.say = NULL};
    const uint8_t *nul = size == 0 ? NULL : memchr(data, 0, size);
    const size_t n = nul == NULL ? size : (size_t)(nul - data);
    char *override = nul == NULL ? NULL : strndup((const char *)nul + 1, size - n - 1);
    const char *overrides[] = {override};
    const int fd = memfd_create("configuration", 0);
    struct arena a = {.base = room, .cap = sizeof room};
    struct config c;
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data, n) != (ssize_t)n)
        abort();
    config_load(
        &c, &a,
        &(struct config_source){.file = path, .override = overrides, .overrides = override != NULL},
        &silent);
    if (a.used > a.cap)
        abort();
    close(fd);
    free(override);
    return 0;
}
