/* The session as a whole, by chance. */
#include "../fuzz/drive.h"
#include "base/text.h"
#include "unit.h"

/* Properties of sessions that are made up by chance: lines that a client might say, in the usual
 * order or not, some of them damaged; messages with dots, long lines, bare line ends. drive.c
 * checks each step. */
static unsigned long chance;

static unsigned pick(unsigned n)
{
    chance = chance * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(chance >> 33) % n;
}

static void add_message(struct text *t)
{
    static const char *const lines[] = {
        "Subject: x\r\n",
        "Received: from a\r\n",
        "\r\n",
        ".\r\n..\r\n",
        "..\r\n",
        ".x\r\n",
        "text\r\n",
        "\xc3\xa4\r\n",
        "bare\n",
        "bare\r",
        "\r\r\n",
        "x.\r\n",
        ". \r\n",
        "a line that is longer than sixteen and even than thirty-two octets, for the vectors\r\n"};

    for (unsigned n = pick(12); n > 0; n--) {
        /* Most messages are sound. */
        unsigned i = pick(COUNT(lines));

        if (i >= 8 && i <= 10 && pick(4) != 0)
            i = 6;
        if (i == 3)
            i = 4;
        text_adds(t, lines[i]);
    }
    text_adds(t, pick(30) == 0 ? "" : ".\r\n");
}

/* A message in chunks, of which each may have another size than it says. */
static void add_chunks(struct text *t)
{
    static char room[1 << 12];
    struct text message = TEXT(room);
    struct span left;

    add_message(&message);
    left = text_span(&message);
    do {
        const size_t n = left.n == 0 ? 0 : pick((unsigned)left.n + 1);
        const bool last = n == left.n && pick(8) != 0;

        text_adds(t, "BDAT ");
        text_addn(t, pick(20) == 0 ? pick(200) : n, 1);
        text_adds(t, last ? " LAST\r\n" : "\r\n");
        text_add(t, span_first(left, n));
        left = span_from(left, n);
        if (last)
            break;
    } while (left.n > 0 || pick(4) != 0);
}

static void add_command(struct text *t)
{
    static const char *const usual[] = {"EHLO c.example\r\n", "MAIL FROM:<a@example.com>\r\n",
                                        "RCPT TO:<b@example.org>\r\n",
                                        "RCPT TO:<c@example.org>\r\n"};
    static const char *const others[] = {"EHLO client.example",
                                         "ehlo [192.0.2.1]",
                                         "HELO client.example",
                                         "LHLO client.example",
                                         "EHLO a b",
                                         "HELO",
                                         "MAIL FROM:<a@example.com>",
                                         "mail from:<> BODY=8BITMIME",
                                         "MAIL FROM:<> BODY=BINARYMIME",
                                         "MAIL FROM:<> REQUIRETLS",
                                         "MAIL FROM:<a@example.com",
                                         "MAIL FROM:<a@example.com> X=y",
                                         "MAIL",
                                         "RCPT TO:<b@example.org>",
                                         "RCPT TO:<b@>",
                                         "DATA",
                                         "DATA now",
                                         "RSET",
                                         "NOOP",
                                         "VRFY joe",
                                         "EXPN list",
                                         "HELP",
                                         "HELP MAIL",
                                         "QUIT",
                                         "",
                                         "XYZZY",
                                         "STARTTLS",
                                         "STARTTLS now",
                                         "AUTH PLAIN",
                                         "auth plain AGEAYg==",
                                         "AUTH LOGIN =",
                                         "AUTH CRAM-MD5",
                                         "AUTH PLAIN AGEAYg",
                                         "AUTH",
                                         "BDAT 0",
                                         "BDAT 0 LAST",
                                         "BDAT 7\r\n1234567",
                                         "BDAT x",
                                         "GET / HTTP/1.1",
                                         "NOOP \x01"};
    const size_t before = t->n;

    if (pick(3) == 0) {
        text_adds(t, others[pick(COUNT(others))]);
        text_adds(t, "\r\n");
    } else if (pick(8) == 0) {
        text_adds(t, "AUTH LOGIN\r\namFuZQ==\r\nc2VjcmV0LCBhbmQgbG9uZw==\r\n");
    } else {
        for (size_t i = pick(2); i < COUNT(usual) - pick(2); i++)
            text_adds(t, usual[i]);
        if (pick(3) == 0) {
            add_chunks(t);
        } else {
            text_adds(t, "DATA\r\n");
            add_message(t);
        }
    }
    if (pick(20) == 0 && t->n > before)
        t->p[before + pick((unsigned)(t->n - before))] = (char)pick(256);
}

Test(chance, sessions, .timeout = 120)
{
    static char room[1 << 16];
    size_t messages = 0;

    for (unsigned long seed = 1; seed <= 4000; seed++) {
        struct text t = TEXT(room);
        struct drive_input in;
        struct drive_output whole, pieces;

        chance = seed;
        if (pick(4) != 0)
            text_adds(&t, seed & 1 ? "LHLO c.example\r\n" : "EHLO c.example\r\n");
        for (unsigned n = 1 + pick(12); n > 0; n--)
            add_command(&t);
        in = (struct drive_input){.bytes = text_span(&t),
                                  .options = (unsigned)(seed & 1) | pick(DRIVE_OPTIONS / 2) << 1,
                                  .verdicts = pick(256)};
        if (pick(3) != 0)
            in.options &= 1 | 2 | 4 | 8 | 512 | 1024 | 4096 | 8192; /* without tight limits */
        whole = drive(&in);
        messages += whole.messages;
        for (unsigned i = 0; i < 3; i++) {
            in.pieces = 1 + pick(1000);
            pieces = drive(&in);
            cr_expect(whole.replies == pieces.replies && whole.deliveries == pieces.deliveries,
                      "seed %lu: pieces make a difference", seed);
        }
    }
    cr_expect_gt(messages, 2000, "%zu messages", messages);
}
