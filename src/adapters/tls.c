#include "adapters/tls.h"

#include "adapters/run.h"
#include "base/number.h"
#include "io/clock.h"
#include "io/environment.h"
#include "io/pass.h"
#include "io/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    SERVICE_TIME = 5 * 1000, /* milliseconds for a service to say that it is ready */
    LAST_TIME = 35 * 1000,   /* for smtpin-tls to send its last octets to a slow client */
    FAILED_TIME = 5 * 1000,  /* and for its alert, where there is no more */
    OPTIONS_MAX = 128,       /* words of a command line, with the NULL */
    REASON_MAX = 200, /* octets, for the log: what a program says that is not quite trusted */
};

static const char ended[] = "smtpin-tls has ended", timeout[] = "timeout",
                  stopped[] = "smtpin is asked to end";

static bool fail(struct tls *t, const char *why)
{
    t->reason = span_of(why);
    return false;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int descriptor_of(const char *name)
{
    const char *value = environment_get(name);
    uint64_t fd;

    return value != NULL && number_parse(span_of(value), INT_MAX, &fd) == NUMBER_OK && fd > 2
               ? (int)fd
               : -1;
}

/* UCSPI-TLS: whoever started us waits for a word on its control socket. */
static bool find_caller(struct tls *t)
{
    t->control = descriptor_of("SSLCTLFD");
    t->ours = (struct tls_stream){descriptor_of("SSLREADFD"), descriptor_of("SSLWRITEFD"), false};
    t->by_caller = t->control >= 0 && t->ours.in >= 0 && t->ours.out >= 0 &&
                   fcntl(t->control, F_GETFD) >= 0 && fcntl(t->ours.in, F_GETFD) >= 0 &&
                   fcntl(t->ours.out, F_GETFD) >= 0;
    return t->by_caller;
}

static void open_stream(struct tls *t)
{
    const struct timeval moment = {.tv_usec = WIRE_MOMENT * 1000};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    t->theirs = ends[1];
    t->ours = (struct tls_stream){
        ends[0], ends[0],
        setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment) == 0};
}

void tls_open(struct tls *t, const struct config *c)
{
    t->config = c;
    t->control = t->theirs = t->ours.in = t->ours.out = t->lent = -1;
    t->given = tls_facts_find(environment_get, &t->facts);
    if (t->given || find_caller(t))
        return;
    t->control = t->ours.in = t->ours.out = -1;
    open_stream(t);
}

/* Words of a command line, in an arena. */
struct words_list {
    char **word;
    size_t n;
    struct arena *arena;
    bool full;
};

static void add_word(struct words_list *l, const char *option, struct span value)
{
    const struct span copy = arena_copy(l->arena, value);

    /* Behind these there may be a word more, and the NULL. */
    if (copy.p == NULL || l->n + 4 > OPTIONS_MAX) {
        l->full = true;
        return;
    }
    l->word[l->n++] = (char *)option;
    l->word[l->n++] = (char *)copy.p;
}

char **tls_words(const struct config *c, const char *const *first, size_t n, struct arena *a)
{
    struct words_list l = {.word = arena_get(a, OPTIONS_MAX * sizeof *l.word), .arena = a};
    struct span certificates = c->tls_certificate, options = c->tls_options, one;

    if (l.word == NULL)
        return NULL;
    for (size_t i = 0; i < c->tls_command.n && l.n < OPTIONS_MAX / 2; i++)
        l.word[l.n++] = (char *)c->tls_command.word[i].p;
    for (size_t i = 0; i < n; i++)
        l.word[l.n++] = (char *)first[i];
    add_word(&l, "--hostname", c->smtp.hostname);
    while (span_word(&certificates, ",", &one))
        add_word(&l, "--certificate", span_trim(one));
    while (span_word(&options, " \t", &one))
        add_word(&l, "--option", one);
    if (c->tls_client_ca.n > 0)
        add_word(&l, "--client-ca", c->tls_client_ca);
    if (c->tls_ask_certificate)
        l.word[l.n++] = (char *)"--ask-client";
    l.word[l.n] = NULL;
    return l.full ? NULL : l.word;
}

/* With its end of a control socket as descriptor 0, and nobody to complain to: what is wrong, it
 * says there. */
static bool start_helper(struct tls *t, char **argv, uint64_t patience)
{
    static char *environment[] = {(char *)"PATH=" COMMAND_PATH, NULL};
    char path[PATH_MAX];
    struct text program = TEXT(path);
    int ends[2];
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct child c = {
        .argv = argv, .envp = environment, .passed = 3, .quiet = true, .timeout = patience};

    c.program = run_program(t->config->tls_command.word[0], &program);
    if (c.argv != NULL && c.program != NULL && null >= 0 &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0) {
        c.pass[0] = (struct child_descriptor){ends[1], 0};
        c.pass[1] = (struct child_descriptor){null, 1};
        c.pass[2] = (struct child_descriptor){null, 2};
        child_start(&t->helper, &c, NULL, NULL);
        t->started = !t->helper.ended;
        close(ends[1]);
        t->control = ends[0];
    }
    if (null >= 0)
        close(null);
    return t->started || fail(t, "smtpin-tls can't be started");
}

static ptrdiff_t receive(struct tls *t, int stop, uint64_t deadline)
{
    return pass_receive(t->control, t->room, sizeof t->room, NULL, 0, stop, deadline);
}

/* A packet's first word, empty where it has no end; *fields is what follows. */
static struct span word_of(struct span packet, struct span *fields)
{
    const size_t end = span_find(packet, '\0');
    const struct span word = span_first(packet, end < packet.n ? end : 0);

    *fields = span_from(packet, word.n + 1);
    return word;
}

/* What smtpin-tls says of a failure, if it has its form. */
static bool fail_with(struct tls *t, struct span fields)
{
    struct span name, value;

    t->reason = SPAN("smtpin-tls has not said why");
    while (tls_next_field(&fields, &name, &value)) {
        if (span_eq(name, SPAN(TLS_FIELD_REASON)))
            t->reason = span_first(value, REASON_MAX);
        else if (span_eq(name, SPAN(TLS_FIELD_OFFERED)))
            t->offered = span_first(value, REASON_MAX);
        else if (span_eq(name, SPAN(TLS_FACT_SNI)))
            t->sni = span_first(value, SMTP_DOMAIN_MAX);
    }
    return false;
}

static bool begin(struct tls *t, int in, int out, uint64_t patience)
{
    const int passed[] = {in, out, t->theirs};
    char room[128];
    struct text packet = TEXT(room);
    struct span fields, word;
    ptrdiff_t n;

    text_add(&packet, SPAN("begin\0" TLS_FIELD_VERSION "=" TLS_TALK_VERSION));
    text_add(&packet, SPAN("\0" TLS_FIELD_TIMEOUT "="));
    text_addn(&packet, t->config->tls_timeout, 1);
    text_addc(&packet, '\0');
    if (!pass_send(t->control, text_span(&packet), passed, 3))
        return fail(t, strerror(errno));
    t->lent = out;
    n = receive(t, -1, clock_now() + patience);
    if (n <= 0)
        return fail(t, n == 0 ? ended : errno == ETIMEDOUT ? timeout : strerror(errno));
    word = word_of((struct span){.p = t->room, .n = (size_t)n}, &fields);
    return span_eq(word, SPAN("ready")) || fail_with(t, fields);
}

static bool begin_with_service(struct tls *t, int in, int out)
{
    t->control = pass_connect(t->config->tls_socket.p);
    if (t->control < 0)
        return fail(t, strerror(errno));
    if (begin(t, in, out, SERVICE_TIME))
        return true;
    close_one(&t->control);
    return false;
}

bool tls_prepare(struct tls *t, int in, int out, struct arena *a)
{
    static const char *const first[] = {"--session"};
    const uint64_t service = t->config->tls_service;
    const size_t mark = a->used;

    t->ready = t->given || t->by_caller;
    if (t->ours.in < 0 && !t->given)
        return fail(t, "no socket pair can be had");
    if (!t->ready && service != CONFIG_TLS_SERVICE_NO)
        t->ready = begin_with_service(t, in, out);
    if (!t->ready && service != CONFIG_TLS_SERVICE_ONLY)
        t->ready = start_helper(t, tls_words(t->config, first, 1, a), LAST_TIME) &&
                   begin(t, in, out, t->config->tls_timeout);
    a->used = mark;
    close_one(&t->theirs);
    return t->ready;
}

bool tls_prepare_client(struct tls *t, const struct config *c, char **argv, int connection)
{
    t->config = c;
    t->control = t->theirs = t->ours.in = t->ours.out = t->lent = -1;
    open_stream(t);
    t->ready = t->theirs >= 0 && start_helper(t, argv, c->tls_timeout) &&
               begin(t, connection, connection, c->tls_timeout);
    close_one(&t->theirs);
    return t->ready;
}

/* The facts of UCSPI-TLS end with an empty one, which may be the first. */
static bool has_last_fact(const char *room, size_t n)
{
    return n > 0 && room[n - 1] == '\0' && (n == 1 || room[n - 2] == '\0');
}

/* "Y": start TLS, and say what it is. */
static bool ask_caller(struct tls *t, int stop, uint64_t deadline)
{
    struct pollfd p[2] = {{.fd = t->control, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    size_t n = 0;

    if (write(t->control, "Y", 1) != 1)
        return fail(t, strerror(errno));
    while (!has_last_fact(t->room, n)) {
        const int ready = poll(p, 2, clock_left(deadline));
        ssize_t got;

        if (ready > 0 && p[1].revents != 0)
            return fail(t, stopped);
        if (ready <= 0 && clock_left(deadline) == 0)
            return fail(t, timeout);
        if (ready <= 0)
            continue;
        got = read(t->control, t->room + n, sizeof t->room - n);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return fail(t, "handshake failed");
        n += got > 0 ? (size_t)got : 0;
        if (n == sizeof t->room)
            return fail(t, "the UCSPI-TLS program says too much");
    }
    /* s6 and others do not say each of them: that there is TLS is certain. */
    if (!tls_facts_read((struct span){.p = t->room, .n = n}, &t->facts))
        t->facts.protocol = SPAN("TLS");
    return true;
}

static bool ask_helper(struct tls *t, int stop, uint64_t deadline)
{
    struct span fields, word, name, value, left;
    ptrdiff_t n;

    if (!pass_send(t->control, SPAN("go\0"), NULL, 0))
        return fail(t, strerror(errno));
    n = receive(t, stop, deadline);
    if (n <= 0)
        return fail(t, n == 0               ? ended
                       : errno == ETIMEDOUT ? timeout
                       : errno == ECANCELED ? stopped
                                            : strerror(errno));
    word = word_of((struct span){.p = t->room, .n = (size_t)n}, &fields);
    if (!span_eq(word, SPAN("secure")))
        return fail_with(t, fields);
    for (left = fields; tls_next_field(&left, &name, &value);)
        if (span_eq(name, SPAN(TLS_FIELD_PLAIN)) && !span_eq(value, SPAN("stream")))
            return fail(t, "smtpin-tls wants to go on in a way that is not known here");
    return tls_facts_read(fields, &t->facts) || fail(t, "smtpin-tls does not say which TLS it is");
}

bool tls_shake_hands(struct tls *t, int stop)
{
    /* smtpin-tls has the same time, and then says more than that it is over. */
    const uint64_t deadline = clock_now() + t->config->tls_timeout + SERVICE_TIME;

    if (t->given)
        t->secure = true;
    else
        t->secure = t->by_caller ? ask_caller(t, stop, deadline) : ask_helper(t, stop, deadline);
    close_one(&t->control);
    return t->secure;
}

void tls_close(struct tls *t)
{
    close_one(&t->control);
    close_one(&t->theirs);
    if (!t->secure)
        t->helper.timeout = FAILED_TIME;
    /* A smtpin-tls that hangs has the connection still: a close alone would not end it. */
    if (!t->secure && t->lent >= 0)
        shutdown(t->lent, SHUT_WR);
    while (t->started && !t->helper.ended)
        child_attend(&t->helper, 1);
}
