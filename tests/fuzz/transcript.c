/* A transcript, as smtpin-replay reads it. */
#include "commands/replay/read.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char room[1 << 22];
    const int fd = memfd_create("transcript", 0);
    struct arena a = {.base = room, .cap = sizeof room};
    struct transcript t;
    const char *wrong = NULL;
    unsigned line = 0;
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data, size) != (ssize_t)size)
        abort();
    if (!transcript_read(&t, path, size % 2 == 0, &a, &line, &wrong) && wrong == NULL)
        abort();
    close(fd);
    return 0;
}
