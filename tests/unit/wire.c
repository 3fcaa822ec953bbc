/* The connection, where its client does not take what it is told. */
#include "io/wire.h"
#include "io/clock.h"
#include "unit.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CAP = 64,
    AHEAD = 4000,
};

/* A connection whose `theirs` has not taken anything so far: there is no room for another reply. */
struct connection {
    struct wire wire;
    int theirs, stop[2];
    char buffer[WIRE_BUFFER(CAP, AHEAD)], send[100];
    size_t waiting; /* octets that they can take */
};

static void open_connection(struct connection *c, size_t ahead)
{
    const int least = 1;
    ssize_t n;
    int s[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    cr_assert_eq(pipe(c->stop), 0);
    cr_assert_eq(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    for (c->waiting = 0; (n = send(s[0], c->send, sizeof c->send, MSG_DONTWAIT)) > 0;)
        c->waiting += (size_t)n;
    c->theirs = s[1];
    c->wire = (struct wire){
        .in = s[0], .out = s[0], .stop = c->stop[0], .drain = 100, .send = TEXT(c->send)};
    wire_read_into(&c->wire, c->buffer, CAP, ahead);
}

static void say(struct connection *c, const char *text)
{
    cr_assert_eq(write(c->theirs, text, strlen(text)), (ssize_t)strlen(text));
}

/* So many octets of theirs, and what comes of a reply behind them. */
static enum wire_result answer(struct connection *c, size_t octets, uint64_t milliseconds)
{
    char more[AHEAD * 2] = {0};

    if (octets > 0)
        cr_assert_eq(write(c->theirs, more, octets), (ssize_t)octets);
    text_adds(&c->wire.send, "250 OK\r\n");
    return wire_flush(&c->wire, clock_now() + milliseconds);
}

Test(ahead, what_was_read_stays_where_it_is)
{
    struct connection c;

    open_connection(&c, AHEAD);
    say(&c, "AUTH PLAIN secret\r\n");
    cr_assert_eq(wire_fill(&c.wire, clock_now() + 1000), WIRE_OK);
    wire_used(&c.wire, 19);
    cr_expect_eq(answer(&c, 1000, 50), WIRE_TIMEOUT);
    cr_expect(span_eq((struct span){.p = c.buffer, .n = 19}, SPAN("AUTH PLAIN secret\r\n")));
    cr_expect_eq(wire_unread(&c.wire).n, 1000);
    cr_expect_eq(wire_unread(&c.wire).p, c.buffer + 19);
}

Test(ahead, has_a_bound)
{
    struct connection c;

    open_connection(&c, AHEAD);
    cr_expect_eq(answer(&c, CAP + AHEAD + 10, 50), WIRE_TIMEOUT);
    cr_expect_eq(wire_unread(&c.wire).n, CAP + AHEAD);
    open_connection(&c, 0);
    cr_expect_eq(answer(&c, 10, 50), WIRE_TIMEOUT);
    cr_expect_eq(wire_unread(&c.wire).n, 0);
}

Test(ahead, ends_with_the_reply_and_is_a_fill)
{
    struct connection c;
    char taken[1 << 16];
    pid_t reader;

    open_connection(&c, AHEAD);
    say(&c, "NOOP\r\n");
    reader = fork();
    if (reader == 0) {
        usleep(50000);
        for (size_t n = 0; n < c.waiting + 8;)
            n += (size_t)read(c.theirs, taken, sizeof taken);
        _exit(0);
    }
    text_adds(&c.wire.send, "250 OK\r\n");
    /* Nothing else comes: it does not wait for more. */
    cr_expect_eq(wire_fill(&c.wire, clock_now() + 20000), WIRE_OK);
    cr_expect(span_eq(wire_unread(&c.wire), SPAN("NOOP\r\n")));
    cr_expect_eq(c.wire.send.n, 0);
    cr_expect_eq(waitpid(reader, NULL, 0), reader);
}

Test(ahead, the_end_of_what_they_send_is_not_the_end)
{
    struct connection c;
    const uint64_t before = clock_now();

    open_connection(&c, AHEAD);
    say(&c, "QUIT\r\n");
    cr_assert_eq(shutdown(c.theirs, SHUT_WR), 0);
    cr_expect_eq(answer(&c, 0, 100), WIRE_TIMEOUT);
    cr_expect_geq(clock_now() - before, 100);
    cr_expect_eq(wire_unread(&c.wire).n, 6);
    /* A terminal says it once: the next read has it from here. */
    cr_expect_eq(wire_take(&c.wire, 10, clock_now() + 60000), WIRE_EOF);
    cr_expect_lt(clock_now() - before, 30000);
}

Test(ahead, what_was_used_makes_room)
{
    struct connection c;

    open_connection(&c, AHEAD);
    cr_expect_eq(answer(&c, CAP + AHEAD, 50), WIRE_TIMEOUT);
    c.wire.broken = false;
    wire_used(&c.wire, CAP + AHEAD - 100);
    memset((char *)wire_unread(&c.wire).p, 'x', 100);
    cr_expect_eq(answer(&c, 1000, 50), WIRE_TIMEOUT); /* behind what is used, to begin with */
    cr_expect_eq(wire_unread(&c.wire).p, c.buffer + CAP + AHEAD - 100);
    cr_expect_eq(wire_unread(&c.wire).n, 1100);
    wire_tidy(&c.wire);
    cr_expect_eq(wire_unread(&c.wire).p, c.buffer);
    cr_expect_eq(wire_unread(&c.wire).n, 1100);
    cr_expect_eq(c.buffer[99], 'x');
    for (size_t i = 1100; i < CAP + AHEAD + 1000; i++)
        cr_assert_eq(c.buffer[i], 0, "octet %zu is left", i);
}

Test(ahead, a_stop_goes_before_it)
{
    struct connection c;
    const uint64_t before = clock_now();

    open_connection(&c, AHEAD);
    cr_assert_eq(write(c.stop[1], "", 1), 1);
    cr_expect_eq(answer(&c, 10, 60000), WIRE_TIMEOUT);
    cr_expect_lt(clock_now() - before, 30000);
    cr_expect_eq(wire_unread(&c.wire).n, 10);
}
