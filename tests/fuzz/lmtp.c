/* What a next server says to smtpin-lmtp. */
#define main lmtp_main
#include "commands/smtpin-lmtp.c"
#undef main

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct session s;
    static int nowhere = -1;
    char *recipients[] = {"a@example.org", "b@example.org", "c@example.org"};
    struct options o = {
        .timeout = 1000, .helo = "x", .sender = "s@example.com", .recipients = recipients, .n = 3};
    struct reply result[3] = {{0}};
    int ends[2];

    if (size < 1 || size > 60000)
        return 0;
    if (nowhere < 0) {
        nowhere = open("/dev/null", O_RDWR);
        dup2(nowhere, 0);
    }
    o.smtp = data[0] & 1;
    o.eight_bit = data[0] & 2;
    o.utf8 = data[0] & 4;
    if (pipe(ends) < 0 || write(ends[1], data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    close(ends[1]);
    s = (struct session){.o = &o};
    s.wire = (struct wire){.in = ends[0],
                           .out = nowhere,
                           .stop = -1,
                           .send = TEXT(s.out),
                           .buffer = s.in,
                           .cap = sizeof s.in};
    if (talk(&s, result))
        for (size_t i = 0; i < o.n; i++)
            if (result[i].code < 200 || result[i].code > 599 ||
                memchr(result[i].line, 0, REPLY_MAX) == NULL)
                abort();
    close(ends[0]);
    return 0;
}
