/* Who may be connected: what is one source, and the limits. */
#include "adapters/admission.h"
#include "unit.h"

#include <arpa/inet.h>

static struct admission_guest guest(const char *address, unsigned socket)
{
    struct admission_guest g = {.socket = socket};
    struct sockaddr_storage a = {.ss_family = AF_UNIX};

    if (inet_pton(AF_INET, address, &((struct sockaddr_in *)&a)->sin_addr) == 1)
        a.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, address, &((struct sockaddr_in6 *)&a)->sin6_addr) == 1)
        a.ss_family = AF_INET6;
    admission_place(&g, &a);
    return g;
}

Test(admission, sources)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true}, /* one /64 */
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false}, /* one /64 too, but IPv4 */
        {"::1", "192.0.2.1", false},
        {"local", "local", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct admission_guest a = guest(cases[i].a, 0), b = guest(cases[i].b, 0);
        char room[INET6_ADDRSTRLEN];

        cr_expect_eq(admission_same_source(&a, &b), cases[i].same, "%s %s", cases[i].a, cases[i].b);
        cr_expect(span_eq(
            admission_address(&a, room, sizeof room),
            a.local ? SPAN("")
                    : span_of(span_of(cases[i].a).n > 7 && strncmp(cases[i].a, "::ffff:", 7) == 0
                                  ? cases[i].a + 7
                                  : cases[i].a)));
    }
}

Test(admission, limits)
{
    struct admission_seat seat[8];
    struct admission a = {.seat = seat, .cap = COUNT(seat)};
    const struct admission_guest one = guest("192.0.2.1", 0), two = guest("192.0.2.2", 0),
                                 other = guest("192.0.2.1", 1), local = guest("local", 0);
    struct admission_guest left;

    for (pid_t pid = 1; pid <= 3; pid++) {
        cr_expect_eq(admission_ask(&a, &one, 5, 3), ADMISSION_OPEN);
        admission_enter(&a, &one, pid);
    }
    cr_expect_eq(admission_ask(&a, &one, 5, 3), ADMISSION_SOURCE_FULL);
    cr_expect_eq(admission_ask(&a, &one, 5, 0), ADMISSION_OPEN, "0: no limit");
    cr_expect_eq(admission_ask(&a, &one, 3, 3), ADMISSION_FULL, "full goes first");
    cr_expect_eq(admission_ask(&a, &two, 5, 3), ADMISSION_OPEN);
    cr_expect_eq(admission_ask(&a, &other, 1, 1), ADMISSION_OPEN, "another socket");
    admission_enter(&a, &local, 4);
    admission_enter(&a, &local, 5);
    cr_expect_eq(admission_ask(&a, &local, 6, 1), ADMISSION_OPEN, "local ones have no source");
    cr_expect_eq(admission_ask(&a, &local, 5, 1), ADMISSION_FULL);
    cr_expect_not(admission_leave(&a, 99, &left));
    cr_expect(admission_leave(&a, 2, &left));
    cr_expect(admission_same_source(&left, &one));
    cr_expect_eq(a.n, 4);
    cr_expect_eq(admission_ask(&a, &one, 6, 3), ADMISSION_OPEN, "who leaves makes room");
    for (pid_t pid = 10; a.n < a.cap; pid++)
        admission_enter(&a, &other, pid);
    cr_expect_eq(admission_ask(&a, &two, 1000, 0), ADMISSION_FULL, "the table is full");
}

/* Behind a proxy: who it is for is known later. */
Test(admission, moves)
{
    struct admission_seat seat[8];
    struct admission a = {.seat = seat, .cap = COUNT(seat)};
    const struct admission_guest proxy = {.local = true}, one = guest("192.0.2.1", 0),
                                 two = guest("192.0.2.2", 0), other = {.socket = 1, .local = true};
    struct admission_guest left;

    for (pid_t pid = 1; pid <= 4; pid++)
        admission_enter(&a, &proxy, pid);
    admission_enter(&a, &other, 5);
    cr_expect_eq(admission_move(&a, 1, &one, 2), ADMISSION_OPEN);
    cr_expect_eq(admission_move(&a, 1, &one, 1), ADMISSION_OPEN, "it is no other than itself");
    cr_expect_eq(admission_move(&a, 2, &one, 2), ADMISSION_OPEN);
    cr_expect_eq(admission_move(&a, 3, &one, 2), ADMISSION_SOURCE_FULL);
    cr_expect_eq(admission_move(&a, 5, &one, 2), ADMISSION_OPEN, "another socket");
    cr_expect_eq(admission_move(&a, 9, &one, 1), ADMISSION_OPEN, "nobody's process");
    cr_expect_eq(admission_move(&a, 4, &two, 2), ADMISSION_OPEN);
    cr_expect_eq(admission_move(&a, 4, &one, 0), ADMISSION_OPEN, "no limit");
    cr_expect_eq(admission_move(&a, 4, &two, 2), ADMISSION_OPEN, "XCLIENT, once more");
    cr_expect_eq(admission_move(&a, 3, &two, 2), ADMISSION_OPEN);
    cr_expect_eq(admission_move(&a, 2, &two, 2), ADMISSION_SOURCE_FULL);
    cr_expect_eq(admission_ask(&a, &one, 100, 1), ADMISSION_SOURCE_FULL);
    cr_assert(admission_leave(&a, 2, &left));
    cr_expect(left.local, "who was turned away is no source");
    cr_assert(admission_leave(&a, 1, &left));
    cr_expect(admission_same_source(&left, &one));
}
