/* The PROXY header: what is one, and exactly how many octets it has. */
#include "syntax/proxy.h"
#include "syntax/tls_facts.h"
#include "unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* 198.51.100.7:40000 to 203.0.113.5:25 */
#define ENDS "\306\063\144\007\313\0\161\005\234\100\0\031"

static struct proxy_header h;

static enum proxy_result read_text(const char *p, size_t n)
{
    const struct span octets = guarded(p, n);

    return proxy_read(octets, &h);
}

#define READ(literal) read_text((literal), sizeof(literal) - 1)

static void expect(const char *address, const char *port, const char *server,
                   const char *server_port)
{
    cr_expect_span(h.address, address, "address");
    cr_expect_span(h.port, port, "port");
    cr_expect_span(h.server_address, server, "server");
    cr_expect_span(h.server_port, server_port, "server_port");
}

Test(proxy, lines)
{
    static const struct {
        const char *line, *address, *port, *wrong;
    } cases[] = {
        {"PROXY TCP4 198.51.100.7 203.0.113.5 40000 25\r\n", "198.51.100.7", "40000", NULL},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255", "65535",
         NULL},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 0 25\r\n", "198.51.100.7", "", NULL},
        {"PROXY TCP6 2001:DB8::0:7 ::1 40000 25\r\n", "2001:db8::7", "40000", NULL},
        {"PROXY TCP6 ::ffff:198.51.100.7 ::1 40000 25\r\n", "198.51.100.7", "40000", NULL},
        {"PROXY UNKNOWN\r\n", "", "", NULL},
        {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "", "", NULL},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 40000 25\n", NULL, NULL, "proxy_line"},
        {"PROXY TCP4 198.51.100.7\r 203.0.113.5 40000 25\r\n", NULL, NULL, "proxy_line"},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 40000 25 \r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 40000 25 x\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 40000\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 198.51.100.7  203.0.113.5 40000 25\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 65536 25\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 -1 25\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 000025 25\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 198.51.100.0/24 203.0.113.5 40000 25\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 198.51.100 203.0.113.5 40000 25\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP4 2001:db8::7 203.0.113.5 40000 25\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP6 198.51.100.7 ::1 40000 25\r\n", NULL, NULL, "proxy_address"},
        {"PROXY TCP 198.51.100.7 203.0.113.5 40000 25\r\n", NULL, NULL, "proxy_family"},
        {"PROXY tcp4 198.51.100.7 203.0.113.5 40000 25\r\n", NULL, NULL, "proxy_family"},
        {"PROXY  TCP4 198.51.100.7 203.0.113.5 40000 25\r\n", NULL, NULL, "proxy_family"},
        {"PROXY \r\n", NULL, NULL, "proxy_family"},
        {"proxy UNKNOWN\r\n", NULL, NULL, "proxy_none"},
        {"EHLO x\r\n", NULL, NULL, "proxy_none"},
        {"\r\n\r\nx", NULL, NULL, "proxy_none"},
        {"\x16\x03\x01", NULL, NULL, "proxy_none"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const enum proxy_result result = read_text(cases[i].line, strlen(cases[i].line));

        cr_expect_eq(result, cases[i].wrong == NULL ? PROXY_HEADER : PROXY_WRONG, "%s",
                     cases[i].line);
        if (cases[i].wrong != NULL) {
            cr_expect_str_eq(h.wrong, cases[i].wrong, "%s", cases[i].line);
            continue;
        }
        cr_expect_eq(h.octets, strlen(cases[i].line));
        cr_expect_span(h.address, cases[i].address, cases[i].line);
        cr_expect_span(h.port, cases[i].port, cases[i].line);
    }
}

Test(proxy, longest_line)
{
    char line[200];

    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    cr_expect_eq(read_text(line, 107), PROXY_HEADER);
    cr_expect_eq(read_text(line, 106), PROXY_MORE);
    memcpy(line + 105, "x\r\n", 3);
    cr_expect_eq(read_text(line, 108), PROXY_WRONG);
    cr_expect_eq(read_text(line, 107), PROXY_WRONG);
    cr_expect_str_eq(h.wrong, "proxy_long");
}

Test(proxy, version_2)
{
    cr_expect_eq(READ(SIGNATURE "\x21\x11\0\x0c" ENDS), PROXY_HEADER);
    cr_expect_eq(h.octets, 28);
    expect("198.51.100.7", "40000", "203.0.113.5", "25");
    cr_expect_eq(READ(SIGNATURE "\x21\x21\0\x24"
                                "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
                                "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\5\0\1\0\x19"),
                 PROXY_HEADER);
    expect("2001:db8::7", "1", "2001:db8::5", "25");
    /* LOCAL, with and without what is to be ignored. */
    cr_expect_eq(READ(SIGNATURE "\x20\0\0\0"), PROXY_HEADER);
    expect("", "", "", "");
    cr_expect_eq(READ(SIGNATURE "\x20\x11\0\x0c" ENDS), PROXY_HEADER);
    expect("", "", "", "");
    cr_expect_eq(READ(SIGNATURE "\x20\x77\0\2xx"), PROXY_HEADER);
    /* No family: all of it are values. */
    cr_expect_eq(READ(SIGNATURE "\x21\0\0\4\1\0\1x"), PROXY_HEADER);
    expect("", "", "", "");
}

Test(proxy, version_2_wrong)
{
#define CASE(literal, why)                                                                         \
    {                                                                                              \
        (literal), sizeof(literal) - 1, (why)                                                      \
    }
    static const struct {
        const char *p;
        size_t n;
        const char *wrong;
    } cases[] = {
        CASE(SIGNATURE "\x11\x11\0\x0c" ENDS, "proxy_version"),
        CASE(SIGNATURE "\x31\x11\0\x0c" ENDS, "proxy_version"),
        CASE(SIGNATURE "\x22\x11\0\x0c" ENDS, "proxy_command"),
        CASE(SIGNATURE "\x21\x12\0\x0c" ENDS, "proxy_family"),
        CASE(SIGNATURE "\x21\x22\0\x0c" ENDS, "proxy_family"),
        CASE(SIGNATURE "\x21\x41\0\x0c" ENDS, "proxy_family"),
        CASE(SIGNATURE "\x21\x10\0\x0c" ENDS, "proxy_family"),
        CASE(SIGNATURE "\x21\x11\0\x0b" ENDS, "proxy_length"),
        CASE(SIGNATURE "\x21\x21\0\x0c" ENDS, "proxy_length"),
        CASE(SIGNATURE "\x21\x31\0\x0c" ENDS, "proxy_length"),
        CASE(SIGNATURE "\x21\x11\xff\xff", "proxy_long"),
        CASE(SIGNATURE "\x21\x11\0\x0d" ENDS "\4", "proxy_values"),
        CASE(SIGNATURE "\x21\x11\0\x0f" ENDS "\4\0\1", "proxy_values"),
        CASE(SIGNATURE "\x21\x11\0\x10" ENDS "\4\xff\xffx", "proxy_values"),
        CASE(SIGNATURE "\x21\x11\0\x0f" ENDS "\3\0\0", "proxy_checksum"),
        CASE(SIGNATURE "\x21\x11\0\x13" ENDS "\3\0\4\0\0\0\0", "proxy_checksum"),
        CASE(SIGNATURE "\x21\x11\0\x13" ENDS "\x20\0\4\1\0\0\0", "proxy_values"),
        CASE(SIGNATURE "\x21\x11\0\x16" ENDS "\x20\0\7\1\0\0\0\0\x21\0", "proxy_values"),
        CASE(SIGNATURE "\x21\x11\0\x18" ENDS "\x20\0\x09\1\0\0\0\0\x21\0\2x", "proxy_values"),
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect_eq(read_text(cases[i].p, cases[i].n), PROXY_WRONG, "%zu", i);
        cr_expect_str_eq(h.wrong == NULL ? "" : h.wrong, cases[i].wrong, "%zu", i);
    }
}

/* A header with all that there is, as HAProxy writes it; its checksum by another program. */
static const char whole[] =
    SIGNATURE "\x21\x11\0\x56" ENDS "\2\0\x0emx.example.org"
              "\x20\0\x2f\7\0\0\0\0\x21\0\7TLSv1.3\x22\0\4jane\x23\0\x16TLS_AES_256_GCM_SHA384"
              "\3\0\4\332\110\267\273";

enum { WHOLE = sizeof whole - 1 };

Test(proxy, facts)
{
    struct tls_facts f;

    cr_expect_eq(read_text(whole, WHOLE), PROXY_HEADER, "%s", h.wrong);
    cr_assert(tls_facts_read(h.facts, &f));
    cr_expect_span(f.protocol, "TLSv1.3", "protocol");
    cr_expect_span(f.cipher, "TLS_AES_256_GCM_SHA384", "cipher");
    cr_expect_span(f.sni, "mx.example.org", "sni");
    cr_expect_span(f.name, "jane", "name");
    cr_expect(tls_facts_verified(&f));
}

Test(proxy, facts_by_bits)
{
    static const struct {
        char bits, verify;
        const char *said;
    } cases[] = {
        {0, 0, ""},        {6, 0, ""},        {1, 0, "NONE"},       {1, 18, "NONE"},
        {3, 0, "SUCCESS"}, {5, 0, "SUCCESS"}, {7, 18, "FAILED:18"},
    };
    char octets[] = SIGNATURE "\x21\x11\0\x21" ENDS "\x20\0\x12?\0\0\0?\x21\0\3TLS\x22\0\4jane";
    struct tls_facts f;

    for (size_t i = 0; i < COUNT(cases); i++) {
        octets[31] = cases[i].bits;
        octets[35] = cases[i].verify;
        cr_expect_eq(read_text(octets, sizeof octets - 1), PROXY_HEADER, "%zu", i);
        cr_expect_eq(tls_facts_read(h.facts, &f), cases[i].said[0] != '\0', "%zu", i);
        cr_expect_span(f.verify, cases[i].said, "verify");
        cr_expect_span(f.name, f.verify.n > 4 ? "jane" : "", "name");
    }
}

/* A certificate of kilobytes, of which the fingerprint is kept. */
Test(proxy, certificate)
{
    static char octets[40000];
    const size_t n = 16 + 12 + 3 + 5 + 3 + 30000, ssl = 5 + 3 + 30000, values = 12 + 3 + ssl;
    struct tls_facts f;

    memcpy(octets, SIGNATURE "\x21\x11??" ENDS "\x20??\7\0\0\0\0\x28", 37);
    octets[14] = (char)(values >> 8), octets[15] = (char)values;
    octets[29] = (char)(ssl >> 8), octets[30] = (char)ssl;
    octets[37] = (char)(30000 >> 8), octets[38] = (char)30000;
    memset(octets + 39, 'x', 30000);
    cr_expect_eq(read_text(octets, n), PROXY_HEADER);
    cr_assert(tls_facts_read(h.facts, &f));
    cr_expect_span(f.protocol, "TLS", "protocol");
    cr_expect_eq(f.fingerprint.n, 32 * 3 - 1);
}

/* Facts for which there is no room, or that are no text, are left out. */
Test(proxy, facts_of_no_use)
{
    static char octets[5000];
    struct tls_facts f;

    memcpy(octets,
           SIGNATURE "\x21\x11\x0f\xff" ENDS "\x20\x0f\xf0\1\0\0\0\0\x21\0\3T\0S\x23\x0f\xdf",
           16 + 12 + 3 + 5 + 6 + 3);
    memset(octets + 45, 'x', 0xfdf);
    cr_expect_eq(read_text(octets, 16 + 0xfff), PROXY_HEADER, "%s", h.wrong);
    cr_expect_not(tls_facts_read(h.facts, &f));
    cr_expect_eq(h.facts.n, sizeof "SSL_CLIENT_VERIFY=NONE");
}

/* Cut anywhere it is the beginning of one; changed anywhere the checksum says so. */
Test(proxy, every_octet)
{
    char copy[WHOLE];

    for (size_t n = 0; n < WHOLE; n++) {
        cr_expect_eq(read_text(whole, n), PROXY_MORE, "%zu", n);
        cr_expect(h.needs > n && h.needs <= WHOLE, "%zu", n);
    }
    for (size_t i = 0; i < WHOLE; i++) {
        enum proxy_result result;

        memcpy(copy, whole, WHOLE);
        copy[i] ^= 1;
        result = read_text(copy, WHOLE);
        /* LOCAL: nothing of the rest counts. The length's octets ask for more. What was the
         * checksum is another value. */
        cr_expect_eq(result,
                     i == 12 || i == WHOLE - 7 ? PROXY_HEADER
                     : i == 14 || i == 15      ? PROXY_MORE
                                               : PROXY_WRONG,
                     "%zu", i);
    }
}

/* Who reads as many octets as are needed at a time has exactly the header in the end. */
Test(proxy, exactly_its_octets)
{
    static const struct {
        const char *p;
        size_t n;
    } headers[] = {
        {whole, WHOLE},
        {"PROXY UNKNOWN\r\n", 15},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 40000 25\r\n", 46},
        {"PROXY TCP4 198.51.100.7 203.0.113.5 4000 25\r\n", 45},
        {SIGNATURE "\x20\0\0\0", 16},
    };

    for (size_t i = 0; i < COUNT(headers); i++) {
        size_t n = 0;

        while (read_text(headers[i].p, n) == PROXY_MORE) {
            cr_assert(h.needs > n && h.needs <= headers[i].n, "%zu: %zu at %zu", i, h.needs, n);
            n = h.needs;
        }
        cr_expect_eq(n, headers[i].n, "%zu", i);
    }
}
