/* smtpin-lmtp: the message on stdin to an LMTP or SMTP server, a reply line for each recipient on
 * stdout (deliver_replies = each). See smtpin-lmtp(1).
 *
 * A 250 here is the server's 250, after it has the whole message. As long as the end-of-data has
 * not been sent nothing has happened yet, and the next server is tried; from then on what the
 * server does not say is 451. */
#include "base/number.h"
#include "base/text.h"
#include "commands/connect.h"
#include "io/clock.h"
#include "io/wire.h"
#include "smtp/line.h"
#include "smtp/path.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 64,
    EXIT_TEMPORARY = 75,
    REPLY_MAX = 512,
    REPLY_LINES_MAX = 1000, /* of one reply */
    GROUP_MAX = 64,         /* RCPT commands sent before their replies are read */
};

struct reply {
    unsigned code;
    char line[REPLY_MAX]; /* the last line, whole, terminated */
};

struct options {
    bool smtp; /* one reply for all, and EHLO */
    uint64_t timeout;
    const char *helo;
    const char *sender;
    char **recipients;
    size_t n;
    bool eight_bit, utf8;
};

struct session {
    const struct options *o;
    struct wire wire;
    struct smtp_line line;
    char in[16384], out[65536];
    bool pipelining, eight_bit, utf8;
    bool no_utf8; /* it does not take this message's addresses */
    bool sent;    /* the end-of-data has been written, or may have been */
};

static int usage(void)
{
    fputs("usage: smtpin-lmtp [-s] [-t TIME] [-h NAME] SERVER... -- SENDER RECIPIENT...\n"
          "  SERVER: /path or unix:/path, HOST:PORT or [ADDRESS]:PORT; tried in order\n"
          "  -s: SMTP instead of LMTP;  -t: for each answer of the server (4m)\n",
          stderr);
    return EXIT_USAGE;
}

static bool flush(struct session *s)
{
    return wire_flush(&s->wire, clock_now() + s->o->timeout) == WIRE_OK;
}

static bool put(struct session *s, struct span bytes)
{
    while (bytes.n > 0) {
        const struct span now = span_first(bytes, s->wire.send.cap - s->wire.send.n);

        text_add(&s->wire.send, now);
        bytes = span_from(bytes, now.n);
        if (s->wire.send.n == s->wire.send.cap && !flush(s))
            return false;
    }
    return true;
}

static bool puts_wire(struct session *s, const char *text)
{
    return put(s, span_of(text));
}

static bool read_line(struct session *s, struct span *line, size_t *used, uint64_t deadline)
{
    for (;;) {
        const enum smtp_line_result found =
            smtp_line_scan(&s->line, wire_unread(&s->wire), line, used);

        if (found == SMTP_LINE_READY)
            return true;
        if (found != SMTP_LINE_MORE)
            return false; /* a server that sends this is none */
        wire_used(&s->wire, *used);
        if (wire_fill(&s->wire, deadline) != WIRE_OK)
            return false;
    }
}

/* What an EHLO line tells. */
static void learn(struct session *s, struct span line)
{
    const struct span rest = span_from(line, 4);
    const struct span keyword = span_first(rest, span_find(rest, ' '));

    s->pipelining = s->pipelining || span_eq_nocase(keyword, SPAN("PIPELINING"));
    s->eight_bit = s->eight_bit || span_eq_nocase(keyword, SPAN("8BITMIME"));
    s->utf8 = s->utf8 || span_eq_nocase(keyword, SPAN("SMTPUTF8"));
}

/* The whole next reply; false when the server has gone, is late or speaks nonsense. */
static bool read_reply(struct session *s, struct reply *r, bool is_hello)
{
    const uint64_t deadline = clock_now() + s->o->timeout;

    for (int lines = 0; lines < REPLY_LINES_MAX; lines++) {
        struct text kept = TEXT(r->line);
        struct span line;
        uint64_t code;
        bool last;
        size_t used;

        if (!read_line(s, &line, &used, deadline))
            return false;
        if (number_parse(span_first(line, 3), 599, &code) != NUMBER_OK || line.n < 3 ||
            (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
            return false;
        if (is_hello)
            learn(s, line);
        last = line.n == 3 || line.p[3] == ' ';
        r->code = (unsigned)code;
        text_add(&kept, line);
        text_string(&kept);
        wire_used(&s->wire, used);
        if (last)
            return true;
    }
    return false;
}

/* Has the server said nothing that nobody has asked for? One reply too many, and every later one
 * would be taken for another's. */
static bool in_step(const struct session *s)
{
    struct pollfd p = {.fd = s->wire.in, .events = POLLIN};

    return wire_unread(&s->wire).n == 0 && poll(&p, 1, 0) == 0;
}

static bool is_refusal(const struct reply *r)
{
    return r->code >= 400 && r->code != 421 && r->code != 503;
}

static bool is_good(const struct reply *r)
{
    return r->code >= 200 && r->code < 300;
}

static void say(struct reply *r, unsigned code, const char *text)
{
    struct text line = TEXT(r->line);

    r->code = code;
    text_adds(&line, text);
    text_string(&line);
}

/* One line for a recipient. An odd code is 451 for this one alone; an enhanced code of another
 * class than the code's goes, or the line would be none (smtpin-delivery(7)). */
static void print_reply(const struct reply *r)
{
    const bool odd = r->code < 200 || (r->code >= 300 && r->code < 400);
    const char *text = strlen(r->line) > 3 ? r->line + 4 : "";

    if (byte_is_digit(text[0]) && text[1] == '.' && (unsigned)(text[0] - '0') != r->code / 100)
        text += strcspn(text, " ");
    printf("%u %.*s\n", odd ? 451 : r->code, REPLY_MAX, text[0] == ' ' ? text + 1 : text);
}

static bool hello(struct session *s)
{
    struct reply r;

    if (!read_reply(s, &r, false) || !is_good(&r))
        return false;
    return puts_wire(s, s->o->smtp ? "EHLO " : "LHLO ") && puts_wire(s, s->o->helo) &&
           puts_wire(s, "\r\n") && in_step(s) && read_reply(s, &r, true) && is_good(&r) &&
           in_step(s);
}

static bool send_mail(struct session *s, struct reply *r)
{
    const struct options *o = s->o;

    s->no_utf8 = o->utf8 && !s->utf8;
    if (s->no_utf8)
        return false;
    return puts_wire(s, "MAIL FROM:<") && puts_wire(s, o->sender) && puts_wire(s, ">") &&
           (!(o->eight_bit && s->eight_bit) || puts_wire(s, " BODY=8BITMIME")) &&
           (!o->utf8 || puts_wire(s, " SMTPUTF8")) && puts_wire(s, "\r\n") &&
           read_reply(s, r, false);
}

/* RCPT for all, in groups where the server takes that; each recipient's reply in result. */
static bool send_recipients(struct session *s, struct reply *result)
{
    const size_t group = s->pipelining ? GROUP_MAX : 1;

    for (size_t i = 0; i < s->o->n; i += group) {
        const size_t end = i + group < s->o->n ? i + group : s->o->n;

        for (size_t k = i; k < end; k++)
            if (!puts_wire(s, "RCPT TO:<") || !puts_wire(s, s->o->recipients[k]) ||
                !puts_wire(s, ">\r\n"))
                return false;
        for (size_t k = i; k < end; k++)
            if (!read_reply(s, &result[k], false) ||
                !(is_good(&result[k]) || is_refusal(&result[k])))
                return false;
    }
    return in_step(s);
}

/* Message bytes with CRLF and stuffed dots (RFC 5321 4.5.2), whatever line ends stdin has. */
struct stuffing {
    bool in_line; /* something of this line has been sent */
    bool cr;      /* a CR is held back: it may belong to the line end */
};

static bool send_run(struct session *s, struct span run, struct stuffing *st)
{
    if (run.n == 0)
        return true;
    /* A CR that ended no line goes out as it is; the server judges it. */
    if (st->cr && !put(s, SPAN("\r")))
        return false;
    st->in_line = st->in_line || st->cr;
    st->cr = run.p[run.n - 1] == '\r';
    run.n -= st->cr;
    if (!st->in_line && run.n > 0 && run.p[0] == '.' && !put(s, SPAN(".")))
        return false;
    st->in_line = st->in_line || run.n > 0;
    return put(s, run);
}

static bool send_chunk(struct session *s, struct span bytes, struct stuffing *st)
{
    while (bytes.n > 0) {
        const struct span run = span_first(bytes, span_find(bytes, '\n'));

        if (!send_run(s, run, st))
            return false;
        if (run.n < bytes.n) {
            if (!put(s, SPAN("\r\n")))
                return false;
            *st = (struct stuffing){0};
        }
        bytes = span_from(bytes, run.n + 1);
    }
    return true;
}

static bool send_message(struct session *s)
{
    char chunk[65536];
    struct stuffing st = {0};

    for (;;) {
        const ssize_t n = read(0, chunk, sizeof chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            break;
        if (!send_chunk(s, (struct span){.p = chunk, .n = (size_t)n}, &st))
            return false;
    }
    if ((st.in_line || st.cr) && !puts_wire(s, "\r\n"))
        return false;
    /* A result that comes before the message has is none. */
    if (!flush(s) || !in_step(s))
        return false;
    s->sent = true;
    return puts_wire(s, ".\r\n") && flush(s);
}

/* The replies after the dot: one for each recipient that was accepted, or one for them all. What is
 * not said is not known: 451. */
static void read_results(struct session *s, struct reply *result)
{
    struct reply last;
    bool heard = false, lost = false;

    for (size_t i = 0; i < s->o->n; i++) {
        if (!is_good(&result[i]))
            continue;
        if (!lost && (!heard || !s->o->smtp))
            lost = !read_reply(s, &last, false);
        heard = true;
        result[i] = last;
        if (lost)
            say(&result[i], 451, "451 4.4.2 The next server did not answer");
    }
}

static void refuse_all(const struct options *o, struct reply *result, const struct reply *why)
{
    for (size_t i = 0; i < o->n; i++)
        result[i] = *why;
}

/* The whole conversation. True: every recipient has its result. False: nothing has happened, the
 * next server may be tried. */
static bool talk(struct session *s, struct reply *result)
{
    struct reply r;
    bool accepted = false;

    if (!hello(s) || !send_mail(s, &r))
        return false;
    if (r.code >= 500 && is_refusal(&r)) {
        refuse_all(s->o, result, &r);
        return true;
    }
    if (!is_good(&r) || !in_step(s) || !send_recipients(s, result))
        return false;
    for (size_t i = 0; i < s->o->n; i++)
        accepted = accepted || is_good(&result[i]);
    if (!accepted)
        return true;
    if (!puts_wire(s, "DATA\r\n") || !read_reply(s, &r, false))
        return false;
    if (r.code != 354) {
        if (!is_refusal(&r))
            return false;
        for (size_t i = 0; i < s->o->n; i++)
            if (is_good(&result[i]))
                result[i] = r;
        return true;
    }
    if (!in_step(s))
        return false;
    if (!send_message(s)) {
        if (!s->sent)
            return false;
        for (size_t i = 0; i < s->o->n; i++)
            if (is_good(&result[i]))
                say(&result[i], 451, "451 4.4.2 The connection to the next server was lost");
        return true;
    }
    read_results(s, result);
    /* Another reply than that to QUIT: nobody knows what belongs to whom. */
    if (puts_wire(s, "QUIT\r\n") && read_reply(s, &r, false) && r.code != 221)
        for (size_t i = 0; i < s->o->n; i++)
            say(&result[i], 451, "451 4.4.2 The next server gave one reply too many");
    return true;
}

static bool try_server(const struct options *o, const char *server, struct session *s,
                       struct reply *result)
{
    const int fd = connect_server(server, o->timeout);
    bool done;

    if (fd < 0) {
        fprintf(stderr, "smtpin-lmtp: %s: %s\n", server, strerror(errno));
        return false;
    }
    *s = (struct session){.o = o};
    s->wire = (struct wire){.in = fd,
                            .out = fd,
                            .stop = -1,
                            .send = TEXT(s->out),
                            .buffer = s->in,
                            .cap = sizeof s->in};
    done = lseek(0, 0, SEEK_SET) == 0 && talk(s, result);
    if (!done)
        fprintf(stderr, "smtpin-lmtp: %s: did not take the message\n", server);
    close(fd);
    return done;
}

/* An address is put between angle brackets on the wire: only a mailbox may stand there. */
static bool is_path(const char *address, bool null_too, bool *utf8)
{
    char room[1024], memory[2048];
    struct text path = TEXT(room);
    struct arena a = {.base = memory, .cap = sizeof memory};
    struct smtp_mailbox mailbox;
    struct span in;

    if (null_too && address[0] == '\0')
        return true;
    text_addc(&path, '<');
    text_adds(&path, address);
    text_addc(&path, '>');
    in = text_span(&path);
    if (path.cut || smtp_forward_path(&in, &a, &mailbox, NULL) != SMTP_PATH_OK || in.n > 0)
        return false;
    *utf8 = *utf8 || mailbox.utf8;
    return true;
}

static int deliver(struct options *o, char *const *servers)
{
    struct session *s = malloc(sizeof *s);
    struct reply *result = calloc(o->n, sizeof *result);
    bool done = false, no_utf8 = true;

    for (; s != NULL && result != NULL && !done && strcmp(*servers, "--") != 0; servers++) {
        s->no_utf8 = false;
        done = try_server(o, *servers, s, result);
        no_utf8 = no_utf8 && s->no_utf8;
    }
    if (!done && s != NULL && result != NULL && no_utf8) {
        for (size_t i = 0; i < o->n; i++)
            say(&result[i], 550, "550 5.6.7 No server takes SMTPUTF8");
        done = true;
    }
    for (size_t i = 0; done && i < o->n; i++)
        print_reply(&result[i]);
    free(result);
    free(s);
    if (!done)
        puts("451 4.4.1 No server takes the message now");
    return done && fflush(stdout) == 0 ? 0 : EXIT_TEMPORARY;
}

int main(int argc, char **argv)
{
    struct options o = {.timeout = 240000};
    const char *body = getenv("SMTPIN_BODY");
    char host[256] = "localhost";
    int option, dashes;

    if (gethostname(host, sizeof host - 1) < 0 || !smtp_is_domain(span_of(host), false))
        strcpy(host, "localhost");
    o.helo = host;
    while ((option = getopt(argc, argv, "+st:h:")) != -1) {
        if (option == 's')
            o.smtp = true;
        else if (option == 'h' && smtp_is_domain(span_of(optarg), false))
            o.helo = optarg;
        else if (option != 't' ||
                 number_parse_time(span_of(optarg), 3600000, &o.timeout) != NUMBER_OK)
            return usage();
    }
    for (dashes = optind; dashes < argc && strcmp(argv[dashes], "--") != 0; dashes++)
        ;
    if (dashes == optind || dashes + 3 > argc)
        return usage();
    o.sender = argv[dashes + 1];
    o.recipients = argv + dashes + 2;
    o.n = (size_t)(argc - dashes - 2);
    o.eight_bit = body != NULL && strcmp(body, "7BIT") != 0;
    o.utf8 = body != NULL && strcmp(body, "SMTPUTF8") == 0;
    if (!is_path(o.sender, true, &o.utf8))
        return usage();
    for (size_t i = 0; i < o.n; i++)
        if (!is_path(o.recipients[i], false, &o.utf8))
            return usage();
    if (lseek(0, 0, SEEK_SET) != 0) {
        fputs("smtpin-lmtp: standard input can't be sought\n", stderr);
        return EXIT_TEMPORARY;
    }
    signal(SIGPIPE, SIG_IGN);
    return deliver(&o, argv + optind);
}
