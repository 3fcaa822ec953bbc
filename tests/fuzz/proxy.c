/* What a proxy says. The first octet says which: a PROXY header, in pieces as a socket has them or
 * as many octets at a time as are asked for; or the argument of XCLIENT. */
#include "adapters/proxied.h"
#include "smtp/session.h"
#include "syntax/network.h"

#include <stdint.h>
#include <stdlib.h>

#define promise(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(struct span s)
{
    char room[64];
    struct network n;

    promise(s.n == 0 || (network_parse(s, &n) && n.prefix == 128 &&
                         span_eq(network_address(n.address, room, sizeof room), s)));
}

static void check_header(const struct proxy_header *h, size_t size)
{
    struct tls_facts f;

    promise(h->octets > 0 && h->octets <= size && h->octets <= PROXY_HEADER_MAX);
    promise(h->version == 1 || h->version == 2);
    check_address(h->address);
    check_address(h->server_address);
    promise(h->port.n <= 5 && h->server_port.n <= 5);
    promise((h->address.n == 0) == (h->server_address.n == 0));
    promise(h->facts.n <= PROXY_FACTS_MAX);
    if (h->facts.n > 0)
        promise(h->facts.p[h->facts.n - 1] == '\0');
    if (tls_facts_read(h->facts, &f))
        promise(!span_has_control(f.cipher) && !span_has_control(f.name));
}

/* Whatever it says: a reply, or a client of which each part has its form. */
static void try_xclient(const char *data, size_t size)
{
    static char out_room[SMTP_REPLY_MAX], memory[4096], line_room[2100];
    const struct smtp_options options = {.hostname = SPAN("mx.example.org"),
                                         .max_errors = 9,
                                         .max_commands = 9,
                                         .xclient_login = true};
    const struct peer peer = {.address = SPAN("192.0.2.1"), .port = SPAN("7")};
    struct arena arena = {.base = memory, .cap = size & 1 ? 64 : sizeof memory};
    struct text out = TEXT(out_room), line = TEXT(line_room);
    struct smtp_session s;
    struct smtp_login login = {.errors = 0};
    struct smtp_xclient x = {.given = 0};
    struct proxied_client client;
    struct proxied_names names;
    enum smtp_want want;

    smtp_session_open(&s, &options, &out, &arena, true);
    s.login = &login;
    s.xclient = &x;
    out.n = 0;
    text_adds(&line, "XCLIENT ");
    text_add(&line, (struct span){.p = data, .n = size});
    want = smtp_session_line(&s, text_span(&line));
    if (want != SMTP_NEXT_CLIENT) {
        promise(out.n > 4 && out.p[0] == '5');
        return;
    }
    promise(out.n == 0 && x.given != 0);
    if (!proxied_by_xclient(&client, &x, &peer, &names))
        return;
    promise(proxied_is_client(&client));
    want = smtp_session_client(&s, SMTP_REPLY_OK);
    promise(want == SMTP_NEXT_LINE && memcmp(out.p, "220 ", 4) == 0);
    promise(s.authenticated == (login.user.n > 0) && !span_has_control(login.user));
    promise(s.helo.n <= sizeof s.helo_room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct proxy_header whole, part;
    enum proxy_result result, again = PROXY_MORE;
    size_t n = 0;
    bool asked;

    if (size == 0)
        return 0;
    asked = data[0] & 1;
    if (data[0] & 2) {
        try_xclient((const char *)data + 1, size - 1);
        return 0;
    }
    data++;
    size--;
    result = proxy_read((struct span){.p = (const char *)data, .n = size}, &whole);
    if (result == PROXY_HEADER)
        check_header(&whole, size);
    if (result == PROXY_MORE)
        promise(whole.needs > size);
    if (result == PROXY_WRONG)
        promise(whole.wrong != NULL);
    /* However it comes, it is the same, and none of what is behind it is asked for. */
    while (again == PROXY_MORE) {
        again = proxy_read((struct span){.p = (const char *)data, .n = n}, &part);
        if (again != PROXY_MORE || n == size)
            break;
        promise(part.needs > n);
        promise(result != PROXY_HEADER || part.needs <= whole.octets);
        n = asked && part.needs < size ? part.needs : n + 1;
    }
    promise(again == result || result == PROXY_WRONG);
    if (again == PROXY_HEADER)
        promise(part.octets == n && part.octets == whole.octets &&
                span_eq(part.address, whole.address) && span_eq(part.facts, whole.facts));
    return 0;
}
