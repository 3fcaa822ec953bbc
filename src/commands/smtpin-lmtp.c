/* smtpin-lmtp: the message on stdin to an LMTP or SMTP server. See smtpin-lmtp(1).
 *
 * A 250 here is the server's 250, after it has the whole message. What the server says to each
 * recipient becomes a line for each where SMTPIN_REPLIES says that such lines are read, and
 * otherwise the one line and exit status that fit them all. */
#include "base/number.h"
#include "commands/lmtp.h"
#include "io/connect.h"
#include "io/descriptors.h"
#include "smtp/path.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage_text[] =
    "usage: smtpin-lmtp [-s] [-t TIME] [-h NAME] SERVER... -- SENDER RECIPIENT...\n"
    "Hands the message on standard input to the first SERVER that takes it.\n"
    "  SERVER   /path or unix:/path, HOST:PORT or [ADDRESS]:PORT\n"
    "  SENDER   the reverse-path; an empty word for the null one\n"
    "  -s       speak SMTP instead of LMTP\n"
    "  -t TIME  how long to wait for each answer of the server (4m)\n"
    "  -h NAME  the name to send with LHLO or EHLO (this host's)\n"
    "Manual: smtpin-lmtp(1)\n";

static int usage(void)
{
    fputs(usage_text, stderr);
    return LMTP_USAGE;
}

/* The connection of the server that took the message, or that refused it; -1: there is none. *lack:
 * what the last one has not, if each lacks something. */
static int try_servers(const struct lmtp_mail *mail, char *const *servers, struct lmtp_session *s,
                       struct lmtp_reply *result, enum lmtp_lack *lack)
{
    bool lacking = true;

    for (; strcmp(*servers, "--") != 0; servers++) {
        const char *wrong;
        const int fd = connect_server(*servers, mail->timeout, &wrong);

        if (fd < 0) {
            fprintf(stderr, "smtpin-lmtp: %s: %s\n", *servers, wrong);
            lacking = false;
            continue;
        }
        lmtp_open(s, mail, fd);
        if (lmtp_talk(s, result))
            return fd;
        fprintf(stderr, "smtpin-lmtp: %s: did not take the message\n", *servers);
        close(fd);
        lacking = lacking && s->lack != LMTP_LACKS_NOTHING;
        *lack = s->lack;
    }
    if (!lacking)
        *lack = LMTP_LACKS_NOTHING;
    return -1;
}

/* Why no server took it. */
static struct lmtp_reply nobody(const struct lmtp_mail *mail, enum lmtp_lack lack)
{
    struct lmtp_reply why;

    /* RFC 6531 3.5 names both pairs: of an address, and of a message. */
    if (lack == LMTP_LACKS_DELIVERBY)
        lmtp_say(&why, "550 5.3.3 No server takes DELIVERBY");
    else if (lack == LMTP_LACKS_BINARYMIME)
        lmtp_say(&why, "554 5.6.3 No server takes BINARYMIME");
    else if (lack == LMTP_LACKS_SMTPUTF8 && mail->plain == LMTP_PLAIN_NEVER)
        lmtp_say(&why, "550 5.6.7 No server takes SMTPUTF8");
    else if (lack == LMTP_LACKS_SMTPUTF8 && mail->plain == LMTP_PLAIN_HEADER)
        lmtp_say(&why, "554 5.6.9 No server takes a header outside ASCII");
    else if (lack == LMTP_LACKS_SMTPUTF8)
        lmtp_say(&why, "451 4.3.5 No server takes SMTPUTF8, and there is no libidn2 for A-labels");
    else
        lmtp_say(&why, "451 4.4.1 No server takes the message now");
    return why;
}

static int deliver(const struct lmtp_mail *mail, char *const *servers, enum lmtp_lines lines)
{
    struct lmtp_session *s = malloc(sizeof *s);
    struct lmtp_reply *result = calloc(mail->n, sizeof *result);
    enum lmtp_lack lack = LMTP_LACKS_NOTHING;
    int status = LMTP_TEMPORARY, fd;

    if (s != NULL && result != NULL) {
        fd = try_servers(mail, servers, s, result, &lack);
        if (fd < 0) {
            result[0] = nobody(mail, lack);
            for (size_t i = 1; i < mail->n; i++)
                result[i] = result[0];
            /* Nothing has happened, and the status says so. */
            if (result[0].code < 500)
                lines = LMTP_LINES_ONE;
        }
        status = lmtp_answer(result, mail->n, lines);
        if (fd >= 0) {
            lmtp_quit(s);
            close(fd);
        }
    }
    free(result);
    free(s);
    return status;
}

/* The options. False: wrong usage. */
static bool read_options(struct lmtp_mail *mail, int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "+st:h:")) != -1) {
        if (option == 's')
            mail->smtp = true;
        else if (option == 'h' && smtp_is_domain(span_of(optarg), false))
            mail->helo = optarg;
        else if (option != 't' ||
                 number_parse_time(span_of(optarg), 3600000, &mail->timeout) != NUMBER_OK)
            return false;
    }
    return true;
}

static bool read_addresses(struct lmtp_mail *mail, char *const *words, size_t n)
{
    if (!lmtp_read_address(mail, &mail->sender, words[0], true))
        return false;
    mail->recipient = calloc(n - 1, sizeof *mail->recipient);
    for (; mail->recipient != NULL && mail->n < n - 1; mail->n++)
        if (!lmtp_read_address(mail, &mail->recipient[mail->n], words[mail->n + 1], false))
            return false;
    return mail->recipient != NULL;
}

/* The words behind "--". False: wrong usage, or no memory. */
static bool read_envelope(struct lmtp_mail *mail, char *const *words, size_t n)
{
    const bool good = read_addresses(mail, words, n);

    idn_end(&mail->idn);
    return good;
}

/* Looks at the message. SMTPUTF8 is needed where the client has said it and the header is not ASCII
 * (RFC 6531 3.4); that it has said it alone means nothing: some say it whenever they may. */
static bool read_message(struct lmtp_mail *mail)
{
    const char *body = getenv("SMTPIN_BODY");
    bool header_high;

    if (!lmtp_look(&mail->high, &header_high))
        return false;
    mail->binary = body != NULL && strcmp(body, "BINARYMIME") == 0;
    if (header_high && body != NULL && (mail->binary || strcmp(body, "SMTPUTF8") == 0)) {
        mail->utf8 = true;
        if (mail->plain != LMTP_PLAIN_NEVER)
            mail->plain = LMTP_PLAIN_HEADER;
    }
    return true;
}

static enum lmtp_lines read_lines(void)
{
    const char *replies = getenv("SMTPIN_REPLIES");

    if (replies == NULL)
        return LMTP_LINES_UNKNOWN;
    return strcmp(replies, "each") == 0 || strcmp(replies, "merged") == 0 ? LMTP_LINES_READ
                                                                          : LMTP_LINES_ONE;
}

static void forget(struct lmtp_mail *mail)
{
    for (size_t i = 0; mail->recipient != NULL && i < mail->n; i++)
        free(mail->recipient[i].ascii);
    free(mail->recipient);
    free(mail->sender.ascii);
}

int main(int argc, char **argv)
{
    struct lmtp_mail mail = {.timeout = 240000};
    char host[256] = "localhost";
    int dashes, status;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(usage_text, stdout) < 0;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("smtpin-lmtp " SMTPIN_VERSION) < 0;
    if (gethostname(host, sizeof host - 1) < 0 || !smtp_is_domain(span_of(host), false))
        strcpy(host, "localhost");
    mail.helo = host;
    if (!read_options(&mail, argc, argv))
        return usage();
    for (dashes = optind; dashes < argc && strcmp(argv[dashes], "--") != 0; dashes++)
        ;
    if (dashes == optind || dashes + 3 > argc ||
        !read_envelope(&mail, argv + dashes + 1, (size_t)(argc - dashes - 1))) {
        status = usage();
    } else if (!read_message(&mail)) {
        fputs("smtpin-lmtp: standard input can't be sought and read\n", stderr);
        status = LMTP_TEMPORARY;
    } else if (!descriptors_fill_standard()) {
        status = LMTP_TEMPORARY;
    } else {
        signal(SIGPIPE, SIG_IGN);
        lmtp_read_extras(&mail);
        status = deliver(&mail, argv + optind, read_lines());
    }
    forget(&mail);
    return status;
}
