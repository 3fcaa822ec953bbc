/* Eva's entries for what a proxy says: the PROXY header, its values, and XCLIENT. How addresses are
 * read and written is not looked at here: they may be any. */
#include "syntax/proxy.h"
#include "any.h"
#include "smtp/session.h"
#include "smtp/xclient.h"
#include "syntax/network.h"
#include "syntax/proxy_tlv.h"

#include <string.h>

bool network_parse_address(struct span text, struct network *out)
{
    //@ assert text.n == 0 || \valid_read(text.p + (0 .. text.n - 1));
    Frama_C_make_unknown((char *)out->address, sizeof out->address);
    out->prefix = (unsigned)Frama_C_interval(0, 128);
    return any_bool();
}

struct span network_address(const unsigned char address[16], char *room, size_t n)
{
    (void)address;
    Frama_C_make_unknown(room, n);
    return (struct span){.p = room, .n = (size_t)Frama_C_interval_split(1, 2) * 7};
}

static void read_header(struct span octets)
{
    static struct proxy_header h;

    switch (proxy_read(octets, &h)) {
    case PROXY_HEADER:
        /*@ assert h.octets <= octets.n; */
        break;
    case PROXY_MORE:
        /*@ assert h.needs > octets.n; */
        break;
    default:
        /*@ assert \valid_read(h.wrong); */
        break;
    }
}

/* No whole address, or none at all. */
void eva_proxy_short(void)
{
    read_header(any_bytes(0, 18));
}

/* On a strong block, where Eva knows that a value and its header are of one object. */
static struct span any_header(char *room, size_t least, size_t most)
{
    const size_t n = (size_t)Frama_C_interval((int)least, (int)most);

    //@ split n;
    Frama_C_make_unknown(room, most);
    return (struct span){.p = room + most - n, .n = n};
}

/* Of version 2, with the addresses of IPv4, and some octets of values; its length is right, or not.
 */
void eva_proxy_addresses(void)
{
    static char room[32];
    struct span header = any_header(room, 28, sizeof room);
    char *start = room + sizeof room - header.n;

    memcpy(start, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0", 15);
    start[15] = (char)Frama_C_interval_split(11, 17);
    read_header(header);
}

/* All that can be said in so many octets, also of TLS; and no more room for a fact than this. */
void eva_proxy_values(void)
{
    static char octets[26], room[64];
    struct text facts = {.p = room, .cap = (size_t)Frama_C_interval_split(1, 2) * 32};
    struct span header = any_header(octets, 16, sizeof octets);

    (void)proxy_read_values(header, span_from(header, 16), &facts);
    /*@ assert facts.n <= facts.cap; */
}

/* The argument of XCLIENT. */
void eva_xclient(void)
{
    static const struct smtp_options options = {
        .hostname = {.p = "mx.example.net", .n = 14}, .max_errors = 9, .xclient_login = true};
    static char replies[SMTP_REPLY_MAX], block[256];
    static struct smtp_session s;
    static struct smtp_login login;
    static struct smtp_xclient x;
    struct text out = TEXT(replies);
    struct arena arena = {.base = block, .cap = sizeof block};

    smtp_session_open(&s, &options, &out, &arena, true);
    s.login = &login;
    s.xclient = &x;
    out.n = 0;
    if (smtp_xclient(&s, any_bytes(0, 7)) == SMTP_NEXT_CLIENT)
        (void)smtp_session_client(&s, SMTP_REPLY_OK);
}
