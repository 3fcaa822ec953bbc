/* TLS's facts, their days, packets with descriptors, and what Received: says. */
#include "syntax/tls_facts.h"

#include "io/clock.h"
#include "io/pass.h"
#include "smtp/trace.h"
#include "syntax/tls_talk.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* Facts -------------------------------------------------------------------------------------- */

static struct span fact_of(const struct tls_facts *f, const char *name)
{
    const struct {
        const char *name;
        struct span value;
    } all[] = {{TLS_FACT_PROTOCOL, f->protocol},
               {TLS_FACT_CIPHER, f->cipher},
               {TLS_FACT_CIPHER_IANA, f->cipher_iana},
               {TLS_FACT_BITS, f->bits},
               {TLS_FACT_GROUP, f->group},
               {TLS_FACT_SNI, f->sni},
               {TLS_FACT_VERIFY, f->verify},
               {TLS_FACT_SUBJECT, f->subject},
               {TLS_FACT_ISSUER, f->issuer},
               {TLS_FACT_NAME, f->name},
               {TLS_FACT_FINGERPRINT, f->fingerprint},
               {TLS_FACT_KEY_FINGERPRINT, f->key_fingerprint},
               {TLS_FACT_SERVER_END, f->server_end},
               {TLS_FACT_EXPORTER, f->exporter},
               {TLS_FACT_END_POINT, f->end_point}};

    for (size_t i = 0; i < COUNT(all); i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].value;
    cr_assert(false, "%s", name);
    return SPAN("");
}

/* A fact, values that have its form, and values that have not; and how long it may be. */
static const struct {
    const char *name;
    const char *good[3], *bad[5];
    char letter; /* of the longest */
    size_t most;
} forms[] = {
    {TLS_FACT_PROTOCOL,
     {"TLSv1.3", "TLSv1.2", "TLS"},
     {"TLS 1.3", "TLS(1)", "T\n", "T\"", "T\x80"},
     'a',
     32},
    {TLS_FACT_CIPHER,
     {"ECDHE-RSA-AES128-GCM-SHA256", "x", "A_b"},
     {"a b", "a;b", "a=b", "a\\b", "(a)"},
     'a',
     64},
    {TLS_FACT_CIPHER_IANA,
     {"TLS_AES_128_GCM_SHA256", "TLS_X", "a"},
     {"a b", "a\r", "a)", "\"a\"", "a,b"},
     'a',
     64},
    {TLS_FACT_BITS, {"256", "128", "0"}, {"x", "1 2", "-1", "0x80", "1."}, '1', 5},
    {TLS_FACT_GROUP,
     {"x25519", "secp256r1", "X25519MLKEM768"},
     {"a b", "a\n", "a(", "a\xff", "a:b"},
     'a',
     64},
    {TLS_FACT_SNI,
     {"mx.example.org", "a", "xn--mller-kva.example"},
     {"a b", "-a.example", "a..b", "a\n", "m\xc3\xb6.example"},
     0,
     0},
    {TLS_FACT_VERIFY,
     {"NONE", "SUCCESS", "FAILED:unable to get (\"x\")"},
     {"a\nb", "\x7f", "\x80", "a\t", "\r"},
     'a',
     200},
    {TLS_FACT_SUBJECT,
     {"CN=c.example,O=A \"B\" (C)", " ", "a\\\\b"},
     {"CN=a\nb", "\x01", "\xc3\xa4", "\x7f", "a\t"},
     'a',
     1000},
    {TLS_FACT_ISSUER,
     {"CN=CA", "a=b,c=d", "~"},
     {"CN=a\nb", "\x01", "\xc3\xa4", "\x7f", "a\t"},
     'a',
     1000},
    {TLS_FACT_NAME,
     {"c.example", "Jane Roe", "*.c.example"},
     {"a)b", "(a", "a\\", "a\n", "\xc3\xa4"},
     'a',
     255},
    {TLS_FACT_FINGERPRINT,
     {"AA:BB:00", "abcdef0123456789", ":"},
     {"g", "AA-BB", "A A", "A\n", "x"},
     'a',
     200},
    {TLS_FACT_KEY_FINGERPRINT, {"AA:BB", "0", "f"}, {"G", "0x1", "a;", "A\n", "Z"}, 'a', 200},
    {TLS_FACT_SERVER_END,
     {"2026-12-31T23:59:59Z", "never", "x"},
     {"a\nb", "\x7f", "\x80", "a\t", "\r"},
     'a',
     20},
    {TLS_FACT_EXPORTER, {"00ff", "ABCDEF", "1"}, {"0x", "g", "a b", "a\n", "\x80"}, 'a', 64},
    {TLS_FACT_END_POINT, {"00ff", "abcdef", "1"}, {"0x", "g", "a b", "a\n", "\x80"}, 'a', 128},
};

Test(tls_facts, each_form)
{
    for (size_t i = 0; i < COUNT(forms); i++) {
        const struct span name = span_of(forms[i].name);
        struct tls_facts f = {.protocol = {0}};
        char longest[1024];

        for (size_t k = 0; k < COUNT(forms[i].good); k++) {
            const char *value = forms[i].good[k];

            tls_facts_set(&f, name, guarded(value, strlen(value)));
            cr_expect_span(fact_of(&f, forms[i].name), value, forms[i].name);
        }
        for (size_t k = 0; k < COUNT(forms[i].bad); k++) {
            tls_facts_set(&f, name, span_of(forms[i].bad[k]));
            cr_expect_span(fact_of(&f, forms[i].name), forms[i].good[2], forms[i].bad[k]);
        }
        tls_facts_set(&f, name, SPAN(""));
        tls_facts_set(&f, name, SPAN("a\0b"));
        cr_expect_span(fact_of(&f, forms[i].name), forms[i].good[2], "empty, or with a NUL");
        if (forms[i].most == 0)
            continue;
        memset(longest, forms[i].letter, sizeof longest);
        tls_facts_set(&f, name, (struct span){.p = longest, .n = forms[i].most + 1});
        cr_expect_span(fact_of(&f, forms[i].name), forms[i].good[2], "too long");
        tls_facts_set(&f, name, (struct span){.p = longest, .n = forms[i].most});
        cr_expect_eq(fact_of(&f, forms[i].name).n, forms[i].most, "%s", forms[i].name);
    }
}

static bool read_fields(const char *fields, size_t n, struct tls_facts *f)
{
    return tls_facts_read(guarded(fields, n), f);
}
#define READ(fields, f) read_fields((fields), sizeof(fields) - 1, (f))

Test(tls_facts, fields)
{
    struct tls_facts f;

    cr_expect(READ("SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=A\0OTHER=x\0=y\0z\0SSL_GROUP=x25519\0", &f));
    cr_expect_span(f.protocol, "TLSv1.3", "protocol");
    cr_expect_span(f.cipher, "A", "cipher");
    cr_expect_span(f.group, "x25519", "behind what is not known");
    cr_expect_eq(f.sni.n, 0);
    cr_expect(READ("SSL_PROTOCOL=TLSv1.3\0SSL_CLIENT_S_DN=CN=a=b\0", &f));
    cr_expect_span(f.subject, "CN=a=b", "the first = ends the name");
    cr_expect(READ("SSL_PROTOCOL=TLSv1.2\0SSL_PROTOCOL=TLSv1.3\0", &f));
    cr_expect_span(f.protocol, "TLSv1.3", "the last one");
    cr_expect(READ("SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=half", &f), "what is not ended is none");
    cr_expect_eq(f.cipher.n, 0);
    cr_expect(READ("SSL_PROTOCOL=TLSv1.3\0\0SSL_CIPHER=A\0", &f), "an empty one is the end");
    cr_expect_eq(f.cipher.n, 0);
    cr_expect_not(READ("", &f));
    cr_expect_not(READ("SSL_PROTOCOL=TLSv1.3", &f));
    cr_expect_not(READ("SSL_CIPHER=A\0", &f));
    cr_expect_not(READ("\0SSL_PROTOCOL=TLSv1.3\0", &f));
    cr_expect_not(READ("SSL_PROTOCOL=\0", &f));
    cr_expect_not(READ("SSL_PROTOCOL\0", &f));
    cr_expect_not(READ("ssl_protocol=TLSv1.3\0", &f));
    cr_expect_not(READ("SSL_PROTOCOL =TLSv1.3\0", &f));
    cr_expect(READ("SSL_PROTOCOL=TLSv1.3\0SSL_TLS_SNI_SERVERNAME=a.example\0"
                   "SSL_PEER_CERT_HASH=SHA256:x y\0SSL_PEER_CERT_SUBJECT=CN=c\0",
                   &f));
    cr_expect_span(f.sni, "a.example", "s6's name of SNI");
    cr_expect_span(f.fingerprint, "SHA256:x y", "s6's fingerprint");
    cr_expect_span(f.subject, "CN=c", "s6's subject");
}

static const char *get(const char *name)
{
    return strcmp(name, TLS_FACT_PROTOCOL) == 0 ? "TLSv1.3"
           : strcmp(name, TLS_FACT_CIPHER) == 0 ? "a b"
           : strcmp(name, TLS_FACT_NAME) == 0   ? "c.example"
                                                : NULL;
}

static const char *get_none(const char *name)
{
    return strcmp(name, TLS_FACT_CIPHER) == 0 ? "A" : NULL;
}

Test(tls_facts, environment)
{
    struct tls_facts f;

    cr_expect(tls_facts_find(get, &f));
    cr_expect_span(f.protocol, "TLSv1.3", "protocol");
    cr_expect_eq(f.cipher.n, 0, "has not its form");
    cr_expect_not(tls_facts_verified(&f), "nobody vouches");
    tls_facts_set(&f, SPAN(TLS_FACT_VERIFY), SPAN("SUCCESS"));
    cr_expect(tls_facts_verified(&f));
    f.name = SPAN("");
    cr_expect_not(tls_facts_verified(&f), "for no name");
    cr_expect_not(tls_facts_find(get_none, &f));
}

/* Each day of 140 years, by the C library's calendar. */
Test(tls_facts, days_left)
{
    for (time_t day = 0; day < 140 * 366; day++) {
        const time_t end = day * 86400;
        char text[32];
        struct tm tm;
        int64_t left;

        gmtime_r(&end, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT23:59:59Z", &tm);
        cr_assert(tls_days_left(span_of(text), (uint64_t)end, &left) && left == 0, "%s", text);
        cr_assert(tls_days_left(span_of(text), (uint64_t)end + 86399, &left) && left == 0);
        cr_assert(tls_days_left(span_of(text), (uint64_t)end + 86400, &left) && left == -1);
        cr_assert(tls_days_left(span_of(text), 0, &left) && left == day, "%s", text);
    }
}

Test(tls_facts, days_left_of_no_date)
{
    static const char *const bad[] = {"",
                                      "2026-12-31",
                                      "2026-12-31T23:59:59",
                                      "2026-12-31T23:59:59ZZ",
                                      "2026/12/31T23:59:59Z",
                                      "2026-13-31T23:59:59Z",
                                      "2026-12-32T23:59:59Z",
                                      "2026-00-31T23:59:59Z",
                                      "2026-12-00T23:59:59Z",
                                      "1969-12-31T23:59:59Z",
                                      "20 6-12-31T23:59:59Z",
                                      "2026-1x-31T23:59:59Z",
                                      "-026-12-31T23:59:59Z"};
    int64_t left;

    for (size_t i = 0; i < COUNT(bad); i++)
        cr_expect_not(tls_days_left(guarded(bad[i], strlen(bad[i])), 0, &left), "%s", bad[i]);
    cr_expect(tls_days_left(SPAN("9999-12-31T23:59:59Z"), UINT64_MAX, &left));
    cr_expect_eq(left, -1);
}

/* Packets ------------------------------------------------------------------------------------- */

static int a, b;
static char room[64];

static void open_pair(void)
{
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    a = ends[0];
    b = ends[1];
}

static size_t count_open(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static uint64_t soon(void)
{
    return clock_now() + 50;
}

Test(pass, descriptors, .init = open_pair)
{
    const size_t before = count_open();
    const int sent[] = {0, a, b};
    int got[PASS_DESCRIPTORS_MAX];

    cr_expect(pass_send(a, SPAN("none"), NULL, 0));
    cr_expect_eq(pass_receive(b, room, sizeof room, got, 4, -1, soon()), 4);
    cr_expect(got[0] == -1 && got[3] == -1);
    cr_expect(pass_send(a, SPAN("three"), sent, 3));
    cr_expect_eq(pass_receive(b, room, sizeof room, got, 4, -1, soon()), 5);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(fcntl(got[i], F_GETFD), FD_CLOEXEC);
    cr_expect_eq(got[3], -1);
    cr_expect_eq(count_open(), before + 3);
}

/* Those that nobody has asked for are closed: as few as one, as many as the kernel passes. */
Test(pass, descriptors_too_many, .init = open_pair)
{
    const size_t before = count_open();
    const int sent[] = {a, a, a, a};
    int got[2];
    struct msghdr m = {.msg_iov = &(struct iovec){.iov_base = "x", .iov_len = 1}, .msg_iovlen = 1};
    union {
        struct cmsghdr aligned;
        char octets[CMSG_SPACE(253 * sizeof(int))];
    } control;

    cr_expect(pass_send(a, SPAN("four"), sent, 4));
    cr_expect_eq(pass_receive(b, room, sizeof room, got, 2, -1, soon()), 4);
    cr_expect(got[0] >= 0 && got[1] >= 0);
    cr_expect_eq(count_open(), before + 2);
    cr_expect(pass_send(a, SPAN("four"), sent, 4));
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, -1, soon()), 4);
    cr_expect_eq(count_open(), before + 2);
    memset(&control, 0, sizeof control);
    m.msg_control = control.octets;
    m.msg_controllen = sizeof control.octets;
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(253 * sizeof(int))};
    for (size_t i = 0; i < 253; i++)
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)) + i * sizeof a, &a, sizeof a);
    cr_assert_eq(sendmsg(a, &m, 0), 1);
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, -1, soon()), 1);
    cr_expect_eq(count_open(), before + 2);
}

Test(pass, packets, .init = open_pair)
{
    char large[128] = {0};
    int pipes[2];

    cr_expect(pass_send(a, (struct span){.p = large, .n = sizeof room}, NULL, 0));
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, -1, soon()), sizeof room);
    cr_expect(pass_send(a, (struct span){.p = large, .n = sizeof room + 1}, NULL, 0));
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, -1, soon()), -1);
    cr_expect_eq(errno, EMSGSIZE);
    cr_expect(pass_send(a, SPAN("next"), NULL, 0));
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, -1, soon()), 4,
                 "one packet, one call");
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, -1, soon()), -1);
    cr_expect_eq(errno, ETIMEDOUT);
    cr_assert_eq(pipe(pipes), 0);
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, pipes[0], soon()), -1);
    cr_expect_eq(errno, ETIMEDOUT, "nobody has stopped it");
    close(pipes[1]);
    cr_expect(pass_send(a, SPAN("x"), NULL, 0));
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, pipes[0], soon()), -1);
    cr_expect_eq(errno, ECANCELED, "a stop goes before");
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, -1, soon()), 1);
    close(a);
    cr_expect_eq(pass_receive(b, room, sizeof room, NULL, 0, -1, soon()), 0);
    cr_expect_not(pass_send(b, SPAN("x"), NULL, 0), "and no SIGPIPE");
    cr_expect_eq(errno, EPIPE);
}

/* Nobody takes them: it does not wait. */
Test(pass, full, .init = open_pair)
{
    char large[4096] = {0};
    size_t n = 0;

    while (n < 100000 && pass_send(a, (struct span){.p = large, .n = sizeof large}, NULL, 0))
        n++;
    cr_expect(n > 0 && n < 100000 && errno == EAGAIN);
}

Test(pass, connect)
{
    char directory[] = "/tmp/smtpin-unit.XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[200];
    int listener, fd;

    cr_assert_not_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
    cr_expect_eq(pass_connect(address.sun_path), -1);
    cr_expect_eq(errno, ENOENT);
    listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_expect_eq(pass_connect(address.sun_path), -1);
    cr_expect_eq(errno, ECONNREFUSED);
    cr_assert_eq(listen(listener, 1), 0);
    fd = pass_connect(address.sun_path);
    cr_expect_geq(fd, 0);
    cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    cr_expect_eq(pass_connect(path), -1, "longer than an address");
    unlink(address.sun_path);
    rmdir(directory);
}

/* Received: ----------------------------------------------------------------------------------- */

static void expect_received(const struct smtp_trace *t, const char *expected, const char *what)
{
    char bytes[2048];
    struct text out = TEXT(bytes);

    smtp_trace_received(&out, t);
    cr_expect_span(text_span(&out), expected, what);
}

Test(tls_trace, received)
{
    struct smtp_trace t = {.hostname = SPAN("mx.example.org"),
                           .helo = SPAN("c.example"),
                           .client_address = SPAN("192.0.2.1"),
                           .protocol = SPAN("ESMTPS"),
                           .id = SPAN("ID"),
                           .recipient = SPAN("b@example.org")};

    expect_received(&t,
                    "Received: from c.example ([192.0.2.1])\n"
                    "\tby mx.example.org (smtpin) with ESMTPS id ID\n"
                    "\tfor <b@example.org>;\n"
                    "\tThu, 1 Jan 1970 00:00:00 +0000\n",
                    "nothing is known");
    t.tls_version = SPAN("TLSv1.3");
    expect_received(&t,
                    "Received: from c.example ([192.0.2.1])\n"
                    "\t(TLSv1.3)\n"
                    "\tby mx.example.org (smtpin) with ESMTPS id ID\n"
                    "\tfor <b@example.org>;\n"
                    "\tThu, 1 Jan 1970 00:00:00 +0000\n",
                    "the version");
    t.tls_cipher = SPAN("TLS_AES_128_GCM_SHA256");
    t.tls_group = SPAN("x25519");
    t.tls_sni = SPAN("mx.example.org");
    t.tls_client = SPAN("c.example");
    expect_received(&t,
                    "Received: from c.example ([192.0.2.1])\n"
                    "\t(TLSv1.3 to mx.example.org, client certificate of c.example)\n"
                    "\tby mx.example.org (smtpin) with ESMTPS id ID\n"
                    "\tfor <b@example.org>\n"
                    "\ttls TLS_AES_128_GCM_SHA256 group x25519;\n"
                    "\tThu, 1 Jan 1970 00:00:00 +0000\n",
                    "all");
    t.recipient = t.tls_group = SPAN("");
    t.crlf = true;
    expect_received(&t,
                    "Received: from c.example ([192.0.2.1])\r\n"
                    "\t(TLSv1.3 to mx.example.org, client certificate of c.example)\r\n"
                    "\tby mx.example.org (smtpin) with ESMTPS id ID\r\n"
                    "\ttls TLS_AES_128_GCM_SHA256;\r\n"
                    "\tThu, 1 Jan 1970 00:00:00 +0000\r\n",
                    "CRLF, no recipient, no group");
}
