/* What a next server says to smtpin-lmtp. */
#include "commands/lmtp.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lmtp_session s;
    static int nowhere = -1;
    struct lmtp_address recipients[] = {
        {.given = "a@example.org",
         .notify = SPAN("SUCCESS,DELAY"),
         .orcpt = SPAN("rfc822;a+2Bb@c")},
        {.given = "b@m\xc3\xbcller.example", .ascii = (char[]){"b@xn--mller-kva.example"}},
        {.given = "c@example.org", .orcpt = SPAN("utf-8;\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80@c")}};
    struct lmtp_mail mail = {.timeout = 1000,
                             .helo = "x",
                             .sender = {.given = "s@example.com"},
                             .recipient = recipients,
                             .n = 3};
    struct lmtp_reply result[3] = {{0}};
    int ends[2];

    if (size < 1 || size > 60000)
        return 0;
    if (nowhere < 0) {
        nowhere = open("/dev/null", O_RDWR);
        dup2(nowhere, 0);
    }
    mail.smtp = data[0] & 1;
    mail.high = data[0] & 2;
    mail.utf8 = data[0] & 4;
    mail.ret = data[0] & 16 ? SPAN("HDRS") : SPAN("");
    mail.envid = data[0] & 16 ? SPAN("a+2Bb") : SPAN("");
    mail.priority = data[0] & 32 ? SPAN("-9") : SPAN("");
    mail.by = data[0] & 64 ? SPAN("120;R") : SPAN("");
    mail.plain = (enum lmtp_plain)(data[0] >> 3 & 1 ? LMTP_PLAIN_NEVER : LMTP_PLAIN_YES);
    if (pipe(ends) < 0 || write(ends[1], data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    close(ends[1]);
    lmtp_open(&s, &mail, ends[0]);
    s.wire.out = nowhere;
    if (lmtp_talk(&s, result)) {
        for (size_t i = 0; i < mail.n; i++)
            if (result[i].code < 200 || result[i].code > 599 ||
                memchr(result[i].line, 0, LMTP_REPLY_MAX) == NULL)
                abort();
        lmtp_quit(&s);
    }
    close(ends[0]);
    return 0;
}
